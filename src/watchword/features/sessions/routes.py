"""POST /refresh, /logout and /logout/all; GET /me; the list of sessions and ending them."""

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
    RateLimited,
    ReauthenticationRequired,
    RefreshReused,
    RefreshSuperseded,
    SessionEnded,
    TokenExpired,
    Unavailable,
    UnsupportedMediaType,
)
from watchword.flows.end import end_all, end_one, log_out, log_out_everywhere
from watchword.flows.live import FRESH_SECONDS, check_fresh
from watchword.flows.refresh import refresh
from watchword.http.shapes import device_json, session_json, user_json
from watchword.http.site import Site
from watchword.routing.answers import Devices, Me, Ok, Tokens, answers, replies
from watchword.routing.app import PlainRoute
from watchword.routing.bodies import Body

_UNREADABLE = (BadRequest, InvalidRequest, PayloadTooLarge, UnsupportedMediaType, CsrfRejected)
_UNKNOWN = (InvalidToken, TokenExpired, SessionEnded, Unavailable)
LogOut = Callable[..., Awaitable[object]]
_WIPE = (b"clear-site-data", b'"cache"')


class RefreshBody(Body):
    """Empty, or the refresh token of a bearer session."""

    refresh_token: str | None = Field(None, repr=False)


class LogoutBody(RefreshBody):
    """Empty, or the tokens of a bearer session, complete or waiting for its second step."""

    two_factor_token: str | None = Field(None, repr=False)


def router(site: Site) -> APIRouter:
    reply = replies(site.settings.field_case)
    routes = APIRouter(prefix=site.settings.prefix, tags=["sessions"])
    world, delivery = site.world, site.delivery

    def ip_of(request: Request) -> str:
        return site.addresses.client(request.scope).ip

    async def renew(request: Request, body: RefreshBody) -> Response:
        scope = request.scope
        token, in_cookie = delivery.presented(scope["headers"], body.refresh_token)
        if token is not None:
            client = site.addresses.client(scope)
            grant = await refresh(world, token, in_cookie=in_cookie, client=client)
            answer, lines = delivery.tokens(grant)
            return reply(answer, [*lines, *(site.forgery.renewed(grant.session.sid) if in_cookie else ())])
        again = await site.kept.again(scope, world.clock.now()) if site.kept else None
        if again is None:
            raise NotAuthenticated("There is no refresh token in this request.")
        return reply(*again)

    async def end(request: Request, body: LogoutBody, log_out: LogOut) -> Response:
        headers = request.scope["headers"]
        brought = site.brought(headers, refresh=body.refresh_token, challenge=body.two_factor_token)
        for each in (brought, *delivery.doubled(headers)):
            await log_out(world, each, ip=ip_of(request))
        lines = [*delivery.clearing(headers), *site.forgery.clearing(), _WIPE]
        return reply({"ok": True, "message": "Logged out"}, lines)

    async def logout(request: Request, body: LogoutBody) -> Response:
        return await end(request, body, log_out)

    async def logout_all(request: Request, body: LogoutBody) -> Response:
        return await end(request, body, log_out_everywhere)

    endings = (*_UNREADABLE, Unavailable)
    refusals = (InvalidToken, SessionEnded, RefreshReused, RefreshSuperseded, RateLimited, Overloaded)
    for path, endpoint, body, summary, answer, problems in (
        ("/refresh", renew, RefreshBody, "Renew the tokens", Tokens, (*endings, *refusals)),
        ("/logout", logout, LogoutBody, "Sign out", Ok, endings),
        ("/logout/all", logout_all, LogoutBody, "Sign out everywhere", Ok, endings),
    ):
        routes.routes.append(
            PlainRoute(
                routes.prefix + path,
                endpoint,
                summary=summary,
                tag="sessions",
                body=body,
                case=site.settings.field_case,
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
        check_fresh(principal, loaded, FRESH_SECONDS)
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
        check_fresh(principal, loaded, FRESH_SECONDS)
        if not await end_one(world, str(sid), End.REVOKED, user_id=principal.id, ip=ip_of(request)):
            raise NotFound("You have no such session.")
        return reply({"ok": True})

    return routes
