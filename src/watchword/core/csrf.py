"""Whether an unsafe request may be carried out: judged by what the browser says of where it comes from, and by a
token signed for its session. Pure.

A token is base64url(key id 3 ‖ second of issue 5 ‖ nonce 12 ‖ tag 32), where tag = HMAC-SHA256(csrf key, label ‖ all
before ‖ binding). A stand-in is base64url(key id 3 ‖ sid 16 ‖ tag 32) under a label of its own.
Sources: Fetch Metadata (W3C); OWASP CSRF cheat sheet; ASVS 5.0 3.5.1, 4.4.2, 11.2.4; SECURITY-TARGET attacks 81–86, 98.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from uuid import UUID

from watchword.core.keys import KeyRing, Purpose

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing (RFC 9110 §9.2.1) and are not judged."""
NONCE = 12
"""Random bytes of a token: two tokens of one binding differ."""
LEEWAY = 60
"""Seconds by which the clocks of two servers may differ: a token from a little ahead is no danger."""
_TAG = 32
_TOKEN_LABEL, _TOKEN_BYTES = b"watchword/csrf/1", 3 + 5 + NONCE + _TAG
_STAND_IN_LABEL, _STAND_IN_BYTES = b"watchword/csrf stand-in/1", 3 + 16 + _TAG


def trusted(
    *,
    sec_fetch_site: str | None,
    origin: str | None,
    trusted_origins: frozenset[str],
    carries_our_cookies: bool,
) -> bool:
    """True when the request comes from a page of ours or of a trusted origin, or from no browser's cookie jar at all.

    `trusted_origins` are serialised origins (`https://app.example.com`), our own among them, compared exactly.
    """
    if sec_fetch_site in ("same-origin", "none"):
        return True
    if origin is not None:
        return origin in trusted_origins
    return sec_fetch_site is None and not carries_our_cookies


class CsrfTokens:
    """Mints and recognises CSRF tokens under a key ring; each is good for `seconds`.

    A binding is the id of a session, or whatever else stands for one browser. Who has a token minted must have proved
    that the binding is theirs.
    """

    def __init__(self, ring: KeyRing, *, seconds: int) -> None:
        self.seconds = seconds
        self._signing_id = ring.signing.key_id
        self._keys = {root.key_id: root.key(Purpose.CSRF) for root in ring}

    def mint(self, binding: str, nonce: bytes, now: int) -> str:
        """`now` in µs."""
        head = self._signing_id + (now // 1_000_000).to_bytes(5, "big") + nonce
        return self._sealed(_TOKEN_LABEL, head, binding)

    def genuine(self, token: bytes, binding: str, now: int, *, at_most: float = 1.0) -> bool:
        """Whether we minted it for this binding, not longer ago than `at_most` of its life. Never raises."""
        head = self._opened(token, _TOKEN_LABEL, _TOKEN_BYTES, binding)
        if head is None:
            return False
        age = now // 1_000_000 - int.from_bytes(head[3:8], "big")
        return -LEEWAY <= age < self.seconds * at_most

    def stand_in(self, sid: str) -> str:
        """What tells of a session where its own cookies are not sent. It authenticates nothing."""
        return self._sealed(_STAND_IN_LABEL, self._signing_id + UUID(sid).bytes)

    def stands_for(self, value: bytes) -> str | None:
        """The session of a stand-in of ours; None for anything else. Never raises."""
        head = self._opened(value, _STAND_IN_LABEL, _STAND_IN_BYTES)
        return None if head is None else str(UUID(bytes=head[3:]))

    def _sealed(self, label: bytes, head: bytes, binding: str = "") -> str:
        return _encode(head + self._tag(head[:3], label, head, binding)).decode()

    def _opened(self, text: bytes, label: bytes, size: int, binding: str = "") -> bytes | None:
        """What we sealed, without its tag."""
        try:
            raw = urlsafe_b64decode(text + b"=" * (-len(text) % 4))
        except ValueError:
            return None
        # One spelling for each value: no padding, no other alphabet, no stray bits.
        if len(raw) != size or _encode(raw) != text or raw[:3] not in self._keys:
            return None
        head, tag = raw[:-_TAG], raw[-_TAG:]
        return head if hmac.compare_digest(self._tag(head[:3], label, head, binding), tag) else None

    def _tag(self, key_id: bytes, label: bytes, head: bytes, binding: str) -> bytes:
        return hmac.new(self._keys[key_id], label + head + binding.encode(), "sha256").digest()


def _encode(raw: bytes) -> bytes:
    return urlsafe_b64encode(raw).rstrip(b"=")
