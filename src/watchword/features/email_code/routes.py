"""POST /login/2fa, /login/2fa/resend and /reauthenticate/code; the list of second steps, turning one on and off."""

from __future__ import annotations

from functools import partial
from typing import Literal
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import Field

from watchword.core.factor import Method
from watchword.errors import (
    AlreadyExists,
    BadRequest,
    ChallengeExpired,
    CodeInvalid,
    CsrfRejected,
    Forbidden,
    InvalidRequest,
    InvalidToken,
    NotFound,
    PayloadTooLarge,
    RateLimited,
    ReauthenticationRequired,
    SessionEnded,
    TokenExpired,
    TooManyAttempts,
    Unavailable,
    UnsupportedMediaType,
)
from watchword.features.email_code import flow
from watchword.flows import proof
from watchword.flows.live import FRESH_SECONDS, check_fresh
from watchword.http.shapes import factor_json
from watchword.http.site import Site
from watchword.routing.answers import CodeSent, Enrolled, Factors, Ok, SignedIn, answers, replies
from watchword.routing.app import PlainRoute
from watchword.routing.bodies import Body
from watchword.settings import TwoFactor

_UNREADABLE = (BadRequest, InvalidRequest, PayloadTooLarge, UnsupportedMediaType, CsrfRejected)
_UNKNOWN = (InvalidToken, TokenExpired, SessionEnded, Unavailable)


class Waiting(Body):
    """Empty, or the token of a login in mode bearer that waits for its second step."""

    two_factor_token: str | None = Field(None, max_length=64, repr=False)


class Empty(Body):
    """Nothing: the session says whose code it is."""


class Code(Waiting):
    """The code that came, and by which method."""

    code: str = Field(pattern=r"^[0-9]{6}$", repr=False)
    method: Literal["email"] | None = None


class Enrolment(Body):
    """The method to turn on."""

    method: Literal["email"]


def router(site: Site) -> APIRouter:
    reply, world, prefix = replies(site.settings.field_case), site.world, site.settings.prefix
    post = partial(PlainRoute, case=site.settings.field_case)

    async def two_factor(request: Request, body: Code) -> Response:
        headers = request.scope["headers"]
        token, in_cookie = site.delivery.challenge(headers, body.two_factor_token)
        grant = await flow.try_code(
            world,
            token,
            body.code,
            in_cookie=in_cookie,
            client=site.addresses.client(request.scope),
            replaces=await site.signed_in_before(headers) if in_cookie else None,
        )
        answer, lines = site.delivery.completed(grant)
        if in_cookie:
            lines += site.beside(grant)
        return reply(answer, lines)

    async def resend(request: Request, body: Waiting) -> Response:
        token, in_cookie = site.delivery.challenge(request.scope["headers"], body.two_factor_token)
        client = site.addresses.client(request.scope)
        seconds = await flow.resend(world, token, in_cookie=in_cookie, client=client)
        return reply({"ok": True, "expires_in": seconds}, status=202)

    async def ask(request: Request, body: Empty) -> Response:
        _, loaded = await site.signed_in(request.scope)
        client = site.addresses.client(request.scope)
        seconds = await proof.ask(world, loaded, client=client)
        return reply({"ok": True, "expires_in": seconds}, status=202)

    async def turn_on(request: Request, body: Enrolment) -> Response:
        principal, loaded = await site.signed_in(request.scope)
        check_fresh(principal, loaded, FRESH_SECONDS)
        client = site.addresses.client(request.scope)
        return reply(
            {"factor": factor_json(await flow.turn_on(world, loaded, Method(body.method), client=client))}
        )

    waiting = (*_UNREADABLE, ChallengeExpired, TooManyAttempts, RateLimited, Unavailable)
    routes = APIRouter(
        routes=[
            post(
                f"{prefix}/login/2fa",
                two_factor,
                summary="Complete a sign-in with a code",
                tag="sign-in",
                body=Code,
                answer=SignedIn,
                problems=(*waiting, CodeInvalid),
            ),
            post(
                f"{prefix}/login/2fa/resend",
                resend,
                summary="Send another code",
                tag="sign-in",
                body=Waiting,
                answer=CodeSent,
                problems=waiting,
                status=202,
            ),
            post(
                f"{prefix}/reauthenticate/code",
                ask,
                summary="Send a code that proves that it is you",
                tag="sign-in",
                body=Empty,
                answer=CodeSent,
                problems=(*_UNREADABLE, *_UNKNOWN, Forbidden, TooManyAttempts, RateLimited),
                status=202,
            ),
            post(
                f"{prefix}/factors",
                turn_on,
                summary="Turn a second step on",
                tag="factors",
                body=Enrolment,
                answer=Enrolled,
                problems=(*_UNREADABLE, *_UNKNOWN, ReauthenticationRequired, Forbidden, AlreadyExists),
            ),
        ],
        tags=["factors"],
    )

    @routes.get(
        f"{prefix}/factors",
        summary="My second steps",
        response_model=Factors,
        responses=answers(BadRequest, *_UNKNOWN),
    )
    async def factors(request: Request) -> Response:
        principal, _ = await site.signed_in(request.scope)
        rows = await world.store.list_factors(principal.id)
        required = site.settings.two_factor is TwoFactor.REQUIRED
        return reply({"factors": [factor_json(row) for row in rows], "required": required})

    @routes.delete(
        f"{prefix}/factors/{{factor_id}}",
        summary="Turn a second step off",
        response_model=Ok,
        responses=answers(
            BadRequest, CsrfRejected, *_UNKNOWN, ReauthenticationRequired, NotFound, InvalidRequest
        ),
    )
    async def turn_off(request: Request, factor_id: UUID) -> Response:
        principal, loaded = await site.signed_in(request.scope)
        check_fresh(principal, loaded, FRESH_SECONDS)
        client = site.addresses.client(request.scope)
        await flow.turn_off(world, loaded, str(factor_id), client=client)
        return reply({"ok": True})

    return routes
