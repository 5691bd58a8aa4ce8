"""An app whose pages a server renders: one that shows who is signed in, with six parts that it loads by itself; and
`/`, which tells what was answered so far: browsers hide from a page what another site answered it."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse

from tests.servers import EMAIL, PASSWORD
from watchword import Watchword
from watchword.fastapi import CurrentUser, StoredUser, install, public

PARTS = 6
PICTURE = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'


def create_app() -> FastAPI:
    auth = Watchword()

    @asynccontextmanager
    async def moved_in(_: FastAPI) -> AsyncIterator[None]:
        await auth.users.create(EMAIL, PASSWORD)
        yield

    app = FastAPI(lifespan=moved_in)
    install(app, auth, renew=True)

    answered: Counter[str] = Counter()

    @app.get("/")
    @public
    async def so_far() -> dict[str, int]:
        return answered

    @app.middleware("http")
    async def counted(request: Request, ask: Callable[[Request], Awaitable[Response]]) -> Response:
        answer = await ask(request)
        answered[f"{request.method} {request.url.path} {answer.status_code}"] += 1
        return answer

    @app.api_route("/page", methods=["GET", "POST"])
    async def page(user: StoredUser) -> HTMLResponse:
        parts = "".join(f"<img src='/part/{number}.svg'>" for number in range(PARTS))
        return HTMLResponse(f"<p>You are {user.email}.</p>{parts}")

    @app.get("/part/{number}.svg")
    async def part(number: int, user: CurrentUser) -> Response:
        return Response(PICTURE, media_type="image/svg+xml")

    return app
