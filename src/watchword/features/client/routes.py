"""GET /client.js and the modules beside it: the files of the npm package, byte for byte.

They are asked for again by every page (`no-cache`) and sent again only when they changed: a client must never be older
than the server that it speaks to.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path

from fastapi import APIRouter, Request, Response

from watchword.http.site import Site

FOLDER = Path(__file__).parents[2] / "browser"
SERVED = ("client.js", "wire.js", "axios.js", "angular.js", "react.js")
"""What pages can import. types.js is for type checkers alone."""


def router(site: Site) -> APIRouter:
    routes = APIRouter(include_in_schema=False)  # nothing that a generated client would call
    # Modules are fetched with CORS, which trusted origins pass anyway; this is for pages with a COEP of their own.
    policy = "cross-origin" if site.settings.trusted_origins else "same-origin"
    for name in SERVED:
        send = _sending((FOLDER / name).read_bytes(), policy)
        routes.add_api_route(f"{site.settings.prefix}/{name}", send, methods=["GET", "HEAD"], name=name)
    return routes


def _sending(content: bytes, policy: str) -> Callable[[Request], Awaitable[Response]]:
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {"cache-control": "no-cache", "etag": tag, "cross-origin-resource-policy": policy}

    async def send(request: Request) -> Response:
        held = {
            each.strip().removeprefix("W/") for each in request.headers.get("if-none-match", "").split(",")
        }
        if tag in held or "*" in held:
            return Response(status_code=304, headers=headers)
        return Response(content, headers=headers, media_type="text/javascript")

    return send
