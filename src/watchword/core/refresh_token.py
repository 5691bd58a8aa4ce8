"""The refresh token: its bytes, and how they are derived again on demand. Pure.

`wwr_` + base64url(version 1 ‖ key id 3 ‖ sid 16 ‖ generation 8 ‖ tag 32), 84 characters, where
tag = HMAC-SHA256(refresh key, label ‖ sid ‖ generation ‖ seed) and the seed is the session row's. Nothing of a
token is stored: the database alone forges none, nor does the key alone, and every old token is recognised for ever.
60 bytes are 80 base64 characters exactly, so that a token has one spelling only.
Sources: RFC 9700 §4.14.2; ASVS 5.0 7.2.3, 11.2.4.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from uuid import UUID

from watchword.core.keys import KeyRing, Purpose, RootSecret

PREFIX = "wwr_"
LENGTH = 84
_VERSION = b"\x01"
_LABEL = b"watchword/refresh/1"
_ALPHABET = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
_MAX_GENERATION = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Presented:
    """What a refresh token claims, before its tag was checked: look its session up, then ask `genuine`."""

    sid: str
    generation: int
    key_id: bytes
    tag: bytes = field(repr=False)


class RefreshTokens:
    """Mints and recognises refresh tokens under a key ring."""

    def __init__(self, ring: KeyRing) -> None:
        self._signing_id = ring.signing.key_id
        self._keys = {root.key_id: _mac_key(root) for root in ring}

    def mint(self, sid: str, generation: int, seed: bytes) -> str:
        """The token of one generation of one session: always the same while the first secret is."""
        body = UUID(sid).bytes + generation.to_bytes(8, "big")
        tag = _tag(self._keys[self._signing_id], body, seed)
        return PREFIX + urlsafe_b64encode(_VERSION + self._signing_id + body + tag).decode()

    def genuine(self, presented: Presented, seed: bytes) -> bool:
        """Whether we minted it. Constant in time for a known key id."""
        key = self._keys.get(presented.key_id)
        if key is None:
            return False
        body = UUID(presented.sid).bytes + presented.generation.to_bytes(8, "big")
        return hmac.compare_digest(_tag(key, body, seed), presented.tag)


def read(token: str) -> Presented | None:
    """Take a token apart; None for anything that cannot be one of ours. Never raises."""
    if len(token) != LENGTH or not token.startswith(PREFIX) or not token.isascii():
        return None
    text = token[len(PREFIX) :].encode()
    if not _ALPHABET.issuperset(text):
        return None
    raw = urlsafe_b64decode(text)
    generation = int.from_bytes(raw[20:28], "big")
    if raw[:1] != _VERSION or generation > _MAX_GENERATION:
        return None
    return Presented(sid=str(UUID(bytes=raw[4:20])), generation=generation, key_id=raw[1:4], tag=raw[28:])


def _mac_key(root: RootSecret) -> bytes:
    return root.key(Purpose.REFRESH)


def _tag(key: bytes, body: bytes, seed: bytes) -> bytes:
    # Not hmac.digest, which lets go of the interpreter for a microsecond's work and then has to wait for it.
    return hmac.new(key, _LABEL + body + seed, "sha256").digest()
