"""POST /register."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from pydantic import Field

from watchword.core.password import MAX_BYTES
from watchword.core.user import MAX_LOGIN
from watchword.errors import (
    BadRequest,
    CsrfRejected,
    InvalidRequest,
    Overloaded,
    PayloadTooLarge,
    RateLimited,
    SignupClosed,
    Unavailable,
    UnsupportedMediaType,
)
from watchword.features.registration import flow
from watchword.http.site import Site
from watchword.routing.answers import Ok, replies
from watchword.routing.app import PlainRoute
from watchword.routing.bodies import Body
from watchword.settings import Signup


class Register(Body):
    """The address, the password and, if wanted, a name to sign in by."""

    email: str = Field(min_length=1, max_length=MAX_LOGIN)
    password: str = Field(min_length=1, max_length=MAX_BYTES, repr=False)
    username: str | None = Field(None, min_length=1, max_length=MAX_LOGIN)


def router(site: Site) -> APIRouter:
    reply = replies(site.settings.field_case)

    async def register(request: Request, body: Register) -> Response:
        if site.settings.signup is Signup.CLOSED:
            raise SignupClosed
        client = site.addresses.client(request.scope)
        await flow.register(site.world, body.email, body.password, username=body.username, client=client)
        return reply({"ok": True}, status=202)

    route = PlainRoute(
        f"{site.settings.prefix}/register",
        register,
        summary="Sign up",
        tag="registration",
        body=Register,
        case=site.settings.field_case,
        answer=Ok,
        problems=(
            BadRequest,
            CsrfRejected,
            SignupClosed,
            PayloadTooLarge,
            UnsupportedMediaType,
            InvalidRequest,
            RateLimited,
            Overloaded,
            Unavailable,
        ),
        status=202,
    )
    return APIRouter(routes=[route])
