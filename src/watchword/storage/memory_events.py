"""The event half of the reference store: a dictionary that is only added to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from watchword.core.record import KEPT, Recorded
from watchword.ports import Clock


class MemoryEvents:
    """Implements `ports.Events`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._events: dict[str, Recorded] = {}

    async def append_events(self, events: Sequence[Recorded]) -> None:
        for row in events:
            self._events.setdefault(row.id, replace(row, written_at=self._clock.now()))

    async def list_events(self, user_id: str | None, *, before: str | None, limit: int) -> Sequence[Recorded]:
        rows = [row for row in self._events.values() if user_id in (None, row.event.user_id)]
        older = [row for row in rows if before is None or row.id < before]
        return sorted(older, key=lambda row: row.id, reverse=True)[:limit]

    async def read_events(self, *, since: int, after: str = "", limit: int) -> Sequence[Recorded]:
        rows = sorted(self._events.values(), key=lambda row: (row.written_at, row.id))
        return [
            row for row in rows if row.written_at > since or (row.written_at == since and row.id > after)
        ][:limit]

    def _sweep_events(self, now: int, batch: int) -> int:
        old = [key for key, row in self._events.items() if row.written_at < now - KEPT][:batch]
        for key in old:
            del self._events[key]
        return len(old)
