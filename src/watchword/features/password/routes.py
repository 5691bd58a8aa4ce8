"""POST /login, /login/credentials, /reauthenticate, and /password/change, /forgot and /reset."""

from __future__ import annotations

from functools import partial

from fastapi import APIRouter, Request, Response
from pydantic import Field

from watchword.core.login import Step
from watchword.core.password import MAX_BYTES
from watchword.core.user import MAX_LOGIN
from watchword.errors import (
    BadRequest,
    ChallengeExpired,
    CodeInvalid,
    CsrfRejected,
    FieldError,
    Forbidden,
    InvalidCredentials,
    InvalidRequest,
    InvalidToken,
    Overloaded,
    PayloadTooLarge,
    RateLimited,
    SessionEnded,
    TokenExpired,
    TooManyAttempts,
    Unavailable,
    UnsupportedMediaType,
)
from watchword.features.password import flow
from watchword.flows import proof
from watchword.flows.second_step import SecondStep
from watchword.http.site import Site
from watchword.routing.answers import NextStep, Ok, SignedIn, Tokens, replies
from watchword.routing.app import PlainRoute
from watchword.routing.bodies import Body

_BAD = (BadRequest, InvalidRequest, PayloadTooLarge, UnsupportedMediaType, CsrfRejected)


class Login(Body):
    """Who, by address or by name, and the password."""

    email: str | None = Field(None, min_length=1, max_length=MAX_LOGIN)
    username: str | None = Field(None, min_length=1, max_length=MAX_LOGIN)
    password: str = Field(min_length=1, max_length=MAX_BYTES, repr=False)


class Proof(Body):
    """The password of who is signed in already, or the code that they have asked for."""

    password: str | None = Field(None, min_length=1, max_length=MAX_BYTES, repr=False)
    code: str | None = Field(None, pattern=r"^[0-9]{6}$", repr=False)


class NewPassword(Body):
    """The current password and another."""

    current_password: str = Field(min_length=1, max_length=MAX_BYTES, repr=False)
    new_password: str = Field(min_length=1, max_length=MAX_BYTES, repr=False)


class Forgotten(Body):
    """The address to which a link shall go."""

    email: str = Field(min_length=1, max_length=MAX_LOGIN)


class Reset(Body):
    """What the link holds behind its #, and a new password."""

    token: str | None = Field(None, max_length=64, repr=False)
    new_password: str = Field(min_length=1, max_length=MAX_BYTES, repr=False)


def router(site: Site) -> APIRouter:
    reply = replies(site.settings.field_case)

    async def login(request: Request, body: Login) -> Response:
        scope = request.scope
        name = body.email if body.email is not None else body.username
        if name is None or (body.email is not None and body.username is not None):
            raise InvalidRequest(errors=(FieldError("email", "missing", "Give either email or username."),))
        mode = site.delivery.choose(scope["headers"])
        outcome = await flow.log_in(
            site.world,
            name,
            body.password,
            client=site.addresses.client(scope),
            mode=mode,
            replaces=await site.signed_in_before(scope["headers"]) if mode.in_cookies else None,
            device=site.known_device(scope["headers"]) if mode.in_cookies else None,
        )
        if isinstance(outcome, Step):
            return reply({"next": {"step": outcome.value}})
        if isinstance(outcome, SecondStep):
            return reply(*site.delivery.waiting(outcome))
        answer, lines = site.delivery.signed_in(outcome)
        if mode.in_cookies:
            lines += site.beside(outcome)
        return reply(answer, lines)

    async def reauthenticate(request: Request, body: Proof) -> Response:
        _, loaded = await site.signed_in(request.scope)
        world, client = site.world, site.addresses.client(request.scope)
        if (body.password is None) is (body.code is None):
            raise InvalidRequest(errors=(FieldError("password", "missing", "Give either password or code."),))
        if body.password is not None:
            grant = await flow.reauthenticate(world, loaded, body.password, client=client)
        else:
            grant = await proof.prove(world, loaded, body.code or "", client=client)
        return reply(*site.delivery.tokens(grant))

    async def change(request: Request, body: NewPassword) -> Response:
        _, loaded = await site.signed_in(request.scope)
        client = site.addresses.client(request.scope)
        grant = await flow.change(site.world, loaded, body.current_password, body.new_password, client=client)
        return reply(*site.delivery.tokens(grant))

    async def forgot(request: Request, body: Forgotten) -> Response:
        await flow.forgot(site.world, body.email, client=site.addresses.client(request.scope))
        return reply({"ok": True}, status=202)

    async def reset(request: Request, body: Reset) -> Response:
        client = site.addresses.client(request.scope)
        await flow.reset(site.world, body.token, body.new_password, client=client)
        return reply({"ok": True})

    prefix = site.settings.prefix
    sign_in = partial(
        PlainRoute,
        endpoint=login,
        summary="Sign in with a password",
        tag="sign-in",
        body=Login,
        case=site.settings.field_case,
        answer=SignedIn | NextStep,
        problems=(*_BAD, InvalidCredentials, TooManyAttempts, RateLimited, Overloaded, Unavailable),
    )
    proving = (
        *_BAD,
        InvalidCredentials,
        InvalidToken,
        TokenExpired,
        SessionEnded,
        RateLimited,
        Overloaded,
        Unavailable,
    )
    prove = PlainRoute(
        f"{prefix}/reauthenticate",
        reauthenticate,
        summary="Prove again that it is you",
        tag="sign-in",
        body=Proof,
        case=site.settings.field_case,
        answer=Tokens,
        problems=(*proving, Forbidden, CodeInvalid, ChallengeExpired, TooManyAttempts),
    )
    post = partial(PlainRoute, case=site.settings.field_case, tag="password")
    passwords = [
        post(
            f"{prefix}/password/change",
            change,
            summary="Change the password",
            body=NewPassword,
            answer=Tokens,
            problems=proving,
        ),
        post(
            f"{prefix}/password/forgot",
            forgot,
            summary="Ask for a link that sets a new password",
            body=Forgotten,
            answer=Ok,
            problems=(*_BAD, RateLimited, Unavailable),
            status=202,
        ),
        post(
            f"{prefix}/password/reset",
            reset,
            summary="Set a new password by a link",
            body=Reset,
            answer=Ok,
            problems=(*_BAD, ChallengeExpired, RateLimited, Overloaded, Unavailable),
        ),
    ]
    alias = sign_in(f"{prefix}/login/credentials", documented=False)
    return APIRouter(routes=[sign_in(f"{prefix}/login"), alias, prove, *passwords])
