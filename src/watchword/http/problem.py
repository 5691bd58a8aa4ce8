"""Problem documents (RFC 9457): from a Problem to status, headers and bytes, and to an ASGI answer."""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from watchword.errors import Problem

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

log = logging.getLogger("watchword.http")

MEDIA_TYPE = "application/problem+json"
NO_STORE = (b"cache-control", b"no-store")


def document(problem: Problem, *, docs: str) -> dict[str, Any]:
    """The members of the body. `docs` is the address of the page that explains the codes."""
    body: dict[str, Any] = {
        "type": f"{docs}#{problem.code}",
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        "code": problem.code,
        "request_id": secrets.token_hex(8),
    }
    if problem.status >= 500:
        log.error("%s %s: %s", body["request_id"], problem.code, problem.__cause__ or problem)
    if problem.errors:
        body["errors"] = [{"field": e.field, "code": e.code, "message": e.message} for e in problem.errors]
    if problem.retry_after is not None:
        body["retry_after"] = problem.retry_after
    return body


def headers(problem: Problem) -> Headers:
    """Content type, caching, challenge and retry time."""
    lines: Headers = [(b"content-type", MEDIA_TYPE.encode()), NO_STORE]
    if problem.challenge is not None:
        lines.append((b"www-authenticate", problem.challenge.encode()))
    if problem.retry_after is not None:
        lines.append((b"retry-after", str(problem.retry_after).encode()))
    lines.extend((name.lower().encode(), value.encode()) for name, value in problem.headers)
    return lines


async def respond(problem: Problem, scope: Scope, receive: Receive, send: Send, *, docs: str) -> None:
    """Answer a request, or refuse a WebSocket handshake, with a problem."""
    body = json.dumps(document(problem, docs=docs)).encode()
    lines = [*headers(problem), (b"content-length", str(len(body)).encode())]
    if scope["type"] == "websocket":
        if "websocket.http.response" not in scope.get("extensions", {}):
            await send({"type": "websocket.close", "code": 1008, "reason": problem.code})
            return
        kind = "websocket.http.response"
    else:
        kind = "http.response"
    await send({"type": f"{kind}.start", "status": problem.status, "headers": lines})
    await send({"type": f"{kind}.body", "body": b"" if scope.get("method") == "HEAD" else body})
