"""What one process knows to be revoked: two maps in memory, asked on every request. Pure: fed from outside.

Sessions are ended by sid; a change of roles or claims moves a user's `tokens_from`, and older access tokens are
refused. Whoever polls the database hands over what it read, with the instant of reading; `stale` says when that
was too long ago to be trusted (then a guard has to ask the database itself, and must never pass instead).
Sources: ASVS 5.0 7.4.1, 7.4.2, 8.3.2, 16.5.3.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from watchword.core.session import End

STALE_AFTER = 3_000_000
"""µs after which what was read is no longer taken for the whole truth."""
ROLES_MARGIN = 3
"""Seconds from a change of roles to the first `iat` that counts: longer than the change may take to be seen by who
reads the row, and less than the leeway of a verifier."""
PRUNE_EVERY = 60_000_000
"""µs between two looks for entries that may go: each look costs the length of the maps."""


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


class Revocations:
    """The two maps. `keep` is how long an access token can outlive the end of its session, in µs."""

    def __init__(self, *, keep: int) -> None:
        self.keep = keep
        self._ended: dict[str, int] = {}
        self._tokens_from: dict[str, int] = {}
        self._read_at: int | None = None
        self._pruned_at = 0

    def __len__(self) -> int:
        return len(self._ended) + len(self._tokens_from)

    def ended(self, sid: str) -> bool:
        return sid in self._ended

    def tokens_from(self, user_id: str) -> int:
        """The second before which this user's access tokens are refused; 0 when there is none."""
        return self._tokens_from.get(user_id, 0)

    def stale(self, now: int) -> bool:
        """Whether the database was not read for so long that these maps may lack something."""
        return self._read_at is None or abs(now - self._read_at) > STALE_AFTER

    def went_back(self, now: int) -> bool:
        """Whether the clock is behind where it was at the last reading, which may have forgotten too much then."""
        return self._read_at is not None and now < self._read_at

    @property
    def loaded(self) -> bool:
        """Whether the first full reading took place."""
        return self._read_at is not None

    def add(self, ended: Iterable[Revoked] = (), tokens_from: Iterable[TokensFrom] = ()) -> frozenset[str]:
        """Take in what was written here or read elsewhere; returns the sids that are new."""
        fresh = {row.sid: row.at for row in ended if row.sid not in self._ended}
        self._ended.update(fresh)
        for row in tokens_from:
            self._tokens_from[row.user_id] = max(row.second, self._tokens_from.get(row.user_id, 0))
        return frozenset(fresh)

    def read(self, now: int) -> None:
        """Note that the database was read in full up to `now`, and forget what no live access token can be of."""
        self._read_at = now
        if abs(now - self._pruned_at) < PRUNE_EVERY:
            return
        self._pruned_at = now
        horizon = now - self.keep
        self._ended = {sid: at for sid, at in self._ended.items() if at > horizon}
        self._tokens_from = {
            user: second for user, second in self._tokens_from.items() if second * 1_000_000 > horizon
        }
