"""What a database must do for people who change their own account: the rest of `stores`.

Each verb writes for somebody whose session was read a while ago, and so asks in its transaction whether that session
has ended or expired since: who was signed out in between changes nothing any more (SECURITY-TARGET attack 45). Below,
an expired session has ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from watchword.core.challenge import Challenge
from watchword.core.mail import Mail
from watchword.core.revocation import Revoked
from watchword.core.session import Session


@dataclass(frozen=True, slots=True)
class Moved:
    """What a change of address has ended, and who had only signed up with the address and went."""

    ended: Sequence[Revoked]
    unproved: Sequence[str]


class Own(Protocol):
    """The part of a store that acts for a session. Mail tells of what the verb has written, in its transaction. All
    verbs raise Unavailable when the database does not answer."""

    async def change_own_password(
        self, digest: str, *, old: str | None, before: Session, after: Session, mail: Mail
    ) -> Sequence[Revoked] | None:
        """A new digest for the user of a session, which is swapped as `swap_session` does; every other one ended
        (End.PASSWORD), and every challenge. None, and nothing written, unless the swap is possible and the digest still
        is `old`."""

    async def delete_own_user(self, user_id: str, *, keep: str, mail: Mail) -> Sequence[Revoked] | None:
        """As `delete_user`, which may raise StillReferenced. None, and nothing written, if the session `keep` has
        ended."""

    async def find_proof(self, user_id: str, sid: str) -> Challenge | None:
        """The open challenge (Kind.REAUTHENTICATE) of a session, of which there is one at most."""

    async def redeem_proof(self, challenge: Challenge, before: Session, after: Session) -> bool:
        """End the challenge, give its last try back and swap the session. False, and nothing written, unless it is
        open, its code still is `challenge.code`, its user has no second step and the swap is possible."""

    async def issue_change(self, challenge: Challenge, mail: Mail, *, keep: str) -> bool | None:
        """Insert both, if `challenge.may_link`, and end the user's other ones of this kind; instants are moved as those
        of `issue_challenge` are. None, and nothing written, if the session `keep` has ended."""

    async def redeem_change(self, challenge: Challenge, email: str, *, keep: str, mail: Mail) -> Moved | None:
        """A new address, verified; every session but `keep` (End.ADDRESS) and every challenge ended. Whoever signed up
        with it and has not verified it goes, unless a link of theirs is open: then it is theirs until that expires.
        None, and nothing written, unless the challenge is open, the session `keep` not ended and the address nobody
        else's: of two users who prove it at once, one has it. None too when whoever would go is held by a row of the
        app's own."""
