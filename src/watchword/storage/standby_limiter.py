"""Budgets in one place while it answers, and in another while it does not: an outage of Redis keeps nobody from signing
in (SECURITY-TARGET F5). What was spent in the one is whole in the other, so a limit is at most twice as wide meanwhile.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from watchword.errors import Unavailable
from watchword.ports import Limiter
from watchword.rates import Rate

PAUSE = 5.0
"""Seconds for which a place that did not answer is not asked again: each that asks it waits for nothing."""

log = logging.getLogger("watchword.limits")


Tell = Callable[[], object]


class StandbyLimiter:
    """Implements `ports.Limiter` by `first`, else by `second`, which is the caller's to close. `begins` is called when
    `first` falls silent, and `ends` when it answers again."""

    def __init__(
        self, first: Limiter, second: Limiter, *, begins: Tell, ends: Tell, pause: float = PAUSE
    ) -> None:
        self._first, self._second, self._pause = first, second, pause
        self._begins, self._ends = begins, ends
        self._silent_until: float | None = None

    async def take(self, asked: Sequence[tuple[str, Rate]], *, now: int) -> int | None:
        """Raises Unavailable when neither answers."""
        if self._silent_until is not None:
            if time.monotonic() < self._silent_until:
                return await self._second.take(asked, now=now)
            self._silent_until = (
                time.monotonic() + self._pause
            )  # one asks whether it is back, and nobody beside it
        try:
            wait = await self._first.take(asked, now=now)
        except Unavailable as error:
            if self._silent_until is None:
                log.warning("limits are counted in the database: Redis does not answer (%r)", error.__cause__)
                self._begins()
            self._silent_until = time.monotonic() + self._pause
            return await self._second.take(asked, now=now)
        if self._silent_until is not None:
            log.warning("limits are counted in Redis again")
            self._ends()
            self._silent_until = None
        return wait

    async def close(self) -> None:
        """Let go of what `first` holds."""
        close = getattr(self._first, "close", None)
        if close is not None and (waiting := close()) is not None:
            await waiting
