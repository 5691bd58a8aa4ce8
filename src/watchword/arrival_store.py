"""What a database must do when a session begins: the part of `stores` that inserts one, whatever was proved before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from watchword.core.challenge import Challenge
from watchword.core.mail import Mail
from watchword.core.revocation import Displaced
from watchword.core.session import Session


@dataclass(frozen=True, slots=True)
class Room:
    """How many live sessions a user may have, and the message that tells them of a sign-in which was one too many."""

    most: int
    mail: Mail


class Arrivals(Protocol):
    """Each verb is one transaction. All raise Unavailable when the database does not answer."""

    async def insert_session(
        self,
        session: Session,
        *,
        digest: str | None,
        two_factor: bool = False,
        replaces: str | None,
        mail: Mail | None = None,
        room: Room | None = None,
    ) -> Sequence[Displaced] | None:
        """Insert if the user is active and digest and second step still are as given, else None (nothing written).

        `replaces` is a session of the same browser, whoever it is of, ended as End.REPLACED in the same transaction if
        it has not ended. If the user then has more live sessions than `room.most`, those not used for longest end as
        End.EVICTED, the new one never, and `room.mail` is queued; else `mail` is. However many sign in at once, they
        leave no more than that. Returns what it ended.
        """

    async def insert_quietly(
        self,
        session: Session,
        *,
        digest: str | None,
        two_factor: bool,
        most: int,
        known: bool,
        newcomer: bool,
    ) -> bool:
        """Insert where `insert_session` would have nobody to tell and nothing to end, at a fraction of its cost: the
        user is active, digest and second step still are as given, they have fewer than `most` live sessions, and the
        sign-in is no news: `known`, or one of those has the session's context, or there are none and the user is a
        `newcomer`. False, and nothing written, otherwise: `insert_session` knows what then is to be done."""

    async def redeem_challenge(
        self,
        challenge: Challenge,
        session: Session,
        *,
        replaces: str | None,
        mail: Mail | None = None,
        room: Room | None = None,
    ) -> Sequence[Displaced] | None:
        """End the challenge, give its last try back and insert the session, as `insert_session` does. None, and nothing
        written, unless it is open, its code still is `challenge.code` and its user active.

        That the password still is the one that was verified needs no asking: a change of it ends the challenge.
        """
