"""Tokens that say something themselves, with a tag that proves we said it to this owner: what CSRF tokens, their
stand-ins and known devices share. Pure. They authenticate nobody, and nothing of them is stored.

base64url(key id 3 ‖ what it says ‖ tag 32), where tag = HMAC-SHA256(key of the purpose, label ‖ all before ‖ owner).
The owner is not in it: it is genuine beside the right one only. A dated one says second of issue 5 ‖ nonce.
Sources: RFC 2104; ASVS 5.0 11.2.4; SECURITY-TARGET attack 98.
"""

from __future__ import annotations

import hmac

from watchword.core.base64url import decode, encode
from watchword.core.keys import KeyRing, Purpose

LEEWAY = 60
"""Seconds by which the clocks of two servers may differ: a token from a little ahead is no danger."""
_KEY_ID, _SECOND, _TAG = 3, 5, 32


class TaggedTokens:
    """Mints and opens those of one label, which say `size` bytes, under a key ring."""

    def __init__(self, ring: KeyRing, purpose: Purpose, *, label: bytes, size: int) -> None:
        self._signing_id = ring.signing.key_id
        self._keys = {root.key_id: root.key(purpose) for root in ring}
        self._label = label
        self._length = _KEY_ID + size + _TAG

    def mint(self, says: bytes, owner: str = "") -> str:
        head = self._signing_id + says
        return encode(head + self._tag(head, owner)).decode()

    def open(self, token: bytes, owner: str = "") -> bytes | None:
        """What a genuine token says, None for anything else. Never raises; constant in time for a known key id."""
        try:
            raw = decode(token)
        except ValueError:
            return None
        if len(raw) != self._length or raw[:_KEY_ID] not in self._keys:
            return None
        head, tag = raw[:-_TAG], raw[-_TAG:]
        return head[_KEY_ID:] if hmac.compare_digest(self._tag(head, owner), tag) else None

    def _tag(self, head: bytes, owner: str) -> bytes:
        return hmac.new(self._keys[head[:_KEY_ID]], self._label + head + owner.encode(), "sha256").digest()


class DatedTokens:
    """Those that say when they were made, and `nonce` random bytes: two of one owner differ."""

    def __init__(self, ring: KeyRing, purpose: Purpose, *, label: bytes, nonce: int) -> None:
        self._tokens = TaggedTokens(ring, purpose, label=label, size=_SECOND + nonce)

    def mint(self, owner: str, nonce: bytes, now: int) -> str:
        """`now` in µs."""
        return self._tokens.mint((now // 1_000_000).to_bytes(_SECOND, "big") + nonce, owner)

    def genuine(self, token: bytes, owner: str, now: int, *, seconds: float) -> bool:
        """Whether we minted it for this owner, less than `seconds` ago. `now` in µs. Never raises."""
        says = self._tokens.open(token, owner)
        if says is None:
            return False
        return -LEEWAY <= now // 1_000_000 - int.from_bytes(says[:_SECOND], "big") < seconds
