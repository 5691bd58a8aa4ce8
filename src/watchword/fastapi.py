"""Watchword in a FastAPI app: `install`, `public`, `require` and the parameters that name who is signed in.

    auth = Watchword()                 # WATCHWORD_* from the environment
    app = FastAPI()
    install(app, auth)

    @app.get("/profile")
    async def profile(user: CurrentUser): return {"id": user.id}

Idiom only: the guard, the markers and the audit are watchword.starlette's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Depends, FastAPI
from fastapi.routing import iter_route_contexts
from starlette.requests import HTTPConnection

from watchword.auth import Watchword
from watchword.core.session import Principal
from watchword.core.user import User
from watchword.errors import NotAuthenticated
from watchword.http.guard import SCOPE_KEY
from watchword.routing.match import Entry, public
from watchword.routing.match import audit as _audit
from watchword.starlette import check, span, stored_user
from watchword.starlette import install as _install

__all__ = ["CurrentUser", "OptionalUser", "StoredUser", "audit", "install", "public", "require"]


async def _principal(connection: HTTPConnection) -> Principal:
    """As `current_user`, which would be one step more for every request that asks."""
    principal: Principal | None = connection.scope.get(SCOPE_KEY)
    if principal is None:
        raise NotAuthenticated
    return principal


async def _principal_if_any(connection: HTTPConnection) -> Principal | None:
    principal: Principal | None = connection.scope.get(SCOPE_KEY)
    return principal


# The scope is what FastAPI would work out by itself, at every request.
CurrentUser = Annotated[Principal, Depends(_principal, scope="request")]
"""Who is signed in, as the token says: id, sid, roles, amr, auth_time, claims. No I/O."""

OptionalUser = Annotated[Principal | None, Depends(_principal_if_any)]
"""The same on public routes, where it may be nobody."""

StoredUser = Annotated[User, Depends(stored_user)]
"""The user's row, read from the database with the session: one look-up."""


def require(*, fresh: str | None = None, live: bool = False, role: str | None = None) -> Any:
    """A dependency for `dependencies=[…]`: a sign-in at most `fresh` ago (`5m`) whose session is read from the
    database, only the latter (`live`), a role."""
    span(fresh)

    async def required(connection: HTTPConnection) -> None:
        await check(connection, fresh=fresh, live=live, role=role)

    return Depends(required)


def install(app: FastAPI, auth: Watchword, *, public: Sequence[str] = (), renew: bool = False) -> None:
    """Our routes, the guard on every endpoint (declared before or after), the loops, and problem documents.

    `public` names routes and mounts, by their path as declared, that are open to anybody: `["/static", "/docs"]`.
    `renew` is for pages that the server renders: a browser whose access token has run out gets a new one on the way to
    the handler, in mode `cookies`.
    """
    _install(app, auth, public=public, renew=renew, every=lambda: iter_route_contexts(app.routes))


def audit(app: FastAPI) -> list[Entry]:
    """Every declared route, those of included routers too, and whether it is public."""
    routes = [*getattr(app.state, "watchword_routes", ()), *iter_route_contexts(app.routes)]
    return _audit(routes, getattr(app.state, "watchword_public", frozenset()))
