"""DELETE /me and POST /email/change."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from pydantic import Field

from watchword.core.user import MAX_LOGIN
from watchword.errors import (
    BadRequest,
    CsrfRejected,
    Forbidden,
    InvalidRequest,
    InvalidToken,
    PayloadTooLarge,
    RateLimited,
    ReauthenticationRequired,
    SessionEnded,
    TokenExpired,
    Unavailable,
    UnsupportedMediaType,
)
from watchword.features.account import flow
from watchword.flows.live import FRESH_SECONDS, check_fresh
from watchword.http.site import Site
from watchword.routing.answers import Ok, answers, replies
from watchword.routing.app import PlainRoute
from watchword.routing.bodies import Body

_UNKNOWN = (InvalidToken, TokenExpired, SessionEnded, Unavailable, ReauthenticationRequired)
_UNREADABLE = (BadRequest, InvalidRequest, PayloadTooLarge, UnsupportedMediaType, CsrfRejected)
_WIPE = (b"clear-site-data", b'"cache"')


class NewAddress(Body):
    """The address that shall be one's own."""

    email: str = Field(min_length=1, max_length=MAX_LOGIN)


def router(site: Site) -> APIRouter:
    reply, world, prefix = replies(site.settings.field_case), site.world, site.settings.prefix

    async def change(request: Request, body: NewAddress) -> Response:
        principal, loaded = await site.signed_in(request.scope)
        check_fresh(principal, loaded, FRESH_SECONDS)
        client = site.addresses.client(request.scope)
        await flow.ask_change(world, loaded, body.email, client=client)
        return reply({"ok": True}, status=202)

    routes = APIRouter(
        routes=[
            PlainRoute(
                f"{prefix}/email/change",
                change,
                summary="Ask for a link that makes another address one's own",
                tag="account",
                body=NewAddress,
                case=site.settings.field_case,
                answer=Ok,
                problems=(*_UNREADABLE, *_UNKNOWN, RateLimited),
                status=202,
            )
        ],
        tags=["account"],
    )

    @routes.delete(
        f"{prefix}/me",
        summary="Delete my account",
        response_model=Ok,
        responses=answers(BadRequest, CsrfRejected, Forbidden, *_UNKNOWN),
    )
    async def delete(request: Request) -> Response:
        principal, loaded = await site.signed_in(request.scope)
        check_fresh(principal, loaded, FRESH_SECONDS)
        headers = request.scope["headers"]
        await flow.delete(world, loaded, client=site.addresses.client(request.scope))
        return reply({"ok": True}, [*site.forgetting(headers), _WIPE])

    return routes
