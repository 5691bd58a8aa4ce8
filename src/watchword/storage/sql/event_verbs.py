"""The verbs of events; `verbs` says what a verb is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from watchword.core.record import KEPT, Recorded
from watchword.storage.sql.clauses import Script
from watchword.storage.sql.rows import Parameters, Row, event_parameters, recorded_of
from watchword.storage.sql.statements import Statements

_LAST = "~"
"""Behind every id."""


class EventVerbs(ABC):
    """Implements `ports.Events`."""

    _statements: Statements

    @abstractmethod
    async def _read(self, statement: str, parameters: Parameters) -> Sequence[Row]: ...

    @abstractmethod
    async def _write(self, script: Script, parameters: Parameters) -> Sequence[Sequence[Row]]: ...

    async def append_events(self, events: Sequence[Recorded]) -> None:
        await self._write(self._statements.events.append, event_parameters(events))

    async def list_events(self, user_id: str | None, *, before: str | None, limit: int) -> Sequence[Recorded]:
        parameters: Parameters = {"before": before or _LAST, "limit": limit}
        if user_id is None:
            rows = await self._read(self._statements.events.list_all, parameters)
        else:
            rows = await self._read(self._statements.events.list_theirs, parameters | {"user_id": user_id})
        return [recorded_of(row) for row in rows]

    async def read_events(self, *, since: int, after: str = "", limit: int) -> Sequence[Recorded]:
        parameters: Parameters = {"since": since, "after": after, "limit": limit}
        rows = await self._read(self._statements.events.read, parameters)
        return [recorded_of(row) for row in rows]

    async def _sweep_events(self, now: int, batch: int) -> int:
        [gone] = await self._write(self._statements.events.sweep, {"horizon": now - KEPT, "limit": batch})
        return len(gone)
