"""Hints by Redis or what speaks its protocol: whoever has revoked something publishes, after the commit, and everybody
listens.

A message is empty and is not looked at: whoever may publish can make us look, as often as `drivers.feed` allows, and
nothing else (SECURITY-TARGET attack 97).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from watchword.errors import SettingsError

try:
    from redis.asyncio import Redis
    from redis.asyncio.client import PubSub
    from redis.exceptions import RedisError
except ImportError as error:
    raise SettingsError("redis_url needs its driver: pip install 'watchword[redis]'.") from error

PREFIX = "watchword:revoked:"
PROBE_SECONDS = 10.0
"""After so long without a word the connection is asked whether it still is one."""
ANSWER_SECONDS = 3.0
PAUSES = (0.1, 0.5, 1.0, 2.0, 5.0)
"""Seconds before the next try to connect, the last for all further ones."""

log = logging.getLogger("watchword.feed")


class RedisHints:
    """Implements `drivers.feed.Hints` on the Redis at `url`; `tell` is the other end of it.

    `names` are what installations are told apart by: all are listened to, and told is the first.
    """

    def __init__(self, url: str, names: Sequence[str]) -> None:
        self._redis = Redis.from_url(url, socket_connect_timeout=ANSWER_SECONDS)
        self._channels = [PREFIX + name for name in names]
        self._telling: asyncio.Task[None] | None = None
        self._again = False

    def __repr__(self) -> str:
        return "RedisHints()"  # the URL may hold a password

    async def listen(self, ring: Callable[[], None]) -> None:
        failed = 0
        while True:
            try:
                async with self._redis.pubsub() as channel:
                    await channel.subscribe(*self._channels)
                    while True:
                        await _next(channel, ring)
                        failed = 0
            except (RedisError, OSError, TimeoutError) as error:
                if not failed:
                    log.warning("no hints from Redis, polling goes on: %s", type(error).__name__)
                pause = PAUSES[min(failed, len(PAUSES) - 1)]
                failed += 1
                await asyncio.sleep(pause)

    def tell(self) -> None:
        """Publish, soon and once however often it is called meanwhile. Without an event loop nobody is told."""
        if self._telling is not None and not self._telling.done():
            self._again = True
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        self._telling = loop.create_task(self._tell())

    async def _tell(self) -> None:
        self._again = True
        while self._again:
            self._again = False
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    await self._redis.publish(self._channels[0], b"")
            except (RedisError, OSError, TimeoutError) as error:
                log.warning("hints could not be published: %s", type(error).__name__)

    async def close(self) -> None:
        """Finish telling, and let go of the connections. What follows makes new ones."""
        if self._telling is not None and self._telling.get_loop() is asyncio.get_running_loop():
            await asyncio.wait([self._telling], timeout=ANSWER_SECONDS)
        self._telling = None
        await self._redis.aclose()


async def _next(channel: PubSub, ring: Callable[[], None]) -> None:
    """Wait for a word, and ring unless it only says that there is somebody. Having subscribed (again) rings too: what
    was published before was not heard."""
    message = await channel.get_message(timeout=PROBE_SECONDS)
    if message is None:
        await channel.ping()
        message = await channel.get_message(timeout=ANSWER_SECONDS)
        if message is None:
            raise TimeoutError
    if message["type"] != "pong":
        ring()
