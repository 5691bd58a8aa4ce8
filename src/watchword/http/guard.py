"""The guard: an ASGI app in front of an app, that lets a request through only with a live session or to a public
endpoint.

Which endpoint a request would reach is asked of the framework (`is_public`), and only for requests without a valid
token; what it cannot tell is not public. A request with one passes after a look-up in memory, unless the feed of
revocations has fallen silent: then the database is asked, and if that is silent too the answer is 503, never a pass.
Sources: ASVS 5.0 8.1.1, 8.3.1, 16.5.3; DESIGN §7.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from watchword.core.revocation import Revocations
from watchword.core.session import Principal
from watchword.errors import NotAuthenticated, Problem, Unavailable
from watchword.http.authenticate import Authenticator
from watchword.http.denials import SCOPE_KEY as SCOPE_KEY
from watchword.http.denials import Denials
from watchword.http.kept import Kept, with_lines
from watchword.http.problem import ASGIApp, Receive, Scope, Send, respond
from watchword.http.renewal import Renewal
from watchword.ports import Clock

T = TypeVar("T")

ASK_SECONDS = 1.5
"""How long the database has for its answer about one request when revocations are not read any more. With the 3 s after
which that is noticed (`core.revocation.STALE_AFTER`) nothing passes 5 s after a session has ended, whatever fails."""

OWNER_KEY = "watchword.auth"
"""Where the `Watchword` that guards a request is found."""


class Guard:
    """Wraps `app` for the `Watchword` that is its owner.

    `ask` looks a principal up in the database and raises a Problem if it is not live. `ours` are our own routes, and
    `is_ours` tells which requests are for them: they authenticate by themselves, and nothing is verified twice. `kept`
    is there when a mode is enabled whose sessions are looked up, `renewal` where cookies are renewed on the way.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        authenticator: Authenticator,
        revocations: Revocations,
        clock: Clock,
        ask: Callable[[Principal], Coroutine[Any, Any, object]],
        is_public: Callable[[Scope], bool],
        ours: ASGIApp,
        is_ours: Callable[[Scope], bool],
        docs: str,
        owner: object,
        denials: Denials,
        kept: Kept | None = None,
        renewal: Renewal | None = None,
    ) -> None:
        self._kept = kept
        self._renewal = renewal
        self._app = app
        self._owner = owner
        self._denials = denials
        self._authenticator = authenticator
        self._revocations = revocations
        self._clock = clock
        self._ask = ask
        self._is_public = is_public
        self._ours = ours
        self._is_ours = is_ours
        self._docs = docs

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """A plain function that returns the inner coroutine: no frame of its own on the way."""
        if scope["type"] not in ("http", "websocket"):
            return self._app(scope, receive, send)
        if self._is_ours(scope):
            return self._ours(scope, receive, send)
        scope[OWNER_KEY] = self._owner
        if self._kept is not None:
            return self._looked_up(self._kept, scope, receive, send)
        now = self._clock.now()
        try:
            principal = self._authenticator.principal(scope, now)
        except Problem as problem:
            return self._unknown(problem, scope, receive, send)
        if principal is None:
            return self._unknown(None, scope, receive, send)
        if self._revocations.stale(now):
            return self._doubtful(principal, scope, receive, send)
        scope[SCOPE_KEY] = principal
        return self._app(scope, receive, send)

    async def _looked_up(self, kept: Kept, scope: Scope, receive: Receive, send: Send) -> None:
        """The same where a session may have to be looked up, and its cookie renewed."""
        now, send = self._clock.now(), with_lines(scope, send)
        try:
            asking = kept.principal(scope, now)
            principal = await (in_time(asking) if self._revocations.stale(now) else asking)
        except Problem as problem:
            await self._unknown(problem, scope, receive, send)
            return
        if principal is None:
            await self._unknown(None, scope, receive, send)
            return
        scope[SCOPE_KEY] = principal
        await self._app(scope, receive, send)

    def _unknown(
        self, problem: Problem | None, scope: Scope, receive: Receive, send: Send
    ) -> Awaitable[None]:
        """Without an access token that is good: on, if a refresh token makes up for it."""
        if self._renewal is not None and self._renewal.concerns(problem, scope["headers"]):
            return self._renewed(self._renewal, problem, scope, receive, send)
        return self._anonymous(problem, scope, receive, send)

    async def _renewed(
        self, renewal: Renewal, problem: Problem | None, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Who may be signed in and cannot be asked about is told to come back, and not that nobody is (promise 1)."""
        now = self._clock.now()
        try:
            asking = renewal.principal(scope, now)
            principal = await (in_time(asking) if self._revocations.stale(now) else asking)
        except Problem as doubt:
            await self._anonymous(doubt, scope, receive, send)
            return
        if principal is None:
            await self._anonymous(problem, scope, receive, send)
            return
        scope[SCOPE_KEY] = principal
        await self._app(scope, receive, with_lines(scope, send))

    def _anonymous(
        self, problem: Problem | None, scope: Scope, receive: Receive, send: Send
    ) -> Awaitable[None]:
        """To a public endpoint without a principal, or back with what was wrong."""
        if self._is_public(scope):
            scope[SCOPE_KEY] = None
            return self._app(scope, receive, send)
        problem = problem or NotAuthenticated()
        self._denials.tell(scope, problem)
        return respond(problem, scope, receive, send, docs=self._docs)

    async def _doubtful(self, principal: Principal, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await in_time(self._ask(principal))
        except Problem as problem:
            await self._anonymous(problem, scope, receive, send)
            return
        scope[SCOPE_KEY] = principal
        await self._app(scope, receive, send)


async def in_time(asking: Coroutine[Any, Any, T]) -> T:
    """What is asked, or Unavailable if the answer takes too long.

    Nobody waits for it then; it is not cancelled, as taking a question back takes a database that listens.
    """
    task = asyncio.create_task(asking)
    try:
        await asyncio.wait({task}, timeout=ASK_SECONDS)
    except asyncio.CancelledError:
        task.cancel()
        raise
    if not task.done():
        task.add_done_callback(_given_up)
        raise Unavailable(retry_after=1)
    return task.result()


def _given_up(task: asyncio.Task[T]) -> None:
    if not task.cancelled():
        task.exception()  # was told to nobody: an unread one would be logged
