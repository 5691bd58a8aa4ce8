"""Watchword in a Starlette app: the markers, the guard in front of the router, the audit of routes. Idiom only.

    auth = Watchword()
    app = Starlette(routes=[...])
    install(app, auth)

Which endpoint an anonymous request would reach is asked of the routes themselves, never guessed from its path.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, cast

from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.types import Scope

from watchword.auth import Watchword, log
from watchword.core.session import Principal
from watchword.core.user import User
from watchword.errors import NotAuthenticated, Problem, SettingsError
from watchword.flows.live import load_live
from watchword.http.guard import OWNER_KEY, SCOPE_KEY, Guard
from watchword.routing.answers import problem_response
from watchword.routing.match import audit, is_public, public
from watchword.settings import duration


def current_user(connection: HTTPConnection) -> Principal:
    """The principal of a request. Raises NotAuthenticated on a public endpoint that nobody is signed in to."""
    principal: Principal | None = connection.scope.get(SCOPE_KEY)
    if principal is None:
        raise NotAuthenticated
    return principal


async def stored_user(connection: HTTPConnection) -> User:
    """The user's row, read now. Raises NotAuthenticated, SessionEnded, Unavailable."""
    auth: Watchword = connection.scope[OWNER_KEY]
    return (await load_live(auth.world, current_user(connection))).user


async def check(connection: HTTPConnection, *, fresh: str | None, live: bool, role: str | None) -> None:
    """What `require` asks, of one request."""
    auth: Watchword = connection.scope[OWNER_KEY]
    await auth.demand(current_user(connection), fresh=span(fresh), live=live, role=role)


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


def install(app: Starlette, auth: Watchword, *, public: Sequence[str] = ()) -> None:
    """Put our routes, the guard, the loops and problem documents into an app. `public` names routes and mounts, by
    their path as declared, that are open to anybody. Raises SettingsError for an app that has a guard already."""
    if isinstance(app.router.middleware_stack, Guard):
        raise SettingsError("install: this app has a guard already, and two would refuse each other's tokens")
    opened = frozenset(public)
    app.state.watchword_public = opened  # `watchword routes` reads it
    ours = AuthRoutes(auth)  # not among the app's own, which would pay for one more comparison
    app.state.watchword_routes = (ours,)  # `watchword routes` reads it
    guard = auth.guard(
        app.router.middleware_stack,
        lambda scope: is_public(app.router.routes, scope, opened),
        is_ours=ours.reached,
    )
    app.router.middleware_stack = cast(Any, guard)  # awaitable, if no coroutine function
    app.add_exception_handler(Problem, _answer(auth))
    inner = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(host: Any) -> AsyncIterator[Any]:
        known = {getattr(route, "path", None) for route in app.router.routes}
        if unknown := opened - known:
            raise SettingsError(
                f"install(public=…): no route or mount is declared as {', '.join(sorted(unknown))}"
            )
        async with auth.lifespan(), inner(host) as state:
            entries = audit([ours, *app.router.routes], opened)
            log.info(
                "%d routes are public, %d guarded",
                sum(e.public for e in entries),
                sum(not e.public for e in entries),
            )
            yield state

    app.router.lifespan_context = lifespan


class AuthRoutes:
    """All our routes as one entry of the audit, which the guard goes to first. Public: they authenticate themselves."""

    def __init__(self, auth: Watchword) -> None:
        self.path = auth.settings.prefix
        self.endpoint = public(auth.app)
        self._below = auth.settings.prefix + "/"
        self._alone = (auth.settings.prefix, "/.well-known/jwks.json")

    def reached(self, scope: Scope) -> bool:
        path, root = scope["path"], scope.get("root_path", "")
        if root and f"{path}/".startswith(f"{root}/"):  # a whole prefix, as Starlette's own routes see it
            path = path[len(root) :]
        return scope["type"] == "http" and (path.startswith(self._below) or path in self._alone)


def _answer(auth: Watchword) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def answer(_: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)  # noqa: S101 - registered for nothing else
        return problem_response(error, docs=auth.site.docs)

    return answer
