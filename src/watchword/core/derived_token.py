"""Tokens that are derived again from a session's row on demand: what a refresh token and a session token share. Pure.

prefix 4 + base64url(version 1 ‖ key id 3 ‖ sid 16 ‖ generation 8 ‖ tag 32), 84 characters, where
tag = HMAC-SHA256(key of the purpose, label ‖ sid ‖ generation ‖ seed) and the seed is the row's. Nothing of a token is
stored: the database alone forges none, nor does the key alone, and every old one is recognised for ever.
60 bytes are 80 base64 characters exactly, so that a token has one spelling only.
Sources: RFC 9700 §4.14.2; ASVS 5.0 7.2.3, 11.2.4; docs/decisions/0002-derived-refresh-tokens.md.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field

from watchword.core.keys import KeyRing, Purpose
from watchword.core.uuid7 import raw_of, text_of

LENGTH = 84
MAX_GENERATION = 2**63 - 1
"""What a column holds."""
_VERSION = b"\x01"
_ALPHABET = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@dataclass(frozen=True, slots=True)
class Presented:
    """What a token claims, before its tag was checked: look its session up, then ask whether it is genuine."""

    sid: str
    generation: int
    key_id: bytes
    tag: bytes = field(repr=False)
    user_id: str | None = None
    """Whom a refresh token names that is a JWT; a derived token names nobody."""


class DerivedTokens:
    """Mints and recognises the tokens of one purpose under a key ring."""

    def __init__(self, ring: KeyRing, purpose: Purpose, *, prefix: bytes, label: bytes) -> None:
        self._signing_id = ring.signing.key_id
        self._keys = {root.key_id: root.key(purpose) for root in ring}
        self._prefix = prefix
        self._label = label

    def mint(self, sid: str, generation: int, seed: bytes) -> str:
        """The token of one generation of a session: always the same while the first secret is."""
        body = _body(sid, generation)
        raw = _VERSION + self._signing_id + body + self._tag(self._signing_id, body, seed)
        return (self._prefix + urlsafe_b64encode(raw)).decode()

    def tag(self, sid: str, generation: int, seed: bytes) -> bytes:
        """What proves a generation under the first secret, wherever it is written."""
        return self._tag(self._signing_id, _body(sid, generation), seed)

    def read(self, token: bytes) -> Presented | None:
        """What a token of one of our keys claims; None for any other, which need not be looked up. Never raises."""
        presented = read(token, self._prefix)
        return presented if presented and presented.key_id in self._keys else None

    def genuine(self, presented: Presented, seed: bytes) -> bool:
        """Whether we minted it for the row with this seed. Constant in time for a known key id."""
        if presented.key_id not in self._keys:
            return False
        body = _body(presented.sid, presented.generation)
        return hmac.compare_digest(self._tag(presented.key_id, body, seed), presented.tag)

    def _tag(self, key_id: bytes, body: bytes, seed: bytes) -> bytes:
        # Not hmac.digest, which lets go of the interpreter for a microsecond's work and then has to wait for it.
        return hmac.new(self._keys[key_id], self._label + body + seed, "sha256").digest()


def read(token: bytes, prefix: bytes) -> Presented | None:
    """Take a token apart, whatever key it is of; None for anything that cannot be one of ours. Never raises."""
    if len(token) != LENGTH or not token.startswith(prefix):
        return None
    text = token[len(prefix) :]
    if not _ALPHABET.issuperset(text):
        return None
    raw = urlsafe_b64decode(text)
    generation = int.from_bytes(raw[20:28], "big")
    if raw[:1] != _VERSION or generation > MAX_GENERATION:
        return None
    return Presented(text_of(raw[4:20]), generation, key_id=raw[1:4], tag=raw[28:])


def _body(sid: str, generation: int) -> bytes:
    return raw_of(sid) + generation.to_bytes(8, "big")
