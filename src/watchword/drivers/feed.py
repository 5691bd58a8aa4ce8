"""The loop that keeps this process's revocations up to date, and the hints that make it look sooner.

A hint only says «look now»: losing one costs at most the polling interval. What a look does is flows/follow.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

from watchword.drivers.outage import Outage
from watchword.errors import Unavailable
from watchword.flows.follow import poll
from watchword.ports import World

POLL_SECONDS = 1.0
DATA_VERSION_SECONDS = 0.1

log = logging.getLogger("watchword.feed")


class Hints(Protocol):
    """Something that may know of a revocation before the next poll is due."""

    async def wait(self, seconds: float) -> None:
        """Return at the first hint, after `seconds` at the latest."""


class NoHints:
    """For stores that tell nothing: twice as many polls, so that a revocation is known within a second all the same."""

    async def wait(self, seconds: float) -> None:
        await asyncio.sleep(seconds / 2)


class DataVersionHints:
    """SQLite's `PRAGMA data_version`: it changes when anybody else has committed to the file."""

    def __init__(self, data_version: Callable[[], Awaitable[int]]) -> None:
        self._data_version = data_version
        self._seen: int | None = None

    async def wait(self, seconds: float) -> None:
        for _ in range(round(seconds / DATA_VERSION_SECONDS)):
            await asyncio.sleep(DATA_VERSION_SECONDS)
            version = await self._data_version()
            if version != self._seen:
                self._seen = version
                return


class Feed:
    """Polls for as long as it runs. `follow()` never ends by itself and survives a database that is away."""

    def __init__(self, world: World, hints: Hints) -> None:
        self._world = world
        self._hints = hints
        self._last: int | None = None
        self._outage = Outage(world.emit, world.clock, "revocations")

    async def load(self) -> None:
        """The first, full reading. Raises Unavailable."""
        self._last = await poll(self._world, None)

    async def follow(self) -> None:
        while True:
            try:
                await self._hints.wait(POLL_SECONDS)
                self._last = await poll(self._world, self._last)
                self._outage.ends()
            except Unavailable as error:
                self._outage.begins()
                log.warning("revocations could not be read: %s", error)
                await asyncio.sleep(POLL_SECONDS)
            except Exception:  # a feed that has stopped would make every request ask the database
                self._outage.begins()
                log.exception("following revocations failed; trying again")
                await asyncio.sleep(POLL_SECONDS)
