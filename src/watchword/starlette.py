"""Watchword in a Starlette app: the markers, the guard in front of the router, the audit of routes. Idiom only.

    auth = Watchword()
    app = Starlette(routes=[...])
    install(app, auth)

Which endpoint an anonymous request would reach is asked of the routes themselves, never guessed from its path.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, TypeVar, cast

from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from watchword.auth import Watchword, log
from watchword.core.session import Principal
from watchword.core.user import User
from watchword.errors import NotAuthenticated, Problem, SettingsError
from watchword.flows.live import load_live
from watchword.http.guard import OWNER_KEY, SCOPE_KEY, Guard
from watchword.http.kept import delivering
from watchword.http.problem import ASGIApp
from watchword.routing.answers import problem_response
from watchword.routing.match import audit, is_public
from watchword.routing.ours import OurPaths, declared
from watchword.settings import Cors
from watchword.texts import duration

T = TypeVar("T")


def current_user(connection: HTTPConnection) -> Principal:
    """The principal of a request. Raises NotAuthenticated on a public endpoint that nobody is signed in to."""
    principal: Principal | None = connection.scope.get(SCOPE_KEY)
    if principal is None:
        raise NotAuthenticated
    return principal


async def stored_user(connection: HTTPConnection) -> User:
    """The user's row, read now. Raises NotAuthenticated, SessionEnded, Unavailable."""
    return (await _asked(connection, lambda auth, principal: load_live(auth.world, principal))).user


async def check(connection: HTTPConnection, *, fresh: str | None, live: bool, role: str | None) -> None:
    """What `require` asks, of one request."""
    await _asked(connection, lambda auth, known: auth.demand(known, fresh=span(fresh), live=live, role=role))


async def _asked(connection: HTTPConnection, ask: Callable[[Watchword, Principal], Awaitable[T]]) -> T:
    """The answer about the principal of a request, who may have got new roles by the time that there is one."""
    auth: Watchword = connection.scope[OWNER_KEY]
    scope, principal = connection.scope, current_user(connection)
    scope[SCOPE_KEY], answer = await auth.site.asked(scope, principal, lambda known: ask(auth, known))
    return answer


def span(fresh: str | None) -> timedelta | None:
    """`5m` as a span. Raises SettingsError, when the route is declared."""
    try:
        return None if fresh is None else duration(fresh)
    except ValueError as error:
        raise SettingsError(f"require(fresh={fresh!r}): {error}") from None


def require(
    *, fresh: str | None = None, live: bool = False, role: str | None = None
) -> Callable[[Callable[[Request], Awaitable[Response]]], Callable[[Request], Awaitable[Response]]]:
    """Decorate an endpoint that asks for more than a valid token: a sign-in at most `fresh` ago (`5m`), a session
    read from the database (`live`), a role."""
    span(fresh)

    def decorate(
        endpoint: Callable[[Request], Awaitable[Response]],
    ) -> Callable[[Request], Awaitable[Response]]:
        if not inspect.iscoroutinefunction(endpoint):
            raise SettingsError(f"require: {endpoint!r} is no async function")

        @functools.wraps(endpoint)
        async def checked(request: Request) -> Response:
            await check(request, fresh=fresh, live=live, role=role)
            return await endpoint(request)

        return checked

    return decorate


def install(
    app: Starlette,
    auth: Watchword,
    *,
    public: Sequence[str] = (),
    renew: bool = False,
    every: Callable[[], Iterable[Any]] | None = None,
) -> None:
    """Put our routes, the guard, the loops and problem documents into an app. `public` names routes and mounts, as
    declared, that are open to anybody; `renew` is for pages that a server renders: an expired access token in a cookie
    is renewed before the handler; `every` tells of routes outside the router. Raises SettingsError."""
    if isinstance(app.router.middleware_stack, Guard):
        raise SettingsError("install: this app has a guard already, and two would refuse each other's tokens")
    opened = frozenset(public)
    app.state.watchword_public = opened  # `watchword routes` reads it
    # Not among the app's own, which would pay for one more comparison.
    ours = OurPaths(auth.app, auth.paths, prefix=auth.settings.prefix, taken=declared(app.router.routes))
    app.state.watchword_routes = ours.shown  # `watchword routes` reads it
    renewal = auth.site.renewal() if renew else None
    guard = auth.guard(
        app.router.middleware_stack,
        lambda scope: is_public(app.router.routes, scope, opened),
        is_ours=ours.reached,
        renewal=renewal,
    )
    app.router.middleware_stack = cast(Any, guard)  # awaitable, if no coroutine function
    app.add_exception_handler(Problem, _answer(auth))
    if renewal is not None:
        _around(app, delivering)
    if auth.settings.cors is Cors.APP:
        _around(app, auth.cross_origin)
    inner = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(host: Any) -> AsyncIterator[Any]:
        known = declared(app.router.routes)
        if unknown := opened - known:
            raise SettingsError(
                f"install(public=…): no route or mount is declared as {', '.join(sorted(unknown))}"
            )
        ours.check(known if every is None else declared(every()))
        async with auth.lifespan(), inner(host) as state:
            entries = audit([*ours.shown, *app.router.routes], opened)
            count = sum(entry.public for entry in entries)
            log.info("%d routes are public, %d guarded", count, len(entries) - count)
            if renewal is not None:
                renewal.announce()
            yield state

    app.router.lifespan_context = lifespan


def _around(app: Starlette, wrap: Callable[[ASGIApp], ASGIApp]) -> None:
    """CORS, or renewed cookies, around everything. One of the app's middlewares would not see the answers to crashes
    and to bodies that are too large, which Starlette gives outside of those, nor anything of middlewares added later.
    """
    build = app.build_middleware_stack
    app.build_middleware_stack = lambda: cast(Any, wrap(build()))  # type: ignore[method-assign]


def _answer(auth: Watchword) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def answer(request: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)  # noqa: S101 - registered for nothing else
        auth.site.denials.tell(request.scope, error)
        return problem_response(error, docs=auth.site.docs)

    return answer
