"""Counts in memory: what this process has counted since it started."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence

from watchword.meters import Meter
from watchword.ports import Row


class Tally:
    """Implements `ports.Counts`. `changes` grows with every count; `known` are told as 0 until they are counted, as
    nobody sees a rise from nothing to one."""

    def __init__(self, known: Iterable[tuple[Meter, str]] = ()) -> None:
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, tuple[str, ...]], int] = {
            (meter.name, (label,)): 0 for meter, label in known
        }
        self.changes = 0

    def add(self, meter: Meter, *labels: str) -> None:
        key: tuple[str, tuple[str, ...]] = (meter.name, labels)
        with self._lock:
            self._counts[key] = self._counts.get(key, 0) + 1
            self.changes += 1

    def rows(self) -> Sequence[Row]:
        """All of them so far."""
        with self._lock:
            return [(name, labels, float(count)) for (name, labels), count in self._counts.items()]
