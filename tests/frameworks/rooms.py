"""One app a framework with every kind of route that it knows, each of which remembers that it ran.

`shut` and `opened` list what a client can ask for: a method, a target, and whether it is a WebSocket. Nothing in here
knows how the guard works.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Host, Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket

from tests.http.asgi import Answer, Header, call, handshake
from tests.http.devices import ADA, House, add, build
from watchword.auth import Watchword
from watchword.fastapi import install as install_fastapi
from watchword.routing.match import public
from watchword.starlette import install as install_starlette

ORIGIN: Header = ("origin", "http://testserver")
SOCKET = "SOCKET"


@dataclass
class Rooms:
    """An app, its house, and what ran in it since somebody last looked."""

    app: Any
    home: House
    shut: list[tuple[str, str]] = field(default_factory=list)
    opened: list[tuple[str, str]] = field(default_factory=list)
    ran: list[str] = field(default_factory=list)
    host: str = "testserver"

    async def ask(self, method: str, target: str, *headers: Header, **options: Any) -> Answer:
        """As nobody, unless the headers say who."""
        options.setdefault("host", self.host)
        if method == SOCKET:
            return await handshake(self.app, target, headers=headers, **options)
        return await call(self.app, method, target, headers=headers, **options)

    async def token(self, **options: Any) -> Header:
        device = await self.home.signed_in(ADA, app=self.home.auth.app, **options)
        return ("authorization", f"Bearer {device.access}")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Any]:
        async with self.app.router.lifespan_context(self.app) as state:
            yield state

    # What routes are made of. Each takes a name, under which its having run is remembered.

    def plain(self, name: str) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            self.ran.append(name)
            return PlainTextResponse("ran")

        return endpoint

    def api(self, name: str) -> Callable[[], Awaitable[dict[str, str]]]:
        async def endpoint() -> dict[str, str]:
            self.ran.append(name)
            return {"ran": name}

        return endpoint

    def socket(self, name: str) -> Callable[[WebSocket], Awaitable[None]]:
        async def endpoint(websocket: WebSocket) -> None:
            self.ran.append(name)
            await websocket.accept()
            await websocket.close()

        return endpoint

    def klass(self, name: str) -> Any:
        rooms = self

        class Endpoint(HTTPEndpoint):
            async def get(self, request: Request) -> Response:
                rooms.ran.append(name)
                return PlainTextResponse("ran")

            post = delete = get

        return Endpoint

    def asgi(self, name: str) -> Any:
        """A bare ASGI app, for mounts and hosts."""
        rooms = self

        class App:
            async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
                rooms.ran.append(name)
                await PlainTextResponse("ran")(scope, receive, send)

        return App()


async def empty(texts: dict[str, str] | None = None, *, fastapi: bool = True, **options: Any) -> Rooms:
    """An app without routes in a house where Ada lives; nothing is installed yet."""
    auth, clock, events = build(**{"mode": "bearer"} | (texts or {}))
    await add(auth, ADA)
    app = FastAPI(**options) if fastapi else Starlette(**options)
    return Rooms(app, House(auth, clock, events, app, auth.settings.mode[0].value))


def install(rooms: Rooms, *, public: Sequence[str] = ()) -> None:
    auth: Watchword = rooms.home.auth
    if isinstance(rooms.app, FastAPI):
        install_fastapi(rooms.app, auth, public=public)
    else:
        install_starlette(rooms.app, auth, public=public)


def web_folder(folder: Path) -> Path:
    """Files for StaticFiles and `frontend`."""
    (folder / "deep").mkdir(parents=True)
    for name in ("index.html", "secret.txt", "deep/index.html", "404.html"):
        (folder / name).write_text("file")
    return folder


def fastapi_rooms(rooms: Rooms, folder: Path) -> None:
    """Every kind of route that a FastAPI app can have."""
    app: FastAPI = rooms.app
    app.get("/profile")(rooms.api("direct"))
    app.post("/profile")(rooms.api("direct"))
    app.get("/item/{number:int}/{rest:path}")(rooms.api("parameters"))
    app.add_route("/starlette", rooms.plain("starlette"), methods=["GET", "POST"])
    app.add_route("/class", rooms.klass("class"))
    app.router.routes.append(Route("/late-class/{name}", rooms.klass("class")))
    app.websocket("/socket")(rooms.socket("socket"))
    app.router.routes.append(WebSocketRoute("/starlette-socket", rooms.socket("socket")))
    app.get("/open")(public(rooms.api("open")))
    app.add_route("/open-starlette", public(rooms.plain("open")))
    app.add_route("/open-class", public(rooms.klass("open")))
    app.websocket("/open-socket")(public(rooms.socket("open")))

    inner = APIRouter()
    fill(inner, rooms, folder)
    router = APIRouter()
    fill(router, rooms, folder)
    router.include_router(inner, prefix="/inner")
    router.include_router(inner, prefix="/again/inner")
    app.include_router(router, prefix="/a")
    app.include_router(router, prefix="/b/{tenant}")
    app.include_router(router)

    sub = FastAPI()
    sub.get("/x")(rooms.api("mounted"))
    sub.get("/marked")(public(rooms.api("mounted")))
    sub.websocket("/socket")(rooms.socket("mounted"))
    app.mount("/sub", sub)
    app.mount("/static", StaticFiles(directory=folder, html=True))
    app.router.routes.append(Mount("/routes", routes=[Route("/x", rooms.plain("mounted"))]))
    app.router.routes.append(Host("admin.example.com", app=rooms.asgi("host")))
    app.router.routes.append(Host("{tenant}.tenants.example.com", app=rooms.asgi("host")))
    app.mount("/open-mount", public(rooms.asgi("open")))
    app.frontend("/ui", directory=folder)

    prefixes = ("", "/a", "/b/acme", "/a/inner", "/b/acme/inner", "/a/again/inner", "/inner")
    rooms.shut += [
        *(("GET", path) for path in ("/profile", "/item/7/x/y", "/starlette", "/class", "/late-class/x")),
        *(("POST", path) for path in ("/profile", "/starlette", "/class")),
        *((SOCKET, path) for path in ("/socket", "/starlette-socket", "/sub/socket")),
        *(("GET", path) for path in ("/docs", "/redoc", "/openapi.json", "/docs/oauth2-redirect")),
        *(("GET", path) for path in ("/sub/x", "/sub/marked", "/sub/docs", "/sub/openapi.json", "/sub/")),
        *(("GET", path) for path in ("/static/secret.txt", "/static/", "/static/deep/", "/routes/x")),
        *(("GET", path) for path in ("/ui", "/ui/", "/ui/secret.txt", "/ui/deep/", "/ui/no/such/file")),
        *(("GET", path) for path in ("/team-ui/secret.txt", "/a/team-ui/", "/a/again/inner/team-ui/")),
        *((method, prefix + path) for prefix in prefixes for method, path in SHUT),
    ]
    rooms.opened += [
        *(("GET", path) for path in ("/open", "/open-starlette", "/open-class", "/open-mount/any/thing")),
        (SOCKET, "/open-socket"),
        *((method, prefix + path) for prefix in prefixes for method, path in OPEN),
    ]


SHUT = [
    *(("GET", path) for path in ("/team", "/team/7", "/team-starlette", "/team-class", "/team-mount/x")),
    *(("GET", path) for path in ("/team-static/secret.txt", "/team-static/")),
    *(("POST", path) for path in ("/team", "/team-class")),
    *((SOCKET, path) for path in ("/team-socket", "/team-starlette-socket")),
]
OPEN = [
    *(("GET", path) for path in ("/open-team", "/open-team-starlette", "/open-team-mount/x")),
    (SOCKET, "/open-team-socket"),
]


def fill(router: APIRouter, rooms: Rooms, folder: Path) -> None:
    """The routes of an APIRouter that is going to be included."""
    router.get("/team")(rooms.api("included"))
    router.post("/team")(rooms.api("included"))
    router.get("/team/{number}")(rooms.api("included"))
    router.add_route("/team-starlette", rooms.plain("included"))
    router.add_route("/team-class", rooms.klass("included"))
    router.routes.append(Mount("/team-mount", app=rooms.asgi("included")))
    router.mount("/team-static", StaticFiles(directory=folder, html=True))
    router.frontend("/team-ui", directory=folder)
    router.websocket("/team-socket")(rooms.socket("included"))
    router.routes.append(WebSocketRoute("/team-starlette-socket", rooms.socket("included")))
    router.get("/open-team")(public(rooms.api("open")))
    router.add_route("/open-team-starlette", public(rooms.plain("open")))
    router.routes.append(Mount("/open-team-mount", app=public(rooms.asgi("open"))))
    router.websocket("/open-team-socket")(public(rooms.socket("open")))


def starlette_rooms(rooms: Rooms, folder: Path) -> None:
    """Every kind of route that a Starlette app can have."""
    routes: list[BaseRoute] = [
        Route("/profile", rooms.plain("direct"), methods=["GET", "POST"]),
        Route("/item/{number:int}/{rest:path}", rooms.plain("parameters")),
        Route("/class", rooms.klass("class")),
        Route("/asgi", rooms.asgi("asgi")),
        WebSocketRoute("/socket", rooms.socket("socket")),
        Route("/open", public(rooms.plain("open"))),
        Route("/open-class", public(rooms.klass("open"))),
        WebSocketRoute("/open-socket", public(rooms.socket("open"))),
        Mount(
            "/routes",
            routes=[
                Route("/x", rooms.plain("mounted")),
                Route("/marked", public(rooms.plain("mounted"))),
                Mount("/deep", routes=[Route("/x", rooms.plain("mounted"))]),
                WebSocketRoute("/socket", rooms.socket("mounted")),
            ],
        ),
        Mount("/sub", app=Starlette(routes=[Route("/x", rooms.plain("mounted"))])),
        Mount("/b/{tenant}", routes=[Route("/x", rooms.plain("mounted"))]),
        Mount("/static", app=StaticFiles(directory=folder, html=True)),
        Mount("/open-mount", app=public(rooms.asgi("open"))),
        Host("admin.example.com", app=rooms.asgi("host")),
        Host("{tenant}.tenants.example.com", app=rooms.asgi("host")),
    ]
    rooms.app.router.routes.extend(routes)
    rooms.shut += [
        *(("GET", path) for path in ("/profile", "/item/7/x/y", "/class", "/asgi", "/routes/x")),
        *(("GET", path) for path in ("/routes/marked", "/routes/deep/x", "/sub/x", "/b/acme/x")),
        *(("GET", path) for path in ("/static/secret.txt", "/static/", "/static/deep/")),
        *(("POST", path) for path in ("/profile", "/class", "/asgi")),
        *((SOCKET, path) for path in ("/socket", "/routes/socket")),
    ]
    rooms.opened += [
        *(("GET", path) for path in ("/open", "/open-class", "/open-mount/any/thing")),
        (SOCKET, "/open-socket"),
    ]


async def furnished(framework: str, folder: Path, **texts: str) -> Rooms:
    """Everything above, with the guard installed."""
    rooms = await empty(texts, fastapi=framework == "fastapi")
    fill_in = fastapi_rooms if framework == "fastapi" else starlette_rooms
    fill_in(rooms, web_folder(folder))
    install(rooms)
    return rooms
