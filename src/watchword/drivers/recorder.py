"""Where every event goes: the log, the file, the app's own sink at once, and the table in batches, a moment later.

Whoever emits waits for nothing and is told of no failure: what has happened is not undone because it cannot be noted.
Rows wait in memory while the database is away. If there are too many, the oldest are given up, and of a flood of
refusals the latest: for the table alone, and a later event says how many they were (SECURITY-TARGET F14, F15;
decision 19).
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Sequence

from watchword import events
from watchword.core.record import NAMES, REFUSAL_RATE, Recorded, budget_of, json_line, tidied
from watchword.core.throttle import take
from watchword.core.uuid7 import following, uuid7
from watchword.drivers.journal import Journal
from watchword.drivers.outage import Outage
from watchword.errors import Unavailable
from watchword.events import Event
from watchword.meters import EVENTS, EVENTS_WAITING, Meter
from watchword.ports import Clock, Counts, Events, EventSink

MOST_WAITING = 10_000
BATCH = 200
"""Rows that are written at once: few enough that no other write waits long behind them."""
POLL_SECONDS = 0.1
RETRY_SECONDS = 1.0
TELL_LOST_EVERY = 60_000_000
"""µs between two events about lost ones, which would be a flood themselves."""
STOP_SECONDS = 5.0
"""How long a process that ends waits for the database to take what is left."""

log = logging.getLogger("watchword")
event_log = logging.getLogger("watchword.events")


class Recorder:
    """Implements `ports.EventSink`. Any thread may call it; it never raises and never waits for the database."""

    def __init__(
        self,
        store: Events,
        clock: Clock,
        *,
        journal: Journal | None,
        sink: EventSink | None,
        counts: Counts | None = None,
    ) -> None:
        self._store, self._clock, self._journal, self._sink = store, clock, journal, sink
        self._counts = counts
        self._lock = threading.Lock()
        self._last = ""
        self._waiting: deque[Recorded] = deque()
        self._under_way: Sequence[Recorded] = ()
        self._lost = 0
        self._told_lost_at: int | None = None
        self._refusals: dict[str, int] = {}
        self._missed = 0
        self._file_outage = Outage(self, clock, "events_file")
        self._table_outage = Outage(self, clock, "events")

    def __call__(self, event: Event) -> None:
        event = tidied(event)
        if self._counts is not None:
            self._counts.add(EVENTS, event.name if event.name in NAMES else "other")
        recorded = self._queued(event)
        try:
            event_log.info("%s", event.name, extra={"event": event, "event_id": recorded.id})
        except Exception:  # noqa: BLE001 - a handler of the app's, and what has happened is not undone by it
            traceback.print_exc()
        self._note(recorded)
        if self._sink is not None:
            try:
                self._sink(event)
            except Exception:
                log.exception("on_event failed for %s", event.name)

    @property
    def waiting(self) -> int:
        """How many events the table does not have yet."""
        return len(self._waiting) + len(self._under_way)

    def measured(self) -> Iterable[tuple[Meter, float]]:
        """As `ports.Metered`."""
        yield EVENTS_WAITING, self.waiting

    def start(self) -> None:
        """Make the file, so that one which cannot be written is told at once."""
        if self._journal is not None:
            self._in_file(self._journal.check)

    async def run(self) -> None:
        """Never ends by itself."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            try:
                await self.flush()
            except Unavailable:
                await asyncio.sleep(RETRY_SECONDS)
            except Exception:  # a recorder that has stopped would lose every later event
                log.exception("writing events failed; trying again")
                await asyncio.sleep(RETRY_SECONDS)

    async def flush(self, *, last: bool = False) -> None:
        """Write what waits now; the `last` one says what was lost without a pause. May be called by several at once.
        Raises Unavailable."""
        for _ in range(self.waiting // BATCH + 2):
            rows = self._next()
            if not rows:
                break
            await self._append(rows)
        if lost := self._lost_to_tell(now=last):
            self(Event(events.EVENTS_LOST, self._clock.now(), detail=str(lost)))

    async def drain(self) -> None:
        """`flush` for a process that ends: what cannot be written in time stays in the log and the file alone."""
        try:
            async with asyncio.timeout(STOP_SECONDS):
                while self.waiting or self._lost:
                    await self.flush(last=True)
        except (Unavailable, TimeoutError) as error:
            log.error(
                "%d events were not written into the table: %s", self.waiting, str(error) or "no answer"
            )

    def _queued(self, event: Event) -> Recorded:
        """Under an id that is behind those of all events before it."""
        now = self._clock.now()
        with self._lock:
            fresh = uuid7(now, secrets.token_bytes(10))
            self._last = fresh if fresh > self._last else following(self._last, secrets.token_bytes(4))
            recorded = Recorded(self._last, event)
            if (budget := budget_of(event)) is not None:
                admitted, self._refusals[budget], _ = take(self._refusals.get(budget), now, REFUSAL_RATE)
                if not admitted:
                    self._lost += 1
                    return recorded
            if len(self._waiting) >= MOST_WAITING:
                self._waiting.popleft()
                self._lost += 1
            self._waiting.append(recorded)
        return recorded

    def _note(self, recorded: Recorded) -> None:
        journal = self._journal
        if journal is not None and self._in_file(lambda: journal.write(json_line(recorded))):
            if missed := self._missed:
                self._missed = 0
                log.warning("events_file %s is written again: it lacks %d events", journal, missed)
            self._file_outage.ends()
        elif journal is not None:
            self._missed += 1

    def _in_file(self, write: Callable[[], None]) -> bool:
        try:
            write()
        except OSError as error:
            if self._file_outage.begins():
                log.error("events_file %s cannot be written: %s", self._journal, error)
            return False
        return True

    def _next(self) -> Sequence[Recorded]:
        """What is under way, else the oldest that wait. It is under way until it was written: nothing drops it."""
        with self._lock:
            if not self._under_way:
                many = min(BATCH, len(self._waiting))
                self._under_way = tuple(self._waiting.popleft() for _ in range(many))
            return self._under_way

    async def _append(self, rows: Sequence[Recorded]) -> None:
        """Two who are here at once write the same rows, which are there once all the same."""
        try:
            await self._store.append_events(rows)
        except Unavailable as error:
            if self._table_outage.begins():
                log.warning("events have to wait for the database: %s", error.__cause__ or error)
            raise
        except Exception:  # noqa: BLE001 - it is told of the row that it is about
            await self._one_by_one(rows)
        else:
            self._table_outage.ends()
        with self._lock:
            if self._under_way is rows:
                self._under_way = ()

    async def _one_by_one(self, rows: Sequence[Recorded]) -> None:
        """What the table refuses must not keep out what stands beside it."""
        for row in rows:
            try:
                await self._store.append_events([row])
            except Unavailable:
                raise
            except Exception:
                log.exception("the table does not take an event %s", row.event.name)
                with self._lock:
                    self._lost += row.event.name != events.EVENTS_LOST  # of which there would be no end

    def _lost_to_tell(self, *, now: bool) -> int:
        """How many, if it is time to say so."""
        at = self._clock.now()
        with self._lock:
            told = self._told_lost_at
            if not now and told is not None and abs(at - told) < TELL_LOST_EVERY:
                return 0
            lost, self._lost = self._lost, 0
            self._told_lost_at = at if lost else told
        return lost
