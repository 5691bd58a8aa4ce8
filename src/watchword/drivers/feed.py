"""The loop that keeps this process's revocations up to date, and the hints that make it look sooner.

A hint only says «look now»: it carries nothing that anybody believes, and losing one costs at most the polling
interval. What a look does is flows/follow. Databases and Redis bring hints of their own (storage/sql/postgres_hints,
storage/redis_hints).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from watchword.drivers.outage import Outage
from watchword.errors import Unavailable
from watchword.flows.follow import poll
from watchword.meters import FEED_LOOKS
from watchword.ports import World

POLL_SECONDS = 1.0
DATA_VERSION_SECONDS = 0.1
GAP_SECONDS = 0.01
"""Between a look that a hint led to and the next, however many hints there are: not so long that one which comes just
then would wait noticeably."""
SHARE = 4
"""That pause is so many times the look's length at least, so that looks which take long take no more than a fifth of
the time of the database and of this process."""

log = logging.getLogger("watchword.feed")


class Hints(Protocol):
    """Something that may know of a revocation before the next poll is due."""

    async def listen(self, ring: Callable[[], None]) -> None:
        """Call `ring` at each hint, and whenever one may have been missed. Never ends by itself, and survives that its
        source is away."""


class DataVersionHints:
    """SQLite's `PRAGMA data_version`: it changes when anybody else has committed to the file."""

    def __init__(self, data_version: Callable[[], Awaitable[int]]) -> None:
        self._data_version = data_version

    async def listen(self, ring: Callable[[], None]) -> None:
        seen: int | None = None
        while True:
            await asyncio.sleep(DATA_VERSION_SECONDS)
            try:
                version = await self._data_version()
            except Unavailable:
                continue  # the look that follows says so
            if version != seen:
                seen = version
                ring()


class Feed:
    """Polls for as long as it runs. `follow()` never ends by itself and survives a database that is away.

    Without any hints it polls twice as often, so that a revocation is known within a second all the same.
    """

    def __init__(self, world: World, hints: Sequence[Hints] = ()) -> None:
        self._world = world
        self._hints = hints
        self._seconds = POLL_SECONDS if hints else POLL_SECONDS / 2
        self._rung = asyncio.Event()
        self._last: int | None = None
        self._outage = Outage(world.emit, world.clock, "revocations")
        self.looks = 0
        """How often the database was read."""

    async def load(self) -> None:
        """The first, full reading. Raises Unavailable."""
        self._last = await poll(self._world, None)

    async def follow(self) -> None:
        listening = [asyncio.create_task(self._listen(hints)) for hints in self._hints]
        try:
            while True:
                rung = await self._pause()
                took = await self._look()
                if rung:  # who looks because it is time has no reason to make the next hint wait
                    await asyncio.sleep(min(POLL_SECONDS, max(GAP_SECONDS, SHARE * took)))
        finally:
            for task in listening:
                task.cancel()
            await asyncio.gather(*listening, return_exceptions=True)

    async def _listen(self, hints: Hints) -> None:
        while True:
            try:
                await hints.listen(self._rung.set)
            except Exception:  # without hints all goes on, if more slowly
                log.exception("listening for hints failed; trying again")
            await asyncio.sleep(POLL_SECONDS)

    async def _pause(self) -> bool:
        """Until a hint comes, or came since the last look began; whether it did."""
        try:
            async with asyncio.timeout(self._seconds):
                return await self._rung.wait()
        except TimeoutError:
            return False

    async def _look(self) -> float:
        """How many seconds it took."""
        clock = asyncio.get_running_loop()
        began = clock.time()
        self._rung.clear()  # what is written from here on may be missed by this look: its hint leads to another
        self.looks += 1
        try:
            self._last = await poll(self._world, self._last)
            self._world.counts.add(FEED_LOOKS, "done")
            self._outage.ends()
            return clock.time() - began
        except Unavailable as error:
            self._outage.begins()
            log.warning("revocations could not be read: %s", error)
        except Exception:  # a feed that has stopped would make every request ask the database
            self._outage.begins()
            log.exception("following revocations failed; trying again")
        self._world.counts.add(FEED_LOOKS, "failed")
        await asyncio.sleep(POLL_SECONDS)
        self._rung.set()  # this was the pause
        return 0.0
