"""Which pages of other origins may read answers: CORS from a list of exact origins, preflights included.

In front of the gate and the guard, because a preflight brings no credentials and their refusals must be readable too.
Who may *do* something is theirs to say: CORS only decides who reads the answer.
Sources: Fetch (WHATWG), CORS protocol; ASVS 5.0 3.4.2; SECURITY-TARGET attack 87.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from watchword.errors import Forbidden
from watchword.http.gate import added
from watchword.http.problem import ASGIApp, Headers, Message, Receive, Scope, Send, respond

_ORIGIN, _CREDENTIALS = b"access-control-allow-origin", b"access-control-allow-credentials"
_EXPOSE = b"access-control-expose-headers"
_ASKED_METHOD, _ASKED_HEADERS = b"access-control-request-method", b"access-control-request-headers"

_EXPOSED = (b"Retry-After", b"WWW-Authenticate")
"""What scripts cannot read without leave, and a client has to: how long to wait, and whether to refresh or to ask for
the password again (RFC 9470). Whatever else a client needs is in a body."""

_LEAVE: Headers = [
    (b"access-control-allow-methods", b"GET, POST, PUT, PATCH, DELETE, OPTIONS"),  # HEAD needs no leave
    (b"access-control-max-age", b"600"),
]
_VARY = (b"vary", b"Origin, Access-Control-Request-Method, Access-Control-Request-Headers")

# A token (RFC 9110 §5.6.2) but for the asterisk, which would mean every header if it came without credentials.
_NAME = re.compile(rb"[!#$%&'+.^_`|~0-9A-Za-z-]+")
_MOST_NAMES, _MOST_BYTES = 64, 2048


class CrossOrigin:
    """Wraps an ASGI app. What is wrapped twice, or has said something of this itself, says everything once.

    `origins` are serialised as browsers send them; our own needs no leave. `always` are the headers of preflight
    answers, which come from here and not from the app.
    """

    def __init__(self, app: ASGIApp, *, origins: Iterable[str], always: Headers, docs: str) -> None:
        self._app = app
        self._origins = frozenset(origin.encode() for origin in origins)
        self._always = [*always, _VARY]
        self._docs = docs

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":  # Fetch has no CORS for WebSockets: the guard judges their handshakes
            await self._app(scope, receive, send)
            return
        origins = [value for name, value in scope["headers"] if name == b"origin"]
        # Of two lines nobody can tell which one a proxy or a cache went by.
        origin = origins[0] if len(origins) == 1 and origins[0] in self._origins else None
        if origins and scope["method"] == "OPTIONS" and _values(scope["headers"], _ASKED_METHOD):
            await self._preflight(origin, scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = _readable(message.get("headers", ()), origin)
            await send(message)

        await self._app(scope, receive, with_headers)

    async def _preflight(self, origin: bytes | None, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = added(message["headers"], self._always)
            await send(message)

        if origin is None:
            refusal = Forbidden("Pages of this origin are not trusted here.")
            await respond(refusal, scope, receive, with_headers, docs=self._docs)
            return
        lines = [(_ORIGIN, origin), (_CREDENTIALS, b"true"), *_LEAVE, *_asked_for(scope["headers"])]
        await with_headers({"type": "http.response.start", "status": 204, "headers": lines})
        await with_headers({"type": "http.response.body", "body": b""})


def _readable(lines: Iterable[tuple[bytes, bytes]], origin: bytes | None) -> Headers:
    """An answer's headers with leave for a trusted origin, if there is one. Vary tells either way that leave depends on
    the origin: no cache may hand a stranger's answer to a trusted page."""
    lines = list(lines)
    if origin is not None:
        lines = [line for line in lines if line[0].lower() not in (_ORIGIN, _CREDENTIALS)]
        lines = [*_listing(lines, _EXPOSE, _EXPOSED), (_ORIGIN, origin), (_CREDENTIALS, b"true")]
    return _listing(lines, b"vary", (b"Origin",))


def _listing(lines: Headers, name: bytes, words: Iterable[bytes]) -> Headers:
    """`lines` with one line of that name, which lists each word once: those that were there, and `words`."""
    said = {word.lower(): word for value in _values(lines, name) for word in _words(value)}
    said = {word.lower(): word for word in words} | said
    return [*(line for line in lines if line[0].lower() != name), (name, b", ".join(said.values()))]


def _asked_for(headers: Headers) -> Headers:
    """Leave for the headers that a preflight asks for, whatever they are called: a trusted page may send them all, and
    a list of our own would break the clients that send one more, such as X-User-Id or a tracing header, at every
    call. Only what no browser sends gets none: what is not a name, or too much of it."""
    asked = b",".join(_values(headers, _ASKED_HEADERS))
    names = _words(asked)
    usual = len(asked) <= _MOST_BYTES and len(names) <= _MOST_NAMES and all(map(_NAME.fullmatch, names))
    return [(b"access-control-allow-headers", b", ".join(names))] if names and usual else []


def _values(lines: Headers, wanted: bytes) -> list[bytes]:
    return [value for name, value in lines if name.lower() == wanted]


def _words(value: bytes) -> list[bytes]:
    return [word for part in value.split(b",") if (word := part.strip(b" \t"))]
