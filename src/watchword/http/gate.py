"""What every request to our own routes passes first, and what every answer of theirs carries.

In front of the routes: the CSRF gate for unsafe methods, before a body is read. Behind them: headers that hold for
all answers, errors included.
Sources: ASVS 5.0 3.2.1, 3.4.1–3.4.8, 3.5.1, 14.3.2; SECURITY-TARGET attacks 81–86, 91, 92.
"""

from __future__ import annotations

from collections.abc import Collection

from watchword.core.csrf import SAFE_METHODS
from watchword.errors import Problem
from watchword.http.denials import CODE_KEY, Denials
from watchword.http.forgery import Forgery
from watchword.http.kept import joined
from watchword.http.problem import NO_STORE, ASGIApp, Headers, Message, Receive, Scope, Send, respond
from watchword.meters import REQUESTS
from watchword.ports import World
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
    """Wraps the ASGI app of our routes, declared as `paths`, and counts what they answer. A header that the app sets
    itself is left as it is."""

    def __init__(
        self,
        app: ASGIApp,
        settings: Settings,
        forgery: Forgery,
        world: World,
        *,
        paths: Collection[str],
        denials: Denials,
        docs: str,
    ) -> None:
        self._app = app
        self._forgery = forgery
        self._clock, self._counts, self._spans = world.clock, world.counts, world.spans
        self._paths = frozenset(paths)
        self._denials = denials
        self._judge = any(mode.in_cookies for mode in settings.mode)
        self._headers = always(settings)
        self._docs, self._prefix = docs, settings.prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif self._spans.on:
            with self._spans.span("watchword request") as tell:
                status = await self._gated(scope, receive, send)
                route = self._route(scope)
                name, code = f"watchword {route.removeprefix(self._prefix)}", scope.get(CODE_KEY)
                tell(
                    name,
                    code,
                    failed=status >= 500,
                    attributes={"http.route": route, "http.response.status_code": status},
                )
        else:
            await self._gated(scope, receive, send)

    async def _gated(self, scope: Scope, receive: Receive, send: Send) -> int:
        """The status of the answer; 0 without one."""
        status = 0

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = added(joined(message["headers"], scope), self._headers)
                nonlocal status
                status = message["status"]
                self._counts.add(REQUESTS, self._route(scope), f"{status // 100}xx")
            await send(message)

        if self._judge and scope["method"] not in SAFE_METHODS:
            try:
                self._forgery.check(scope, self._clock.now())
            except Problem as problem:
                self._denials.tell(scope, problem)
                await respond(problem, scope, receive, with_headers, docs=self._docs)
                return status
        await self._app(scope, receive, with_headers)
        return status

    def _route(self, scope: Scope) -> str:
        """The route as it is declared; no path that a request made up."""
        if (found := getattr(scope.get("route"), "path", None)) is not None:
            return str(found)
        return scope["path"] if scope["path"] in self._paths else "other"
