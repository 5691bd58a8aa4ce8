"""Argon2id in a small pool of threads behind a bounded queue, so that a storm of logins neither blocks the event
loop nor eats the machine.

One thread a core that this process may use, divided by the processes that share them, at normal priority (a lowered
one starves logins as soon as anything else wants the core). Which passwords are acceptable is decided elsewhere.
Sources: ASVS 5.0 11.4.1, 11.4.2, 15.2.2, 6.3.8; RFC 9106.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from watchword.errors import Overloaded
from watchword.meters import HASH_REFUSED, HASH_RUNNING, HASH_WAITING, Meter

QUEUE = 64
"""How many may wait for a thread; the next is told to come back."""

T = TypeVar("T")


class Argon2Hasher:
    """Implements `ports.Hasher`. `memory` is in KiB; the defaults are OWASP's (19 MiB, 2 passes, 1 lane)."""

    def __init__(
        self, *, threads: int = 0, memory: int = 19 * 1024, passes: int = 2, queue: int = QUEUE
    ) -> None:
        self._argon2 = PasswordHasher(time_cost=passes, memory_cost=memory, parallelism=1)
        self._threads = threads or available_cores()
        self._pool: ThreadPoolExecutor | None = None
        self._room = self._threads + queue
        self._busy = 0
        self._refused = 0
        # What absent users are verified against: same parameters, so the same work (SECURITY-TARGET attack 65).
        self._nobody = self._argon2.hash(secrets.token_urlsafe(24))
        self._today = self._nobody[: self._nobody.index("p=1$") + 4]

    @property
    def waiting(self) -> int:
        """How many calls are running or queued."""
        return self._busy

    def measured(self) -> Iterable[tuple[Meter, float]]:
        """As `ports.Metered`."""
        busy = self._busy
        yield HASH_RUNNING, min(busy, self._threads)
        yield HASH_WAITING, max(0, busy - self._threads)
        yield HASH_REFUSED, self._refused

    async def hash(self, password: str) -> str:
        return await self.aside(lambda: self._argon2.hash(password))

    async def verify(self, digest: str | None, password: str) -> bool:
        right = await self.aside(lambda: self._matches(digest or self._nobody, password))
        return right and digest is not None

    def outdated(self, digest: str) -> bool:
        # With the parameters of today it differs from that of nobody in salt and hash alone, and in no length.
        nobody, salt_ends = self._nobody, digest.rfind("$")
        alike = len(digest) == len(nobody) and salt_ends == nobody.rfind("$")
        return not (alike and digest.startswith(self._today)) and self._argon2.check_needs_rehash(digest)

    def close(self) -> None:
        """Let the threads go once they are done; the next call starts new ones."""
        if self._pool is not None:
            self._pool.shutdown(wait=False)
            self._pool = None

    def _matches(self, digest: str, password: str) -> bool:
        try:
            return self._argon2.verify(digest, password)
        except (VerificationError, InvalidHashError):
            return False

    async def aside(self, work: Callable[[], T]) -> T:
        """Run `work` in the pool. Raises Overloaded when too many wait."""
        if self._busy >= self._room:
            self._refused += 1
            raise Overloaded("Too many people are signing in at once.", retry_after=2)
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="watchword-hash")
        self._busy += 1
        future = asyncio.get_running_loop().run_in_executor(self._pool, work)
        # Counted down by the work itself, not by its waiter: a caller that goes away leaves its hash running.
        future.add_done_callback(self._done)
        return await asyncio.shield(future)

    def _done(self, _: object) -> None:
        self._busy -= 1


def available_cores() -> int:
    """Cores that this process may use: its affinity, capped by the control group's quota; at least 1."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on this operating system
        cores = os.cpu_count() or 1
    return max(1, min(cores, _quota() or cores))


def _quota() -> int | None:
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return None
    return None if quota == "max" else max(1, int(quota) // int(period))
