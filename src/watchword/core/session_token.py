"""The token of mode `session`: one opaque cookie that names a session and is looked up. Pure.

`wws_` + base64url(version 1 ‖ key id 3 ‖ sid 16 ‖ generation 8 ‖ tag 32), 84 characters, where
tag = HMAC-SHA256(session key, label ‖ sid ‖ generation ‖ seed) and the seed is the session row's. Nothing of it is
stored: the database alone forges none, nor does the key alone. It lives as long as its session, or until that session
was stepped up and the token of the step-up was used; so what has been looked up may be kept for seconds only.
60 bytes are 80 base64 characters exactly, so that a token has one spelling only.
Sources: ASVS 5.0 7.2.1–7.2.4, 7.4.1, 11.2.4.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field, replace
from uuid import UUID

from watchword.core.keys import KeyRing, Purpose
from watchword.core.revocation import Revocations
from watchword.core.rotation import Lineage
from watchword.core.session import Principal
from watchword.errors import SessionEnded

PREFIX = b"wws_"
LENGTH = 84
KEEP = 5_000_000
"""µs for which a session that was looked up need not be looked up again; its end is noticed at once all the same."""
SEEN = 4096
_VERSION = b"\x01"
_LABEL = b"watchword/session/1"
_ALPHABET = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@dataclass(frozen=True, slots=True)
class Named:
    """What a session token claims, before its tag was checked."""

    sid: str
    generation: int
    key_id: bytes
    tag: bytes = field(repr=False)


class SessionTokens:
    """Mints and recognises session tokens under a key ring."""

    def __init__(self, ring: KeyRing) -> None:
        self._signing_id = ring.signing.key_id
        self._keys = {root.key_id: root.key(Purpose.SESSION) for root in ring}

    def mint(self, sid: str, generation: int, seed: bytes) -> str:
        """The token of one generation of a session: always the same while the first secret is."""
        body = UUID(sid).bytes + generation.to_bytes(8, "big")
        raw = _VERSION + self._signing_id + body + self._tag(self._signing_id, body, seed)
        return (PREFIX + urlsafe_b64encode(raw)).decode()

    def read(self, token: bytes) -> Named | None:
        """What a token of one of our keys claims; None for any other, which need not be looked up. Never raises."""
        named = read(token)
        return named if named and named.key_id in self._keys else None

    def genuine(self, named: Named, seed: bytes) -> bool:
        """Whether we minted it. Constant in time for a known key id."""
        if named.key_id not in self._keys:
            return False
        body = UUID(named.sid).bytes + named.generation.to_bytes(8, "big")
        return hmac.compare_digest(self._tag(named.key_id, body, seed), named.tag)

    def _tag(self, key_id: bytes, body: bytes, seed: bytes) -> bytes:
        return hmac.new(self._keys[key_id], _LABEL + body + seed, "sha256").digest()


def read(token: bytes) -> Named | None:
    """Take a token apart; None for anything that cannot be one of ours. Never raises."""
    if len(token) != LENGTH or not token.startswith(PREFIX):
        return None
    text = token[len(PREFIX) :]
    if not _ALPHABET.issuperset(text):
        return None
    raw = urlsafe_b64decode(text)
    if raw[:1] != _VERSION:
        return None
    generation = int.from_bytes(raw[20:28], "big")
    return Named(sid=str(UUID(bytes=raw[4:20])), generation=generation, key_id=raw[1:4], tag=raw[28:])


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
