"""The page that keeps promises before one's eyes, and its thief. `watchword dev` mounts it, and nothing else may.

The thief is the only thing that is staged: a copy of the refresh token of whoever asks, kept here and never told to a
script, and given back to our own POST /refresh as from another network and another browser.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from datetime import timedelta
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.responses import JSONResponse

from watchword.errors import NotFound
from watchword.http.problem import Message, Scope
from watchword.http.site import Site
from watchword.pages.render import browser_mode, page
from watchword.settings import LOOPBACK, Mode

PATH = "{}/dev/promises"
THIEF = ("198.51.100.66", 4711)
"""An address for documentation (RFC 5737): mail and events name it."""
COPIES = 16


def router(site: Site) -> APIRouter:
    """GET dev/promises below the prefix, POST dev/promises/steal and /replay."""
    routes = APIRouter(include_in_schema=False)
    path = PATH.format(site.settings.prefix)
    window = site.settings.rotation_window / timedelta(seconds=1)
    copies: OrderedDict[str, bytes] = OrderedDict()

    def at_home(request: Request) -> None:
        # A name of somebody else's that leads to this machine would make its pages of one origin with this one.
        if request.url.hostname not in LOOPBACK:
            raise NotFound

    @routes.get(path)
    async def promises(request: Request) -> Response:
        at_home(request)
        mode = browser_mode(site.settings)
        if mode is None:
            raise NotFound
        rotates = Mode(mode).rotates
        values = {"boot": True, "rotates": rotates, "window": f"{window:g}", "whole": f"{3 * window:g}"}
        return page(site, request, "promises.html", translated=False, works=True, **values)

    @routes.post(f"{path}/steal")
    async def steal(request: Request) -> Response:
        at_home(request)
        principal, _ = await site.signed_in(request.scope)
        copy = site.cookies.refresh.read(request.scope["headers"])
        if copy is None:
            raise NotFound(
                "No refresh token came with this request: with refresh_cookie_path it goes elsewhere."
            )
        copies[principal.sid] = copy
        while len(copies) > COPIES:
            copies.popitem(last=False)
        return JSONResponse({"ok": True, "window": window})

    @routes.post(f"{path}/replay")
    async def replay(request: Request) -> Response:
        at_home(request)
        principal, _ = await site.signed_in(request.scope)
        copy = copies.pop(principal.sid, None)
        if copy is None:
            raise NotFound("Nothing has been stolen from this session.")
        status, code = await _refresh(site, request, copy)
        return JSONResponse({"ok": True, "status": status, "code": code})

    return routes


async def _refresh(site: Site, request: Request, copy: bytes) -> tuple[int, str]:
    """What our own route answers to the thief: a status, and the code of a refusal."""
    path = f"{site.settings.prefix}/refresh"
    scope: Scope = {
        "type": "http",
        "asgi": request.scope["asgi"],
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [
            (b"host", b"localhost"),
            (b"user-agent", b"a thief"),
            (b"cookie", site.cookies.refresh.name.encode() + b"=" + copy),
        ],
        "client": THIEF,
        "server": ("localhost", 80),
    }
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    await request.app(scope, receive, send)
    body: Any = json.loads(b"".join(message.get("body", b"") for message in sent))
    return sent[0]["status"], body.get("code", "ok")
