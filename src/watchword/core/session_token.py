"""The token of mode `session`: one opaque cookie that names a session and is looked up. Pure.

A derived token (`core.derived_token`) with the prefix `wws_`. It lives as long as its session, or until that session
was stepped up and the token of the step-up was used; so what has been looked up may be kept for seconds only.
Sources: ASVS 5.0 7.2.1–7.2.4, 7.4.1.
"""

from __future__ import annotations

from dataclasses import replace

from watchword.core import derived_token
from watchword.core.derived_token import DerivedTokens, Presented
from watchword.core.keys import KeyRing, Purpose
from watchword.core.revocation import Revocations
from watchword.core.rotation import Lineage
from watchword.core.session import Principal
from watchword.errors import SessionEnded

PREFIX = b"wws_"
KEEP = 5_000_000
"""µs for which a session that was looked up need not be looked up again; its end is noticed at once all the same."""
SEEN = 4096


class SessionTokens(DerivedTokens):
    """Mints and recognises session tokens under a key ring."""

    def __init__(self, ring: KeyRing) -> None:
        super().__init__(ring, Purpose.SESSION, prefix=PREFIX, label=b"watchword/session/1")


def read(token: bytes) -> Presented | None:
    """Take a token apart, whatever key it is of; None for anything that cannot be one of ours. Never raises."""
    return derived_token.read(token, PREFIX)


def taken_up(lineage: Lineage, generation: int, *, now: int, window: int) -> Lineage | None:
    """A session's lineage once a token of `generation` was used; None when that one is dead (ASVS 5.0 7.2.4).

    A step-up makes the next generation. The one before it lives until the newer one is used, as the answer may have
    been lost, and for a `window` more, as requests may be under way with it. Those up to `parent` are the dead.
    """
    held = lineage.parent + 1
    if generation > held:  # also one that the database has forgotten: only we can have minted it
        used, newest = generation - 1, max(generation, lineage.newest)
        return replace(lineage, before=lineage.parent, parent=used, floor=used, newest=newest, rotated_at=now)
    under_way = lineage.before < generation and abs(now - lineage.rotated_at) < window
    return lineage if generation == held or under_way else None


class SeenSessions:
    """What was looked up in the last seconds, first in first out."""

    def __init__(self, revocations: Revocations, *, keep: int = KEEP) -> None:
        self._revocations = revocations
        self._keep = keep
        self._seen: dict[bytes, tuple[Principal, int]] = {}

    def get(self, token: bytes, now: int) -> Principal | None:
        """Whom a token speaks for, None when that must be looked up (again). Raises SessionEnded. `now` in µs."""
        principal, seen_at = self._seen.get(token, (None, 0))
        if principal is None:
            return None
        if self._revocations.ended(principal.sid):
            raise SessionEnded
        if (
            not 0 <= now - seen_at < self._keep
            or now >= principal.expires_at * 1_000_000
            or principal.issued_at < self._revocations.tokens_from(principal.id)
        ):
            self._seen.pop(token, None)
            return None
        return principal

    def forget(self, token: bytes) -> None:
        """Let a token be looked up again."""
        self._seen.pop(token, None)

    def put(self, token: bytes, principal: Principal, now: int) -> None:
        """Keep what was looked up at `now`."""
        self._seen.pop(token, None)
        if len(self._seen) >= SEEN:
            self._seen.pop(next(iter(self._seen)), None)
        self._seen[token] = principal, now
