"""What one process knows to be revoked: two maps in memory, asked on every request. Pure: fed from outside.

Sessions are ended by sid; a change of roles or claims moves a user's `tokens_from`, and older access tokens are
refused. Whoever polls the database hands over what it read, with the instant of reading; `stale` says when that
was too long ago to be trusted, or that there was more than fits (then a guard has to ask the database itself, and must
never pass instead).
Sources: ASVS 5.0 7.4.1, 7.4.2, 8.3.2, 16.5.3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from watchword.core.session import End

STALE_AFTER = 3_000_000
"""µs after which what was read is no longer taken for the whole truth."""
ROLES_MARGIN = 3
"""Seconds from a change of roles to the first `iat` that counts: longer than the change may take to be seen by who
reads the row, and less than the leeway of a verifier."""
PRUNE_EVERY = 60_000_000
"""µs between two looks for entries that may go: each look costs the length of the maps."""
MOST = 250_000
"""Entries that are kept at most, which is about 40 MB; with access tokens of 15 minutes, 260 ends a second. What does
not fit is asked of the database, for each request, until no access token can be of it."""


@dataclass(frozen=True, slots=True)
class Revoked:
    """One session that somebody ended. `at` in µs."""

    sid: str
    at: int


@dataclass(frozen=True, slots=True)
class Displaced(Revoked):
    """One that a sign-in ended: whose it was, which need not be who signed in, and why."""

    user_id: str
    end: End


@dataclass(frozen=True, slots=True)
class TokensFrom:
    """One user whose access tokens count only if issued at `second` or later."""

    user_id: str
    second: int


Heard = Callable[[frozenset[str], frozenset[str]], object]
"""Told which sessions ended, by sid, and whose `tokens_from` moved, by user."""


class Revocations:
    """The two maps. `keep` is how long an access token can outlive the end of its session, in µs; `most` entries are
    kept."""

    def __init__(self, *, keep: int, most: int = MOST) -> None:
        self.keep = keep
        self.through = 0
        """How far the database was read, by its own clock."""
        self._most = most
        self.sids: dict[str, int] = {}
        """When each ended, by sid. To be read by who asks at every request, and by nobody kept: it is replaced."""
        self.seconds: dict[str, int] = {}
        """As `tokens_from`, by user; the same holds."""
        self._read_at: int | None = None
        self._pruned_at = 0
        self._full = False
        self._full_until = 0
        self._listeners: list[Heard] = []

    def __len__(self) -> int:
        return len(self.sids) + len(self.seconds)

    def ended(self, sid: str) -> bool:
        return sid in self.sids

    def tokens_from(self, user_id: str) -> int:
        """The second before which this user's access tokens are refused; 0 when there is none."""
        return self.seconds.get(user_id, 0)

    def overdue(self, now: int) -> bool:
        """Whether the database was not read for so long that these maps may lack something."""
        return self._read_at is None or abs(now - self._read_at) > STALE_AFTER

    def age(self, now: int) -> int | None:
        """How long ago the database was read, in µs; None if it never was."""
        return None if self._read_at is None else abs(now - self._read_at)

    def stale(self, now: int) -> bool:
        """Whether these maps may lack something, for whatever reason: then each request is a question to the
        database."""
        return self._full or self._read_at is None or abs(now - self._read_at) > STALE_AFTER

    def went_back(self, now: int) -> bool:
        """Whether the clock is behind where it was at the last reading, which may have forgotten too much then."""
        return self._read_at is not None and now < self._read_at

    @property
    def loaded(self) -> bool:
        """Whether the first full reading took place."""
        return self._read_at is not None

    def listen(self, heard: Heard) -> Callable[[], None]:
        """Have `heard` called whenever something is new here, until the function that is returned is called."""
        self._listeners.append(heard)
        return lambda: self._listeners.remove(heard)

    def add(self, ended: Iterable[Revoked] = (), tokens_from: Iterable[TokensFrom] = ()) -> frozenset[str]:
        """Take in what was written here or read elsewhere; returns the sids that are new."""
        fresh = {row.sid: row.at for row in ended if row.sid not in self.sids}
        moved: dict[str, int] = {}
        for row in tokens_from:
            if row.second > max(self.seconds.get(row.user_id, 0), moved.get(row.user_id, 0)):
                moved[row.user_id] = row.second
        if len(self) + len(fresh) + len(moved) <= self._most:
            self.sids.update(fresh)
            self.seconds.update(moved)
        elif fresh or moved:
            self._full, self._full_until = True, 0  # until when is known at the next reading
        if (fresh or moved) and self._listeners:
            for heard in tuple(self._listeners):
                heard(frozenset(fresh), frozenset(moved))
        return frozenset(fresh)

    def window(self, since: int) -> tuple[list[Revoked], list[TokensFrom]]:
        """What is known to have ended at `since` or later, and whose tokens count from that second or a later one.
        Costs the length of the maps."""
        ended = [Revoked(sid, at) for sid, at in self.sids.items() if at >= since]
        moved = [TokensFrom(user, s) for user, s in self.seconds.items() if s * 1_000_000 >= since]
        return ended, moved

    def read(self, now: int, through: int = 0) -> None:
        """Note that the database was read in full up to `now`, which was `through` by its own clock, and forget what no
        live access token can be of."""
        self._read_at, self.through = now, through
        if self._full and not self._full_until:
            self._full_until = now + self.keep
        if abs(now - self._pruned_at) < PRUNE_EVERY:
            return
        self._pruned_at = now
        horizon = now - self.keep
        self.sids = {sid: at for sid, at in self.sids.items() if at > horizon}
        self.seconds = {user: second for user, second in self.seconds.items() if second * 1_000_000 > horizon}
        self._full = self._full and now < self._full_until
