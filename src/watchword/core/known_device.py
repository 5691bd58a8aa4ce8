"""Known devices: the token of a browser on which a user has signed in completely, and which sign-ins without one are
news to the owner. Pure.

It authenticates nothing. It tells the owner from whoever guesses at the account, so that guessing does not lock the
owner out. A dated token (`core.tagged_token`) with a nonce of 16 bytes: without the user's id it says nothing about
anybody.
Sources: OWASP, Slow down online guessing attacks with device cookies; ASVS 5.0 6.1.1, 6.3.1, 6.3.5; SECURITY-TARGET
attack 66.
"""

from __future__ import annotations

from collections.abc import Iterable

from watchword.core.keys import KeyRing, Purpose
from watchword.core.session import Client, Session
from watchword.core.tagged_token import DatedTokens
from watchword.core.user import User
from watchword.spans import DAY

LIFE_SECONDS = 180 * 86_400
NONCE = 16
"""Random bytes of a token: each sign-in makes a device of its own, with a whole budget."""
NEWCOMER = DAY
"""For how long an account without sessions is new: its first sign-in is no news to whoever has just made it."""


class KnownDevices:
    """Mints and recognises the tokens under a key ring."""

    def __init__(self, ring: KeyRing) -> None:
        self._tokens = DatedTokens(ring, Purpose.DEVICE, label=b"watchword/device/1", nonce=NONCE)

    def mint(self, user: User, nonce: bytes, now: int) -> str:
        """`now` in µs."""
        return self._tokens.mint(_owner(user), nonce, now)

    def genuine(self, token: str, user: User, now: int) -> bool:
        """Whether we minted it for this user with this password, not too long ago. Never raises."""
        # Another spelling would be a device of its own, with another budget: what is not ASCII is no spelling at all.
        text = token.encode() if token.isascii() else b""
        return self._tokens.genuine(text, _owner(user), now, seconds=LIFE_SECONDS)


def _owner(user: User) -> str:
    # With the password's digest: who was signed in before a new one was set has no budget of their own any more.
    return f"{user.id} {user.digest or ''}"


def unfamiliar(client: Client, user: User, live: Iterable[Session], now: int) -> bool:
    """Whether a sign-in without a known device's token is news to the user who has these live sessions.

    It is not from a browser and a network that one of them was used from last; nor where there is none, in the first
    day of the account.
    """
    contexts = {session.lineage.context for session in live}
    return client.context not in contexts if contexts else not newcomer(user, now)


def newcomer(user: User, now: int) -> bool:
    """Whether a user without live sessions is one who has just come."""
    return now - user.created_at < NEWCOMER
