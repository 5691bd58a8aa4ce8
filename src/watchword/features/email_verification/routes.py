"""POST /email/verify and /email/verify/resend."""

from __future__ import annotations

from functools import partial

from fastapi import APIRouter, Request, Response
from pydantic import Field

from watchword.core.password import MAX_BYTES
from watchword.core.user import MAX_LOGIN
from watchword.errors import (
    BadRequest,
    ChallengeExpired,
    CsrfRejected,
    InvalidCredentials,
    InvalidRequest,
    Overloaded,
    PayloadTooLarge,
    RateLimited,
    Unavailable,
    UnsupportedMediaType,
)
from watchword.features.email_verification import flow
from watchword.http.site import Site
from watchword.routing.answers import Ok, replies
from watchword.routing.app import PlainRoute
from watchword.routing.bodies import Body

_BAD = (BadRequest, CsrfRejected, PayloadTooLarge, UnsupportedMediaType, InvalidRequest, RateLimited)


class Verification(Body):
    """What the link holds behind its #, and the password that its reader signed up with, for certainty that it was
    they."""

    token: str | None = Field(None, max_length=64, repr=False)
    password: str | None = Field(None, min_length=1, max_length=MAX_BYTES, repr=False)


class LinkAgain(Body):
    """The address to which the link shall go again."""

    email: str = Field(min_length=1, max_length=MAX_LOGIN)


def router(site: Site) -> APIRouter:
    reply = replies(site.settings.field_case)

    async def verify(request: Request, body: Verification) -> Response:
        client = site.addresses.client(request.scope)
        await flow.verify(site.world, body.token, body.password, client=client)
        return reply({"ok": True})

    async def resend(request: Request, body: LinkAgain) -> Response:
        await flow.resend(site.world, body.email, client=site.addresses.client(request.scope))
        return reply({"ok": True}, status=202)

    prefix = site.settings.prefix
    post = partial(PlainRoute, case=site.settings.field_case, tag="registration", answer=Ok)
    verifying = post(
        f"{prefix}/email/verify",
        verify,
        summary="Prove an address by the link that was sent to it",
        body=Verification,
        problems=(*_BAD, ChallengeExpired, InvalidCredentials, Overloaded, Unavailable),
    )
    another = post(
        f"{prefix}/email/verify/resend",
        resend,
        summary="Ask for the link of a registration again",
        body=LinkAgain,
        problems=(*_BAD, Unavailable),
        status=202,
    )
    return APIRouter(routes=[verifying, another])
