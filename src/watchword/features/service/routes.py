"""GET /health/live and /health/ready, /csrf, /.well-known/jwks.json, and the page that explains error codes."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse
from pydantic import BaseModel

from watchword.errors import CsrfRejected, InvalidToken, Unavailable, registry
from watchword.flows.end import holder
from watchword.http.site import Site
from watchword.routing.answers import CsrfToken, answers, replies

_JWKS_CACHE = (b"cache-control", b"public, max-age=300")


class Health(BaseModel):
    """`ok`, or the answer is a problem."""

    status: str


class Jwks(BaseModel):
    """Public keys (RFC 7517 §5); none with HS256."""

    keys: list[dict[str, str]]


def router(site: Site) -> APIRouter:
    reply = replies(site.settings.field_case)
    routes = APIRouter(tags=["service"])
    prefix, world = site.settings.prefix, site.world

    @routes.head(f"{prefix}/health/live", include_in_schema=False)
    @routes.get(f"{prefix}/health/live", summary="Is the process alive?", response_model=Health)
    async def live(request: Request) -> Response:
        return reply({"status": "ok"})

    @routes.head(f"{prefix}/health/ready", include_in_schema=False)
    @routes.get(
        f"{prefix}/health/ready",
        summary="May it get traffic?",
        response_model=Health,
        responses=answers(Unavailable),
    )
    async def ready(request: Request) -> Response:
        await site.readiness.check()
        return reply({"status": "ok"})

    @routes.get(
        f"{prefix}/csrf",
        summary="A CSRF token",
        response_model=CsrfToken,
        responses=answers(InvalidToken, CsrfRejected, Unavailable),
    )
    async def csrf(request: Request) -> Response:
        headers = request.scope["headers"]
        held = await holder(world, site.delivery.in_jar(headers))
        proved = held.session.sid if held else None
        token, lines = site.forgery.give(headers, proved, world.clock.now())
        return reply({"csrf_token": token}, lines)

    @routes.get("/.well-known/jwks.json", summary="Public keys of access tokens", response_model=Jwks)
    async def jwks(request: Request) -> Response:
        return reply({"keys": [dict(key) for key in world.access_tokens.jwks()["keys"]]}, [_JWKS_CACHE])

    @routes.get(f"{prefix}/errors", summary="What the error codes mean", response_class=HTMLResponse)
    async def errors(request: Request) -> Response:
        rows = "".join(
            f'<dt id="{kind.code}"><code>{kind.code}</code> {kind.status}</dt><dd>{kind.title}</dd>'
            for kind in registry()
        )
        return HTMLResponse(
            f'<!doctype html><html lang="en"><title>Error codes</title><dl>{rows}</dl></html>'
        )

    return routes
