"""`install`: before and after routes, at any time, with everything that an app does besides."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter, Depends, FastAPI
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, NoMatchFound, Route
from starlette.staticfiles import StaticFiles
from starlette.testclient import TestClient

from tests.frameworks.rooms import SOCKET, Rooms, empty, install, web_folder
from tests.http.devices import ADA, PASSWORD, instead
from watchword import fastapi as ours
from watchword.errors import Forbidden, SettingsError
from watchword.fastapi import CurrentUser
from watchword.routing.match import public
from watchword.starlette import install as install_starlette
from watchword.testing import make_auth

FRAMEWORKS = ("fastapi", "starlette")
both = pytest.mark.parametrize("framework", FRAMEWORKS)


def late(rooms: Rooms, path: str) -> None:
    """One more private and one more public route."""
    rooms.app.add_route(path, rooms.plain(path))
    rooms.app.add_route(f"/open{path}", public(rooms.plain("open")))


@both
async def test_routes_are_guarded_whenever_they_are_added(framework: str) -> None:
    """Before and after install, after start-up, after the first request."""
    rooms = await empty(fastapi=framework == "fastapi")
    late(rooms, "/before")
    install(rooms)
    late(rooms, "/after")
    async with rooms.running():
        token = await rooms.token()
        late(rooms, "/started")
        for path in ("/before", "/after", "/started"):
            assert (await rooms.ask("GET", path)).status == 401
        late(rooms, "/asked")
        for path in ("/before", "/after", "/started", "/asked"):
            assert (await rooms.ask("GET", path)).status == 401
            assert (await rooms.ask("GET", path, token)).status == 200
            assert (await rooms.ask("GET", f"/open{path}")).status == 200
    assert rooms.ran == ["/before", "open", "/after", "open", "/started", "open", "/asked", "open"]


async def test_routers_are_guarded_whenever_they_grow() -> None:
    """FastAPI builds included routes lazily, and again when a router has changed: before, between, after requests."""
    rooms = await empty()
    router, inner = APIRouter(), APIRouter()
    rooms.app.include_router(router, prefix="/a")
    install(rooms)
    rooms.app.include_router(router, prefix="/b")
    router.include_router(inner, prefix="/inner")
    async with rooms.running():
        token = await rooms.token()
        for number in range(3):
            for grown, prefix in ((router, ""), (inner, "/inner")):
                path = f"/late{number}"
                grown.get(path)(rooms.api(path))
                grown.get(f"/open{number}")(public(rooms.api("open")))
                grown.add_route(f"/plain{number}", rooms.plain("plain"))
                grown.websocket(f"/socket{number}")(rooms.socket("socket"))
                for where in ("/a", "/b"):
                    base = where + prefix
                    assert (await rooms.ask("GET", f"{base}{path}")).status == 401
                    assert (await rooms.ask("GET", f"{base}/plain{number}")).status == 401
                    assert (await rooms.ask(SOCKET, f"{base}/socket{number}")).status == 401
                    assert rooms.ran == []
                    assert (await rooms.ask("GET", f"{base}{path}", token)).status == 200
                    assert (await rooms.ask(SOCKET, f"{base}/socket{number}", token)).status == 101
                    assert (await rooms.ask("GET", f"{base}/open{number}")).status == 200
                    rooms.ran.clear()
        rooms.app.include_router(router, prefix="/c")
        assert (await rooms.ask("GET", "/c/late0")).status == 401
        assert (await rooms.ask("GET", "/c/inner/late0")).status == 401


async def test_mounts_and_files_added_late_are_guarded(tmp_path: Path) -> None:
    """A sub-app, files and a front end, while requests come in."""
    rooms = await empty()
    install(rooms)
    async with rooms.running():
        token = await rooms.token()
        assert (await rooms.ask("GET", "/static/secret.txt")).status == 401
        rooms.app.mount("/static", StaticFiles(directory=web_folder(tmp_path / "web")))
        rooms.app.frontend("/", directory=tmp_path / "web")
        for path in ("/static/secret.txt", "/secret.txt", "/", "/index.html", "/no/such/page"):
            assert (await rooms.ask("GET", path, ("accept", "text/html"))).status == 401, path
        for path in ("/static/secret.txt", "/secret.txt", "/"):
            assert (await rooms.ask("GET", path, token)).status == 200, path


@both
async def test_paths_named_in_install_are_open_and_their_neighbours_are_not(
    framework: str, tmp_path: Path
) -> None:
    """`install(public=[…])` names routes and mounts as they are declared: nothing above, below or beside."""
    rooms = await empty(fastapi=framework == "fastapi")
    folder = web_folder(tmp_path / "web")
    rooms.app.router.routes += [
        Route("/hello", rooms.plain("open")),
        Route("/hello/{name}", rooms.plain("shut")),
        Route("/items/{number:int}", rooms.plain("open")),
        Route("/items/{name}", rooms.plain("shut")),
        Mount("/static", app=StaticFiles(directory=folder)),
        Mount("/static-private", app=StaticFiles(directory=folder)),
    ]
    install(rooms, public=["/hello", "/static", "/items/{number:int}"])
    async with rooms.running():
        for path in ("/hello", "/static/secret.txt", "/items/7"):
            assert (await rooms.ask("GET", path)).status == 200, path
        for path in ("/hello/", "/hello/x", "/hello/../hello/x", "/static", "/static-private/secret.txt"):
            assert (await rooms.ask("GET", path)).status == 401, path
        assert (await rooms.ask("GET", "/items/x")).status == 401
        assert (await rooms.ask("GET", "/static/no.txt")).status == 404
        for path in ("/static/../hello/x", "/static/%2e%2e/hello/x"):
            assert (await rooms.ask("GET", path)).status == 404, "a mount keeps to itself"
        assert (await rooms.ask("POST", "/hello")).status == 401
    assert set(rooms.ran) == {"open"}


async def test_a_name_in_install_opens_no_route_of_an_included_router_that_is_called_the_same() -> None:
    """What a router calls /hello is /admin/hello here: the name means the whole path and nothing else."""
    rooms = await empty()
    rooms.app.get("/hello")(rooms.api("open"))
    inner, router = APIRouter(), APIRouter(prefix="/teams")
    inner.get("/hello")(rooms.api("shut"))
    inner.add_route("/hello", rooms.plain("shut"))
    inner.routes.append(Mount("/hello", app=rooms.asgi("shut")))
    inner.websocket("/hello")(rooms.socket("shut"))
    router.include_router(inner, prefix="/inner")
    rooms.app.include_router(inner, prefix="/admin")
    rooms.app.include_router(router)
    install(rooms, public=["/hello"])
    async with rooms.running():
        assert (await rooms.ask("GET", "/hello")).status == 200
        for path in ("/admin/hello", "/admin/hello/x", "/teams/inner/hello", "/teams/inner/hello/x"):
            assert (await rooms.ask("GET", path)).status == 401, path
            assert (await rooms.ask(SOCKET, path)).status == 401, path
    assert rooms.ran == ["open"]


async def test_the_documentation_can_be_opened_by_name_and_only_what_is_named() -> None:
    """FastAPI's own routes are like all others."""
    rooms = await empty()
    install(rooms, public=["/docs", "/openapi.json"])
    async with rooms.running():
        statuses = {
            path: (await rooms.ask("GET", path)).status
            for path in ("/docs", "/openapi.json", "/redoc", "/docs/oauth2-redirect")
        }
    assert statuses == {"/docs": 200, "/openapi.json": 200, "/redoc": 401, "/docs/oauth2-redirect": 401}


@both
@pytest.mark.parametrize("name", ["/statics", "static", "/static/", "/static/*", "/included", "", "/"])
async def test_a_name_that_no_route_has_stops_the_start(framework: str, name: str, tmp_path: Path) -> None:
    """A typing error must not leave anything shut in silence, nor open what comes later."""
    rooms = await empty(fastapi=framework == "fastapi")
    rooms.app.router.routes.append(Mount("/static", app=StaticFiles(directory=web_folder(tmp_path / "web"))))
    if isinstance(rooms.app, FastAPI):
        router = APIRouter()
        router.get("/included")(rooms.api("included"))
        rooms.app.include_router(router, prefix="/a")
    install(rooms, public=["/static", name])
    with pytest.raises(SettingsError, match="no route or mount is declared"):
        async with rooms.running():
            pass


@both
async def test_a_second_install_is_refused(framework: str) -> None:
    """Two guards would refuse each other's tokens, and one guard twice would run its loops twice."""
    rooms, other = await empty(fastapi=framework == "fastapi"), await empty()
    install(rooms)
    for auth in (rooms.home.auth, other.home.auth):
        with pytest.raises(SettingsError, match="already"):
            ours.install(rooms.app, auth)
    rooms.app.add_route("/x", rooms.plain("x"))
    async with rooms.running():
        token = await rooms.token()
        assert (await rooms.ask("GET", "/x")).status == 401
        assert (await rooms.ask("GET", "/x", token)).status == 200


def rewriting(target: str) -> Callable[[Any], Any]:
    """A middleware as others write them: it changes where a request goes."""

    def wrap(app: Any) -> Any:
        async def rewritten(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                scope["path"] = target
                scope["raw_path"] = target.encode()
            await app(scope, receive, send)

        return rewritten

    return wrap


@both
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_middleware_that_rewrites_paths_changes_nothing_about_who_gets_in(
    framework: str, when: str
) -> None:
    """The guard judges what is dispatched, as it stands behind every middleware of the app."""
    rooms = await empty(fastapi=framework == "fastapi")
    rooms.app.add_route("/shut", rooms.plain("shut"))
    rooms.app.add_route("/open", public(rooms.plain("open")))
    if when == "before":
        rooms.app.add_middleware(rewriting("/shut"))
    install(rooms)
    if when == "after":
        rooms.app.add_middleware(rewriting("/shut"))
    async with rooms.running():
        token = await rooms.token()
        for path in ("/open", "/shut", "/auth/health/live", "/nothing"):
            assert (await rooms.ask("GET", path)).status == 401, path
        assert rooms.ran == []
        assert (await rooms.ask("GET", "/open", token)).status == 200
        assert rooms.ran == ["shut"]


@both
async def test_preflights_are_answered_by_the_apps_own_middleware(framework: str) -> None:
    """What stands in front of the guard goes on working: CORS does not need to be signed in."""
    rooms = await empty(fastapi=framework == "fastapi")
    rooms.app.add_route("/shut", rooms.plain("shut"))
    install(rooms)
    rooms.app.add_middleware(
        CORSMiddleware, allow_origins=["https://app.example.com"], allow_credentials=True
    )
    origin = ("origin", "https://app.example.com")
    async with rooms.running():
        answer = await rooms.ask("OPTIONS", "/shut", origin, ("access-control-request-method", "GET"))
        assert answer.status == 200
        refused = await rooms.ask("GET", "/shut", origin)
        assert (refused.status, refused.get("access-control-allow-origin")) == (401, origin[1])


class Sour(Exception):
    pass


@both
async def test_what_an_app_raises_still_reaches_its_own_handlers(framework: str) -> None:
    """Handlers for statuses and for classes, set before and after install; what nobody handles reaches the server."""

    async def sour(_: Request, error: Exception) -> Response:
        return PlainTextResponse(f"sour {error}", status_code=418)

    async def missing(_: Request, error: Exception) -> Response:
        return PlainTextResponse("mine", status_code=404)

    async def fails(request: Request) -> Response:
        raise {"sour": Sour("grapes"), "http": HTTPException(404), "value": ValueError("x")}[
            request.path_params["how"]
        ]

    rooms = await empty(fastapi=framework == "fastapi")
    rooms.app.add_route("/{how}", fails)
    rooms.app.add_exception_handler(Sour, sour)
    install(rooms)
    rooms.app.add_exception_handler(404, missing)
    async with rooms.running():
        token = await rooms.token()
        answer = await rooms.ask("GET", "/sour", token)
        assert (answer.status, answer.body) == (418, b"sour grapes")
        assert (await rooms.ask("GET", "/http", token)).body == b"mine"
        assert (await rooms.ask("GET", "/no/route", token)).body == b"mine"
        assert (await rooms.ask("GET", "/sour")).status == 401, "it did not run"
        with pytest.raises(ValueError, match="x"):
            await rooms.ask("GET", "/value", token)
        assert (await rooms.ask("GET", "/value", token, crashes=True)).status == 500


@both
async def test_our_problems_raised_by_an_app_are_answered_as_ours_are(framework: str) -> None:
    """An app may raise `Forbidden` itself; its client sees one kind of document."""

    async def fails(request: Request) -> Response:
        raise Forbidden("Not on Sundays.")

    rooms = await empty(fastapi=framework == "fastapi")
    rooms.app.add_route("/sunday", fails)
    install(rooms)
    async with rooms.running():
        answer = await rooms.ask("GET", "/sunday", await rooms.token())
        assert (answer.status, answer.code) == (403, "forbidden")
        assert answer.problem["detail"] == "Not on Sundays."


@both
@pytest.mark.parametrize("when", ["before", "after"])
async def test_the_apps_own_lifespan_runs_inside_ours_and_its_state_is_kept(
    framework: str, when: str
) -> None:
    """Its start-up may use `auth` already, its shutdown still, and what it yields reaches the requests."""
    told: list[str] = []

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[dict[str, Any]]:
        user = await rooms.home.auth.users.get(ADA)
        told.append(f"up for {user.email}")
        yield {"pool": "a pool"}
        assert await rooms.home.auth.sessions.list(ADA) is not None
        told.append("down")

    rooms = await empty(fastapi=framework == "fastapi", lifespan=lifespan)

    async def pool(request: Request) -> Response:
        return PlainTextResponse(request.state.pool)

    if when == "after":
        rooms.app.add_route("/pool", public(pool))
    install(rooms)
    if when == "before":
        rooms.app.add_route("/pool", public(pool))
    with TestClient(rooms.app) as client:
        assert told == [f"up for {ADA}"]
        assert client.get("/pool").text == "a pool"
    assert told == [f"up for {ADA}", "down"]


async def test_lifespans_of_routers_included_later_run_too() -> None:
    """FastAPI merges them around ours."""
    told: list[str] = []

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[dict[str, str]]:
        told.append("up")
        yield {"late": "yes"}
        told.append("down")

    rooms = await empty()
    install(rooms)
    rooms.app.include_router(APIRouter(lifespan=lifespan))
    async with rooms.running() as state:
        assert told == ["up"]
        assert state == {"late": "yes"}
        assert not rooms.home.auth.world.revocations.stale(rooms.home.clock.now())
    assert told == ["up", "down"]


@both
async def test_an_app_can_be_started_more_than_once(framework: str) -> None:
    """Tests do it with one app and a client each: signing in works the second time as well."""
    rooms = await empty(fastapi=framework == "fastapi")
    rooms.app.add_route("/shut", rooms.plain("shut"))
    install(rooms)
    for _ in range(3):
        with TestClient(rooms.app) as client:
            answer = client.post("/auth/login", json={"email": ADA, "password": PASSWORD})
            assert answer.status_code == 200
            bearer = {"authorization": f"Bearer {answer.json()['access_token']}"}
            assert client.get("/shut", headers=bearer).status_code == 200
            assert client.get("/auth/health/ready").status_code == 200


@both
async def test_a_start_that_fails_stops_our_loops(framework: str) -> None:
    """No task is left behind by an app whose own start-up fails."""

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        if not rooms.ran:
            raise Sour("no database")
        yield

    rooms = await empty(fastapi=framework == "fastapi", lifespan=lifespan)
    install(rooms)
    with pytest.raises(Sour):
        async with rooms.running():
            pass
    assert [task for task in asyncio.all_tasks() if "follow" in repr(task)] == []


@both
async def test_an_app_within_an_app_keeps_its_own_guard(framework: str) -> None:
    """A guarded app mounted in one without a guard, and in another guarded one by whose guard it is left alone."""
    rooms = await empty(fastapi=framework == "fastapi")
    rooms.app.add_route("/shut", rooms.plain("shut"))
    rooms.app.add_route("/open", public(rooms.plain("open")))
    install(rooms)
    token = await rooms.token()
    guarded = await empty()
    guarded.app.mount("/inner", rooms.app)
    ours.install(guarded.app, guarded.home.auth, public=["/inner"])
    for outer in (Starlette(routes=[Mount("/inner", app=rooms.app)]), guarded.app):
        outer_rooms = Rooms(outer, rooms.home)
        assert (await outer_rooms.ask("GET", "/inner/shut")).status == 401
        assert (await outer_rooms.ask("GET", "/inner/open")).status == 200
        assert (await outer_rooms.ask("GET", "/inner/auth/health/live")).status == 200
        assert (await outer_rooms.ask("GET", "/inner/shut", token)).status == 200


async def test_one_auth_may_guard_two_apps() -> None:
    """One token for both; each has the routes."""
    rooms = await empty()
    other = Starlette(routes=[Route("/x", rooms.plain("other"))])
    rooms.app.add_route("/x", rooms.plain("one"))
    install(rooms)
    install_starlette(other, rooms.home.auth)
    token = await rooms.token()
    for app in (rooms.app, other):
        there = Rooms(app, rooms.home)
        assert (await there.ask("GET", "/x")).status == 401
        assert (await there.ask("GET", "/x", token)).status == 200


@both
async def test_our_own_routes_are_there_under_the_prefix_and_nowhere_else(framework: str) -> None:
    """Another prefix moves all of them; the keys stay where RFC 8615 has them."""
    rooms = await empty({"prefix": "/identity/v1"}, fastapi=framework == "fastapi")
    install(rooms)
    async with rooms.running():
        assert (await rooms.ask("GET", "/identity/v1/health/live")).status == 200
        assert (await rooms.ask("GET", "/identity/v1/me")).problem["type"] == (
            "http://testserver/identity/v1/errors#invalid_token"
        )
        assert (await rooms.ask("GET", "/.well-known/jwks.json")).status == 200
        for path in ("/auth/health/live", "/identity/health/live", "/identity/v1x/health/live"):
            assert (await rooms.ask("GET", path)).code == "invalid_token"


async def test_routes_of_the_app_below_our_prefix_are_shadowed_and_not_opened() -> None:
    """Our routes are public as one; an app's route of that name must not become so."""
    rooms = await empty()
    rooms.app.get("/auth/admin")(rooms.api("shut"))
    rooms.app.websocket("/auth/socket")(rooms.socket("shut"))
    install(rooms)
    async with rooms.running():
        token = await rooms.token()
        for headers in ((), (token,)):
            answer = await rooms.ask("GET", "/auth/admin", *headers)
            assert (answer.status, answer.code) == (404, "not_found")
        assert (await rooms.ask(SOCKET, "/auth/socket")).status == 401
    assert rooms.ran == []


async def test_dependency_overrides_are_the_apps_own_business() -> None:
    """An overridden dependency neither opens nor closes anything."""
    rooms = await empty()

    async def setting() -> str:
        return "real"

    @rooms.app.get("/shut")  # type: ignore[untyped-decorator]
    async def shut(user: CurrentUser, value: str = Depends(setting)) -> dict[str, str]:
        return {"value": value, "user": user.id}

    rooms.app.dependency_overrides[setting] = lambda: "fake"
    install(rooms)
    async with rooms.running():
        assert (await rooms.ask("GET", "/shut")).status == 401
        assert (await rooms.ask("GET", "/shut", await rooms.token())).json["value"] == "fake"


async def test_a_dependency_of_the_app_does_not_run_for_nobody() -> None:
    """The guard stands in front: no database session is opened, no body is read."""
    rooms = await empty()

    async def expensive() -> None:
        rooms.ran.append("dependency")

    rooms.app.post("/shut", dependencies=[Depends(expensive)])(rooms.api("shut"))
    install(rooms)
    async with rooms.running():
        json = ("content-type", "application/json")
        assert (await rooms.ask("POST", "/shut", json, body=b"{" * 100_000)).status == 401
        assert rooms.ran == []
        assert (await rooms.ask("POST", "/shut", await rooms.token())).status == 200


async def test_the_start_tells_how_much_is_open(caplog: pytest.LogCaptureFixture) -> None:
    """One line in the log: who expects none to be public sees it."""
    rooms = await empty(openapi_url=None)
    rooms.app.get("/open")(public(rooms.api("open")))
    rooms.app.get("/shut")(rooms.api("shut"))
    install(rooms)
    with caplog.at_level(logging.INFO, logger="watchword"):
        async with rooms.running():
            pass
    assert "2 routes are public, 1 guarded" in caplog.text


async def test_the_audit_lists_every_route_and_whether_it_is_open(tmp_path: Path) -> None:
    """What `watchword routes` prints: included routes with their whole path."""
    rooms = await empty(openapi_url=None)
    router = APIRouter()
    router.get("/shut")(rooms.api("shut"))
    router.get("/open")(public(rooms.api("open")))
    rooms.app.include_router(router, prefix="/a")
    rooms.app.mount("/static", StaticFiles(directory=web_folder(tmp_path / "web")))
    rooms.app.get("/named")(rooms.api("named"))
    install(rooms, public=["/static", "/named"])
    listed = {entry.path: entry.public for entry in ours.audit(rooms.app)}
    assert listed == {"/auth": True, "/a/shut": False, "/a/open": True, "/static": True, "/named": True}


async def test_middleware_given_to_the_app_at_birth_stands_outside_the_guard() -> None:
    """`middleware=[…]` and `add_middleware` alike see refused requests as well."""
    seen: list[int] = []

    def watch(app: Any) -> Any:
        async def watching(scope: Any, receive: Any, send: Any) -> None:
            async def see(message: Any) -> None:
                if message["type"] == "http.response.start":
                    seen.append(message["status"])
                await send(message)

            await app(scope, receive, see)

        return watching

    rooms = await empty(middleware=[Middleware(watch)])
    rooms.app.get("/shut")(rooms.api("shut"))
    install(rooms)
    async with rooms.running():
        await rooms.ask("GET", "/shut")
        await rooms.ask("GET", "/shut", await rooms.token())
    assert seen == [401, 200]


async def test_a_json_endpoint_of_the_app_keeps_its_own_answers() -> None:
    """The guard adds no header to what an app answers."""
    rooms = await empty()

    async def mine(request: Request) -> Response:
        return JSONResponse({}, headers={"cache-control": "max-age=60"})

    rooms.app.add_route("/mine", mine)
    install(rooms)
    async with rooms.running():
        answer = await rooms.ask("GET", "/mine", await rooms.token())
    assert sorted(name for name, _ in answer.headers) == [
        b"cache-control",
        b"content-length",
        b"content-type",
    ]


async def test_an_app_with_a_limit_on_bodies_is_guarded_like_any_other() -> None:
    """FastAPI keeps such a limit where the guard goes: the guard stands in front of it."""
    rooms = await empty(max_body_size=1000)
    rooms.app.post("/shut")(rooms.api("shut"))
    rooms.app.post("/open")(public(rooms.api("open")))
    install(rooms)
    async with rooms.running():
        token = await rooms.token()
        assert (await rooms.ask("POST", "/shut", body=b"x")).status == 401
        assert rooms.ran == []
        assert (await rooms.ask("POST", "/open")).status == 200
        assert (await rooms.ask("POST", "/shut", token)).status == 200
    assert rooms.ran == ["open", "shut"]


@both
async def test_a_crash_in_our_routes_is_answered_by_us_and_known_to_the_server(framework: str) -> None:
    """ASVS 16.5.1, 16.5.4: a problem document, whatever handlers the app has; the error goes on to the server."""

    async def mine(_: Request, error: Exception) -> Response:
        return PlainTextResponse(f"{error}", status_code=418)

    async def crash(_: str) -> Any:
        raise RuntimeError("the database is at 10.0.0.5")

    rooms = await empty(fastapi=framework == "fastapi")
    rooms.app.add_exception_handler(RuntimeError, mine)
    rooms.app.add_exception_handler(Exception, mine)
    install(rooms)
    instead(rooms.home.auth.world.store, "find_user", crash)
    async with rooms.running():
        json, body = ("content-type", "application/json"), b'{"email":"x","password":"x"}'
        answer = await rooms.ask("POST", "/auth/login", json, body=body, crashes=True)
        assert (answer.status, answer.code) == (500, "internal_error")
        assert b"10.0.0.5" not in answer.body
        with pytest.raises(RuntimeError):
            await rooms.ask("POST", "/auth/login", json, body=body)


def test_an_apps_own_urls_can_still_be_looked_up() -> None:
    """`url_for`, in templates for one: our routes have no names among an app's own."""
    app = FastAPI()
    ours.install(app, make_auth())

    @app.get("/items/{item}", name="item")
    async def item(item: str) -> None: ...

    assert app.url_path_for("item", item="7") == "/items/7"
    with pytest.raises(NoMatchFound):
        app.url_path_for("nothing")
