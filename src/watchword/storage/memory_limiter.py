"""Budgets of rate limits in this process alone: for tests, for what is counted on every request, and as the reference.

It never suspends, and each call is atomic because nothing else runs meanwhile. Bounded: what strangers can make keys
of must not grow without end.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import nsmallest

from watchword.core.throttle import take
from watchword.rates import Rate

MOST_KEYS = 100_000


class MemoryLimiter:
    """Implements `ports.Limiter`.

    Beyond `most` keys a tenth is forgotten, those whose budgets are nearest to being whole: whoever sends from ever new
    addresses frees nobody who is limited before all that are not.
    """

    def __init__(self, *, most: int = MOST_KEYS) -> None:
        self._tats: dict[str, int] = {}
        self._most = most

    async def take(self, asked: Sequence[tuple[str, Rate]], *, now: int) -> int | None:
        verdicts = [(key, take(self._tats.get(key), now, rate)) for key, rate in asked]
        if not all(verdict.allowed for _, verdict in verdicts):
            return max(verdict.retry_after for _, verdict in verdicts)
        self._tats.update((key, verdict.tat) for key, verdict in verdicts)
        if len(self._tats) > self._most:
            for key in nsmallest(len(self._tats) // 10 + 1, self._tats, key=self._tats.__getitem__):
                del self._tats[key]
        return None
