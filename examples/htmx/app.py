"""Notes on pages that the server renders: Jinja and HTMX, no script of ours, and nobody signed out by a pause."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlencode

from fastapi import FastAPI, Request, Response
from fastapi.responses import RedirectResponse
from fastapi.staticfiles import StaticFiles
from fastapi.templating import Jinja2Templates

from watchword import Watchword
from watchword.fastapi import CurrentUser, StoredUser, install

HERE = Path(__file__).parent
auth = Watchword()  # WATCHWORD_* from the environment
templates = Jinja2Templates(HERE / "templates")
notes: defaultdict[str, list[str]] = defaultdict(list)


@asynccontextmanager
async def somebody(_: FastAPI) -> AsyncIterator[None]:
    """Somebody to sign in as; an app of yours lets people register, or has `watchword user create`."""
    await auth.users.create("ada@example.com", "correct horse battery staple")
    yield


app = FastAPI(lifespan=somebody)
app.mount("/static", StaticFiles(directory=HERE / "node_modules" / "htmx.org" / "dist"))
install(app, auth, public=["/static"], renew=True)


@app.middleware("http")
async def to_sign_in(request: Request, ask: Callable[[Request], Awaitable[Response]]) -> Response:
    """People who are not signed in are led to where they can be. A 503 or 429 stays one: it says nothing of that."""
    answer = await ask(request)
    if answer.status_code != 401 or request.url.path.startswith("/auth/"):
        return answer
    if "hx-request" in request.headers:  # htmx follows a redirect inside of the page; this one leaves it
        return Response(headers={"hx-redirect": "/auth/?next=/"})
    if request.method != "GET" or "text/html" not in request.headers.get("accept", ""):
        return answer
    wanted = str(request.url.replace(scheme="", netloc=""))  # the path and the query
    return RedirectResponse(f"/auth/?{urlencode({'next': wanted})}", 303)


@app.get("/")
async def page(request: Request, user: StoredUser) -> Response:
    return templates.TemplateResponse(request, "page.html", {"email": user.email, "notes": notes[user.id]})


@app.get("/notes")
async def mine(request: Request, user: CurrentUser) -> Response:
    return templates.TemplateResponse(request, "notes.html", {"notes": notes[user.id]})


@app.post("/notes")
async def add(request: Request, user: CurrentUser) -> Response:
    notes[user.id] += parse_qs((await request.body()).decode()).get("text", [])
    return templates.TemplateResponse(request, "notes.html", {"notes": notes[user.id]})


@app.delete("/notes/{number}")
async def remove(request: Request, number: int, user: CurrentUser) -> Response:
    del notes[user.id][number : number + 1]
    return templates.TemplateResponse(request, "notes.html", {"notes": notes[user.id]})
