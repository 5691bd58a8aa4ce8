"""GET /revocations: a long poll for other services, which say who they are by the setting `feed_token`.

Answered from memory: however many services ask, the database is not. What is not known for certain is not answered:
while revocations cannot be read this is a 503, so that nobody takes silence for "nobody has signed out".
Sources: ASVS 5.0 7.4.1, 11.2.4 (comparison), 13.2.2.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from datetime import datetime

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from watchword.errors import BadRequest, InvalidToken, NotAuthenticated, NotFound, Overloaded, Unavailable
from watchword.features.revocations.rules import Cursor, Known, News, news, oldest, read
from watchword.flows.readiness import Readiness
from watchword.http.shapes import instant
from watchword.http.site import Site
from watchword.ports import World
from watchword.routing.answers import answers, replies

WAIT_SECONDS = 25
"""Less than the minute, or half of one, after which proxies give up on an answer."""
MOST_WAITING = 64
"""Polls under way in one process. Each costs a connection and a look in memory five times a second."""
LOOK_SECONDS = 0.2
_RECENT = 90_000_000
"""µs that are looked through for who asks again and again."""


class EndedSession(BaseModel):
    """A session that somebody ended, and when."""

    sid: str
    at: datetime


class NewerTokens(BaseModel):
    """A user whose access tokens count only from this `iat` on."""

    user_id: str
    second: int


class RevocationFeed(BaseModel):
    """What was revoked since `after`. `keep_for` is for how many seconds an entry matters."""

    ended: list[EndedSession]
    tokens_from: list[NewerTokens]
    after: str
    keep_for: int


class _Waiting:
    """The polls of one process, which share what they look through."""

    def __init__(self, world: World, readiness: Readiness) -> None:
        self._world = world
        self._readiness = readiness
        self._count = 0
        self._recent = Known(0, (), ())
        self._looked_at = 0.0

    async def poll(self, request: Request, cursor: Cursor | None, seconds: float) -> News:
        """Raises Overloaded, Unavailable, BadRequest when nobody waits for the answer any more."""
        if self._count >= MOST_WAITING:
            raise Overloaded(retry_after=1)
        self._count += 1
        loop, gone = asyncio.get_running_loop(), asyncio.create_task(_disconnected(request))
        deadline = loop.time() + seconds
        try:
            while True:
                if (
                    self._readiness.closing
                ):  # what is known now is the answer, and the next poll goes elsewhere
                    deadline = min(deadline, loop.time())
                found, left = self._look(cursor), deadline - loop.time()
                if found or (left <= 0 and found is not None):
                    return found
                if left <= -LOOK_SECONDS * 10:
                    raise Unavailable(retry_after=1)  # this process reads no further, and does not know why
                await asyncio.wait({gone}, timeout=min(LOOK_SECONDS, max(left, LOOK_SECONDS / 4)))
                if gone.done():
                    raise BadRequest("The client has hung up.")
        finally:
            gone.cancel()
            self._count -= 1

    def _look(self, cursor: Cursor | None) -> News | None:
        known = self._world.revocations
        if known.stale(self._world.clock.now()):
            raise Unavailable("Revocations have not been read for a while.", retry_after=1)
        since, through = oldest(cursor), known.through
        if since < through - _RECENT:
            return news(Known(through, *known.window(since)), cursor)
        now = asyncio.get_running_loop().time()
        if now - self._looked_at >= LOOK_SECONDS / 2 or since > self._recent.through:
            self._recent, self._looked_at = Known(through, *known.window(through - _RECENT)), now
        return news(self._recent, cursor)


def router(site: Site) -> APIRouter:
    reply = replies(site.settings.field_case)
    routes = APIRouter(tags=["service"])
    waiting = _Waiting(site.world, site.readiness)
    expected = bytes.fromhex(site.settings.feed_token.partition(":")[2])
    keep_for = site.world.revocations.keep // 1_000_000

    @routes.get(
        f"{site.settings.prefix}/revocations",
        summary="What was revoked, for services that verify access tokens by themselves",
        response_model=RevocationFeed,
        responses=answers(BadRequest, InvalidToken, NotFound, Overloaded, Unavailable),
        openapi_extra={"parameters": _PARAMETERS},
    )
    async def revocations(request: Request) -> Response:
        if not expected:
            raise NotFound
        _admit(request.headers.getlist("authorization"), expected)
        cursor, seconds = _asked(request)
        found = await waiting.poll(request, cursor, seconds)
        body = {
            "ended": [{"sid": row.sid, "at": instant(row.at)} for row in found.ended],
            "tokens_from": [{"user_id": row.user_id, "second": row.second} for row in found.tokens_from],
            "after": str(found.cursor),
            "keep_for": keep_for,
        }
        return reply(body)

    return routes


_PARAMETERS = [
    {
        "name": "after",
        "in": "query",
        "schema": {"type": "string"},
        "description": "`after` of the last answer; without it, all that matters",
    },
    {
        "name": "wait",
        "in": "query",
        "schema": {"type": "integer", "minimum": 0, "maximum": WAIT_SECONDS, "default": WAIT_SECONDS},
        "description": "for how many seconds at most the answer may wait for news",
    },
]


def _admit(lines: list[str], expected: bytes) -> None:
    """Raises NotAuthenticated, InvalidToken."""
    if not lines:
        raise NotAuthenticated("This needs the feed_token.")
    scheme, _, token = lines[0].partition(" ")
    given = hashlib.sha256(token.strip().encode("latin-1")).digest()
    right = secrets.compare_digest(given, expected)
    if len(lines) > 1 or scheme.lower() != "bearer" or not right:
        raise InvalidToken


def _asked(request: Request) -> tuple[Cursor | None, float]:
    """Raises BadRequest."""
    query = request.query_params
    after, wait = query.getlist("after"), query.getlist("wait") or [str(WAIT_SECONDS)]
    cursor = read(after[0]) if after else None
    if len(after) > 1 or (after and cursor is None):
        raise BadRequest("after: send what the last answer said, or nothing.")
    if len(wait) > 1 or not (wait[0].isascii() and wait[0].isdecimal()) or int(wait[0][:9]) > WAIT_SECONDS:
        raise BadRequest(f"wait: 0 to {WAIT_SECONDS} seconds.")
    return cursor, float(wait[0])


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
