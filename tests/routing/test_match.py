"""Which endpoint a request would reach, and whether it is open: asked of the routes, closed where they cannot tell."""

from __future__ import annotations

import functools
import itertools
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from starlette.endpoints import HTTPEndpoint
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Match, Mount, Route, WebSocketRoute

from watchword.routing.match import UNKNOWN, audit, is_public, matched, public


async def shut(request: Request) -> Response:
    return PlainTextResponse("")


@public
async def opened(request: Request) -> Response:
    return PlainTextResponse("")


def scope(path: str, method: str = "GET", **more: Any) -> dict[str, Any]:
    kind = {"type": "http", "method": method} if method != "SOCKET" else {"type": "websocket"}
    return {**kind, "path": path, "root_path": "", "headers": [], **more}


def is_open(routes: list[BaseRoute], path: str, method: str = "GET", *names: str) -> bool:
    return is_public(routes, scope(path, method), frozenset(names))


def test_the_first_full_match_decides_as_in_the_router() -> None:
    """A route that is shadowed can neither open nor close anything."""
    assert is_open([Route("/x", opened), Route("/x", shut)], "/x")
    assert not is_open([Route("/x", shut), Route("/x", opened)], "/x")
    assert not is_open([Route("/{name}", shut), Route("/x", opened)], "/x")


def test_a_match_in_part_is_no_match() -> None:
    """Another method of a public path is not public, unless a later route answers it in full."""
    assert not is_open([Route("/x", opened, methods=["GET"])], "/x", "POST")
    assert is_open([Route("/x", shut, methods=["POST"]), Route("/x", opened)], "/x")
    assert not is_open([Route("/x", opened), Route("/x", shut, methods=["POST"])], "/x", "POST")


def test_what_matches_nothing_is_unknown_and_not_public() -> None:
    """404, 405 and redirects are for the signed-in."""
    for path in ("/", "/x/", "/y", ""):
        assert matched([Route("/x", opened)], scope(path)) == (UNKNOWN, None)
        assert not is_open([Route("/x", opened)], path)
    assert not is_open([], "/x", "GET", "/x")
    assert not is_open([WebSocketRoute("/x", opened)], "/x")
    assert not is_open([Route("/x", opened)], "/x", "SOCKET")


def test_a_route_that_does_not_say_where_it_leads_is_unknown() -> None:
    """A framework of tomorrow: no `endpoint`, no `_match`; closed."""

    class Odd(BaseRoute):
        def matches(self, scope: Any) -> tuple[Match, dict[str, Any]]:
            return Match.FULL, {}

    assert matched([Odd()], scope("/x")) == (UNKNOWN, None)
    assert not is_open([Odd(), Route("/x", opened)], "/x")


def test_a_mark_belongs_to_one_thing_and_is_not_inherited() -> None:
    """What derives from a public class, or stands in for a public function, was not declared public by that."""

    @public
    class Open(HTTPEndpoint):
        pass

    class Shut(Open):
        pass

    @public
    class App:
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...

    class Everything:
        def __getattr__(self, name: str) -> Any:
            return True

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...

    assert is_open([Route("/x", Open)], "/x")
    assert not is_open([Route("/x", Shut)], "/x")
    assert not is_open([Mount("/x", App())], "/x/")
    assert not is_open([Mount("/x", Everything())], "/x/")
    assert is_open([Mount("/x", public(App()))], "/x/")
    assert not is_open([Route("/x", functools.partial(opened))], "/x")
    assert is_open([Route("/x", public(functools.partial(shut)))], "/x")


def test_a_mark_survives_what_keeps_a_functions_attributes() -> None:
    """`functools.wraps` and methods: the endpoint is still the one that was marked."""

    class Views:
        @public
        async def open(self, request: Request) -> Response:
            return PlainTextResponse("")

        async def shut(self, request: Request) -> Response:
            return PlainTextResponse("")

    @functools.wraps(opened)
    async def wrapped(request: Request) -> Response:
        return await opened(request)

    assert is_open([Route("/x", Views().open)], "/x")
    assert not is_open([Route("/x", Views().shut)], "/x")
    assert is_open([Route("/x", wrapped)], "/x")


@pytest.mark.parametrize("value", ["yes", 1, "False", [True], object()])
def test_only_the_mark_itself_counts(value: object) -> None:
    """An attribute of that name with any other value is an accident."""

    async def endpoint(request: Request) -> Response:
        return PlainTextResponse("")

    endpoint.__watchword_public__ = value  # type: ignore[attr-defined]
    assert not is_open([Route("/x", endpoint)], "/x")


def test_public_returns_what_it_marks() -> None:
    """It goes on top of any decorator, or around a mounted app."""

    async def endpoint(request: Request) -> Response:
        return PlainTextResponse("")

    assert public(endpoint) is endpoint
    with pytest.raises(AttributeError):
        public(len)  # cannot carry a mark: told at once instead of staying shut in silence


def test_a_mount_is_judged_as_one() -> None:
    """Marks inside do not count: what the app in there does with a path is not ours to guess."""
    inside = Mount("/m", routes=[Route("/open", opened), Route("/shut", shut)])
    for path in ("/m/", "/m/open", "/m/shut", "/m/nothing"):
        assert not is_open([inside], path)
        assert is_open([inside], path, "GET", "/m")
    assert not is_open([inside], "/m", "GET", "/m")
    assert not is_open([inside], "/mx", "GET", "/m")


def test_names_mean_routes_as_they_are_declared_and_not_what_is_asked_for() -> None:
    """A name is compared with the declaration: a parameter's value never opens anything."""
    routes: list[BaseRoute] = [Route("/{name}", shut), Route("/a/{name}", shut)]
    assert not is_open(routes, "/x", "GET", "/x")
    assert is_open(routes, "/x", "GET", "/{name}")
    assert not is_open(routes, "/a/x", "GET", "/{name}", "/a/x")


def test_included_routers_are_followed_to_the_endpoint_however_deep() -> None:
    """FastAPI tells which route of a router matches in private only: if that changes, this test says so."""
    routers = [APIRouter() for _ in range(4)]
    for outer, inner in itertools.pairwise(routers):
        outer.include_router(inner, prefix="/deeper")
    routers[-1].get("/open")(opened)
    routers[-1].get("/shut")(shut)
    app = FastAPI(openapi_url=None)
    app.include_router(routers[0], prefix="/deep")
    base = "/deep" + "/deeper" * 3
    assert is_open(app.router.routes, f"{base}/open")
    assert not is_open(app.router.routes, f"{base}/shut")
    assert not is_open(app.router.routes, f"{base}/open", "POST")
    assert not is_open(app.router.routes, f"{base}/shut", "GET", "/shut", "/deep", f"{base}/shut")
    assert matched(app.router.routes, scope(f"{base}/shut"))[0] is shut


def test_asking_leaves_no_trace_that_would_change_the_dispatch() -> None:
    """The router matches again afterwards; it must see the request as it came."""
    app = FastAPI(openapi_url=None)
    router = APIRouter()
    router.get("/{name}")(opened)
    app.include_router(router, prefix="/a")
    asked = scope("/a/x")
    is_public(app.router.routes, asked, frozenset())
    assert {key: value for key, value in asked.items() if value not in ({}, None)} == {
        key: value for key, value in scope("/a/x").items() if value not in ({}, None)
    }


def test_the_audit_says_what_the_guard_would_do() -> None:
    """Information for people; one line a route with its methods and whose function it is."""
    routes: list[BaseRoute] = [
        Route("/open", opened),
        Route("/shut", shut, methods=["POST"]),
        Mount("/files", app=PlainTextResponse("")),
        WebSocketRoute("/socket", opened),
    ]
    entries = audit(routes, frozenset({"/files"}))
    assert [(entry.path, entry.methods, entry.public) for entry in entries] == [
        ("/open", ("GET", "HEAD"), True),
        ("/shut", ("POST",), False),
        ("/files", (), True),
        ("/socket", (), True),
    ]
    assert entries[1].endpoint == "shut"
