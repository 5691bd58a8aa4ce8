"""POST /login, /login/credentials and /reauthenticate."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from pydantic import Field

from watchword.core.login import Step
from watchword.core.user import MAX_LOGIN
from watchword.errors import (
    BadRequest,
    CsrfRejected,
    FieldError,
    InvalidCredentials,
    InvalidRequest,
    InvalidToken,
    Overloaded,
    PayloadTooLarge,
    SessionEnded,
    TokenExpired,
    Unavailable,
    UnsupportedMediaType,
)
from watchword.features.password import flow
from watchword.features.password.rules import MAX_BYTES
from watchword.flows.end import genuine_session
from watchword.http.cookies import DuplicateCookie
from watchword.http.site import Site
from watchword.routing.answers import NextStep, SignedIn, Tokens, answers, reply
from watchword.routing.bodies import Body, JsonRoute

_BAD = (BadRequest, InvalidRequest, PayloadTooLarge, UnsupportedMediaType, CsrfRejected)


class Login(Body):
    """Who, by address or by name, and the password."""

    email: str | None = Field(None, min_length=1, max_length=MAX_LOGIN)
    username: str | None = Field(None, min_length=1, max_length=MAX_LOGIN)
    password: str = Field(min_length=1, max_length=MAX_BYTES, repr=False)


class Proof(Body):
    """The password of who is signed in already."""

    password: str = Field(min_length=1, max_length=MAX_BYTES, repr=False)


def router(site: Site) -> APIRouter:
    routes = APIRouter(prefix=site.settings.prefix, route_class=JsonRoute, tags=["sign-in"])

    @routes.post(
        "/login",
        summary="Sign in with a password",
        response_model=SignedIn | NextStep,
        response_model_exclude_unset=True,
        responses=answers(*_BAD, InvalidCredentials, Overloaded, Unavailable),
    )
    @routes.post("/login/credentials", include_in_schema=False)
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
            replaces=await _signed_in_before(site, request) if mode.refresh_in_cookie else None,
        )
        if isinstance(outcome, Step):
            return reply({"next": {"step": outcome.value}})
        return reply(*site.delivery.signed_in(outcome))

    @routes.post(
        "/reauthenticate",
        summary="Prove again that it is you",
        response_model=Tokens,
        response_model_exclude_unset=True,
        responses=answers(
            *_BAD, InvalidCredentials, InvalidToken, TokenExpired, SessionEnded, Overloaded, Unavailable
        ),
    )
    async def reauthenticate(request: Request, body: Proof) -> Response:
        _, loaded = await site.signed_in(request.scope)
        client = site.addresses.client(request.scope)
        grant = await flow.reauthenticate(site.world, loaded, body.password, client=client)
        return reply(*site.delivery.tokens(grant))

    return routes


async def _signed_in_before(site: Site, request: Request) -> str | None:
    """The session that this browser's jar holds, which the new one replaces."""
    try:
        token, in_cookie = site.delivery.presented(request.scope["headers"], None)
    except DuplicateCookie:
        return None
    loaded = await genuine_session(site.world, token) if in_cookie else None
    return loaded.session.sid if loaded else None
