"""What this process has counted and how things stand in it, read when somebody asks: nothing runs between scrapes.

`auth.metrics` is one of these. How the numbers of several processes come together is `server.hub`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from watchword import meters
from watchword.drivers.exposition import CONTENT_TYPE, families, merged, text
from watchword.drivers.tally import Tally
from watchword.errors import StaleSchemaError, Unavailable
from watchword.ports import MailCounts, Metered, Row, World
from watchword.spans import SECOND

if TYPE_CHECKING:
    from prometheus_client import Metric

ASK_SECONDS = 1.0
"""How long the database has for its answer about mail: well below what a hub waits for us (server.hub)."""


class Metrics:
    """The numbers of one `Watchword` in one process.

    `await auth.metrics.text()` is the whole of it in Prometheus' text format. It is a collector too:
    `prometheus_client.REGISTRY.register(auth.metrics)`. Both need the extra `metrics` and raise SettingsError without.
    """

    content_type = CONTENT_TYPE

    def __init__(self, world: World, tally: Tally, *parts: object) -> None:
        self._world, self._tally = world, tally
        self._parts = [part for part in parts if isinstance(part, Metered)]
        self.reported = False
        """Whether somebody else shows these numbers, with those of other processes."""
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def changes(self) -> int:
        """Another number whenever something was counted."""
        return self._tally.changes

    def follow(self) -> None:
        """Note the loop that the database is asked in."""
        self._loop = asyncio.get_running_loop()

    def rows(self) -> list[Row]:
        """What memory tells. No I/O; any thread."""
        known = self._world.revocations
        found = [*self._tally.rows(), (meters.REVOCATIONS.name, (), float(len(known)))]
        if (age := known.age(self._world.clock.now())) is not None:
            found.append((meters.FEED_AGE.name, (), age / SECOND))
        for part in self._parts:
            found += [(meter.name, (), value) for meter, value in part.measured()]
        return found

    async def database_rows(self) -> list[Row]:
        """What the database tells, in one bounded question. Never raises for a database that does not answer."""
        store = self._world.store
        if not isinstance(store, MailCounts):
            return []
        try:
            async with asyncio.timeout(ASK_SECONDS):
                depth = await store.count_mail()
        except (Unavailable, StaleSchemaError, TimeoutError):
            return [(meters.DATABASE_UP.name, (), 0.0)]
        age = 0.0 if depth.oldest is None else max(0, depth.now - depth.oldest) / SECOND
        return [
            (meters.DATABASE_UP.name, (), 1.0),
            (meters.MAIL_WAITING.name, (), float(depth.waiting)),
            (meters.MAIL_OLDEST.name, (), age),
            (meters.MAIL_GIVEN_UP.name, (), float(depth.given_up)),
        ]

    async def text(self) -> bytes:
        """Everything about this process and the mail of all, as `exposition.CONTENT_TYPE`."""
        return text(merged([*self.rows(), *await self.database_rows()]))

    def describe(self) -> Sequence[Metric]:
        """For prometheus_client: nothing is asked when it is registered."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """For prometheus_client. Called in the loop's own thread it cannot ask the database, and leaves mail out."""
        rows, loop = self.rows(), self._loop
        if loop is not None and loop.is_running() and loop is not _running():
            asked = asyncio.run_coroutine_threadsafe(self.database_rows(), loop)
            try:
                rows += asked.result(2 * ASK_SECONDS)
            except TimeoutError:
                asked.cancel()
        return families(merged(rows))


def _running() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
