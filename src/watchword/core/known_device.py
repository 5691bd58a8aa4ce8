"""Known devices: the token of a browser on which a user has signed in completely, and which sign-ins without one are
news to the owner. Pure.

The token authenticates nothing. It tells the owner from whoever guesses at the account, so that guessing does not lock
the owner out. base64url(key id 3 ‖ second of issue 5 ‖ nonce 16 ‖ tag 32), where tag = HMAC-SHA256(device key, label ‖
all before ‖ user id): without the user's id it says nothing about anybody.
Sources: OWASP, Slow down online guessing attacks with device cookies; ASVS 5.0 6.1.1, 6.3.1, 6.3.5; SECURITY-TARGET
attack 66.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable

from watchword.core.keys import KeyRing, Purpose
from watchword.core.session import Client, Session
from watchword.core.user import User

LIFE_SECONDS = 180 * 86_400
NONCE = 16
"""Random bytes of a token: each sign-in makes a device of its own, with a whole budget."""
NEWCOMER = 86_400_000_000
"""µs for which an account without sessions is new: its first sign-in is no news to whoever has just made it."""
_LEEWAY = 60
_TAG = 32
_BYTES = 3 + 5 + NONCE + _TAG
_LABEL = b"watchword/device/1"


class KnownDevices:
    """Mints and recognises the tokens under a key ring."""

    def __init__(self, ring: KeyRing) -> None:
        self._signing_id = ring.signing.key_id
        self._keys = {root.key_id: root.key(Purpose.DEVICE) for root in ring}

    def mint(self, user: User, nonce: bytes, now: int) -> str:
        """`now` in µs."""
        head = self._signing_id + (now // 1_000_000).to_bytes(5, "big") + nonce
        return _encode(head + self._tag(head, user)).decode()

    def genuine(self, token: str, user: User, now: int) -> bool:
        """Whether we minted it for this user with this password, not too long ago. Never raises."""
        try:
            text = token.encode("ascii")
            raw = urlsafe_b64decode(text + b"=" * (-len(text) % 4))
        except ValueError:
            return False
        # One spelling for each: another one would be a device of its own, with another budget.
        if len(raw) != _BYTES or _encode(raw) != text or raw[:3] not in self._keys:
            return False
        head, age = raw[:-_TAG], now // 1_000_000 - int.from_bytes(raw[3:8], "big")
        right = hmac.compare_digest(self._tag(head, user), raw[-_TAG:])
        return right and -_LEEWAY <= age < LIFE_SECONDS

    def _tag(self, head: bytes, user: User) -> bytes:
        # With the password's digest: who was signed in before a new one was set has no budget of their own any more.
        owner = f"{user.id} {user.digest or ''}"
        return hmac.new(self._keys[head[:3]], _LABEL + head + owner.encode(), "sha256").digest()


def unfamiliar(client: Client, user: User, live: Iterable[Session], now: int) -> bool:
    """Whether a sign-in without a known device's token is news to the user who has these live sessions.

    It is not from a browser and a network that one of them was used from last; nor where there is none, in the first
    day of the account.
    """
    contexts = {session.lineage.context for session in live}
    if not contexts:
        return now - user.created_at >= NEWCOMER
    return client.context not in contexts


def _encode(raw: bytes) -> bytes:
    return urlsafe_b64encode(raw).rstrip(b"=")
