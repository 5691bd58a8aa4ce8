"""What every request to our own routes passes first, and what every answer of theirs carries.

In front of the routes: the CSRF gate for unsafe methods, before a body is read. Behind them: headers that hold for
all answers, errors included.
Sources: ASVS 5.0 3.2.1, 3.4.1–3.4.8, 3.5.1, 14.3.2; SECURITY-TARGET attacks 81–86, 91, 92.
"""

from __future__ import annotations

from watchword.core.csrf import SAFE_METHODS
from watchword.errors import Problem
from watchword.http.denials import Denials
from watchword.http.forgery import Forgery
from watchword.http.kept import joined
from watchword.http.problem import NO_STORE, ASGIApp, Headers, Message, Receive, Scope, Send, respond
from watchword.ports import Clock
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


def always(settings: Settings) -> Headers:
    """What every answer of ours carries."""
    return [*_ALWAYS, _HSTS] if settings.https else _ALWAYS


def added(lines: Headers, more: Headers) -> Headers:
    """`lines`, and of `more` what they have no line of."""
    present = {name for name, _ in lines}
    return [*lines, *(line for line in more if line[0] not in present)]


class Gate:
    """Wraps the ASGI app of our routes. A header that the app sets itself is left as it is."""

    def __init__(
        self,
        app: ASGIApp,
        settings: Settings,
        forgery: Forgery,
        clock: Clock,
        *,
        denials: Denials,
        docs: str,
    ) -> None:
        self._app = app
        self._forgery = forgery
        self._clock = clock
        self._denials = denials
        self._judge = any(mode.in_cookies for mode in settings.mode)
        self._headers = always(settings)
        self._docs = docs

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = added(joined(message["headers"], scope), self._headers)
            await send(message)

        if self._judge and scope["method"] not in SAFE_METHODS:
            try:
                self._forgery.check(scope, self._clock.now())
            except Problem as problem:
                self._denials.tell(scope, problem)
                await respond(problem, scope, receive, with_headers, docs=self._docs)
                return
        await self._app(scope, receive, with_headers)
