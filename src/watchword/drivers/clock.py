"""The host's clock. The only place that asks for the time."""

from __future__ import annotations

import time


class SystemClock:
    """Implements `ports.Clock`."""

    def now(self) -> int:
        return time.time_ns() // 1000
