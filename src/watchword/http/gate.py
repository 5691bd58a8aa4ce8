"""What every request to our own routes passes first, and what every answer of theirs carries.

In front of the routes: the CSRF gate for unsafe methods, before a body is read. Behind them: headers that hold for
all answers, errors included.
Sources: ASVS 5.0 3.2.1, 3.4.1–3.4.8, 3.5.1, 14.3.2; SECURITY-TARGET attacks 81–86, 91, 92.
"""

from __future__ import annotations

from watchword.core.csrf import SAFE_METHODS
from watchword.errors import CsrfRejected
from watchword.http.authenticate import Authenticator
from watchword.http.problem import NO_STORE, ASGIApp, Headers, Message, Receive, Scope, Send, respond
from watchword.settings import Settings

_ALWAYS: Headers = [
    NO_STORE,
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (
        b"content-security-policy",
        b"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
]
_HSTS = (b"strict-transport-security", b"max-age=63072000; includeSubDomains")


class Gate:
    """Wraps the ASGI app of our routes. A header that the app sets itself is left as it is."""

    def __init__(self, app: ASGIApp, settings: Settings, authenticator: Authenticator, *, docs: str) -> None:
        self._app = app
        self._authenticator = authenticator
        self._judge = any(mode.refresh_in_cookie for mode in settings.mode)
        self._headers = [*_ALWAYS, _HSTS] if settings.https else _ALWAYS
        self._docs = docs

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = {name for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    *((name, value) for name, value in self._headers if name not in present),
                ]
            await send(message)

        if self._judge and scope["method"] not in SAFE_METHODS:
            try:
                self._authenticator.check_origin(scope["headers"])
            except CsrfRejected as problem:
                await respond(problem, scope, receive, with_headers, docs=self._docs)
                return
        await self._app(scope, receive, with_headers)
