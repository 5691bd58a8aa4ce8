"""POST /refresh, /logout and /logout/all; GET /me; the list of sessions and ending them.

/refresh is a plain Starlette route: it is the hottest, and FastAPI's machinery costs it a third of its rate.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import Field

from watchword.core.session import End
from watchword.errors import (
    BadRequest,
    CsrfRejected,
    InvalidRequest,
    InvalidToken,
    NotAuthenticated,
    NotFound,
    Overloaded,
    PayloadTooLarge,
    Problem,
    ReauthenticationRequired,
    RefreshReused,
    RefreshSuperseded,
    SessionEnded,
    TokenExpired,
    Unavailable,
    UnsupportedMediaType,
)
from watchword.flows.end import end_all, end_one, log_out, log_out_everywhere
from watchword.flows.live import check_fresh
from watchword.flows.refresh import refresh
from watchword.http.problem import Headers
from watchword.http.shapes import device_json, session_json, user_json
from watchword.http.site import Site
from watchword.routing.answers import Devices, Me, Ok, Tokens, answers, reply
from watchword.routing.app import PlainRoute
from watchword.routing.bodies import Body, JsonRoute, read_optional

FRESH_SECONDS = 300
"""How recent a sign-in must be to end other sessions (ASVS 5.0 7.5.1)."""
_UNREADABLE = (BadRequest, InvalidRequest, PayloadTooLarge, UnsupportedMediaType, CsrfRejected)
_UNKNOWN = (InvalidToken, TokenExpired, SessionEnded, Unavailable)
LogOut = Callable[..., Awaitable[object]]
_WIPE = (b"clear-site-data", b'"cache"')


class RefreshBody(Body):
    """Empty, or the refresh token of a bearer session."""

    refresh_token: str | None = Field(None, repr=False)


def router(site: Site) -> APIRouter:
    routes = APIRouter(prefix=site.settings.prefix, route_class=JsonRoute, tags=["sessions"])
    world, delivery = site.world, site.delivery

    def ip_of(request: Request) -> str:
        return site.addresses.client(request.scope).ip

    async def renew(request: Request) -> Response:
        body = await read_optional(request, RefreshBody)
        token, in_cookie = delivery.presented(request.scope["headers"], body.refresh_token)
        if token is None:
            raise NotAuthenticated("There is no refresh token in this request.")
        client = site.addresses.client(request.scope)
        return reply(*delivery.tokens(await refresh(world, token, in_cookie=in_cookie, client=client)))

    async def end(request: Request, log_out: LogOut) -> Response:
        headers = request.scope["headers"]
        body = await read_optional(request, RefreshBody)
        await log_out(
            world,
            refresh=_lenient_refresh(site, headers, body.refresh_token),
            access=_lenient_access(site, headers),
            ip=ip_of(request),
        )
        return reply({"ok": True, "message": "Logged out"}, [*delivery.clearing(), _WIPE])

    async def logout(request: Request) -> Response:
        return await end(request, log_out)

    async def logout_all(request: Request) -> Response:
        return await end(request, log_out_everywhere)

    endings = (*_UNREADABLE, Unavailable)
    refusals = (InvalidToken, SessionEnded, RefreshReused, RefreshSuperseded, Overloaded)
    for path, endpoint, summary, answer, problems in (
        ("/refresh", renew, "Renew the tokens", Tokens, (*endings, *refusals)),
        ("/logout", logout, "Sign out", Ok, endings),
        ("/logout/all", logout_all, "Sign out everywhere", Ok, endings),
    ):
        routes.routes.append(
            PlainRoute(
                routes.prefix + path,
                endpoint,
                summary=summary,
                tag="sessions",
                body=RefreshBody,
                answer=answer,
                problems=problems,
            )
        )

    @routes.get(
        "/me", summary="Who is signed in", response_model=Me, responses=answers(BadRequest, *_UNKNOWN)
    )
    async def me(request: Request) -> Response:
        _, loaded = await site.signed_in(request.scope)
        return reply({"user": user_json(loaded.user), "session": session_json(loaded.session)})

    @routes.get(
        "/sessions", summary="My devices", response_model=Devices, responses=answers(BadRequest, *_UNKNOWN)
    )
    async def devices(request: Request) -> Response:
        principal, loaded = await site.signed_in(request.scope)
        rows = await world.store.list_sessions(principal.id, now=loaded.now)
        return reply({"sessions": [device_json(row, current=principal.sid) for row in rows]})

    fresh = answers(BadRequest, CsrfRejected, *_UNKNOWN, ReauthenticationRequired)

    @routes.delete("/sessions", summary="End all other sessions", response_model=Ok, responses=fresh)
    async def end_others(request: Request) -> Response:
        principal, loaded = await site.signed_in(request.scope)
        check_fresh(loaded, FRESH_SECONDS)
        await end_all(world, principal.id, End.REVOKED, keep=principal.sid, ip=ip_of(request))
        return reply({"ok": True})

    @routes.delete(
        "/sessions/{sid}",
        summary="End one of my sessions",
        response_model=Ok,
        responses=fresh | answers(NotFound, InvalidRequest),
    )
    async def end_device(request: Request, sid: UUID) -> Response:
        principal, loaded = await site.signed_in(request.scope)
        check_fresh(loaded, FRESH_SECONDS)
        if not await end_one(world, str(sid), End.REVOKED, user_id=principal.id, ip=ip_of(request)):
            raise NotFound("You have no such session.")
        return reply({"ok": True})

    return routes


def _lenient_refresh(site: Site, headers: Headers, in_body: str | None) -> str | None:
    """Logging out never fails for a token that cannot be told."""
    try:
        return site.delivery.presented(headers, in_body)[0]
    except Problem:
        return None


def _lenient_access(site: Site, headers: Headers) -> bytes | None:
    try:
        bearer, cookie = site.authenticator.tokens(headers)
    except Problem:
        return None
    return bearer or cookie
