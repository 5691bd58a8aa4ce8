"""The verbs that people sign up by; `verbs` says what a verb is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from watchword.core.challenge import Challenge, Kind
from watchword.core.mail import Mail
from watchword.core.registration import KEPT
from watchword.core.revocation import Revoked
from watchword.core.session import End
from watchword.core.user import User
from watchword.errors import StillReferenced
from watchword.ports import Forgotten, Registered
from watchword.storage.sql.link_verbs import mark, revoked
from watchword.storage.sql.rows import (
    Parameters,
    Row,
    challenge_of,
    challenge_parameters,
    mail_parameters,
    user_parameters,
)
from watchword.storage.sql.statements import Script, Statements


class RegistrationVerbs(ABC):
    """Implements `ports.Registrations`."""

    _statements: Statements

    @abstractmethod
    async def _read(self, statement: str, parameters: Parameters) -> Sequence[Row]: ...

    @abstractmethod
    async def _write(self, script: Script, parameters: Parameters) -> Sequence[Sequence[Row]]: ...

    async def register(self, user: User, challenge: Challenge, mail: Mail, taken: Mail) -> Registered | None:
        parameters = user_parameters(user) | challenge_parameters(challenge) | mark()
        parameters |= mail_parameters(mail) | mail_parameters(taken, of="taken")
        _, created, whose, made, *_ = await self._write(self._statements.register, parameters)
        return Registered(whose[0][0], bool(created), bool(made)) if whose else None

    async def recent_links(self, user_id: str, kind: Kind) -> Sequence[Challenge]:
        rows = await self._read(self._statements.recent_links, {"user_id": user_id, "kind": kind.value})
        return [challenge_of(row) for row in rows]

    async def redeem_registration(
        self, challenge: Challenge, email: str, digest: str, username: str | None
    ) -> Sequence[Revoked] | None:
        parameters: Parameters = {"challenge": challenge.id, "user_id": challenge.user_id, "email": email}
        parameters |= {"digest": digest, "username": username, "ended_as": End.PASSWORD.value}
        return revoked(await self._write(self._statements.redeem_registration, parameters))

    async def forget_unverified(self, *, now: int, after: str, batch: int) -> Forgotten:
        parameters: Parameters = {"horizon": now - KEPT, "after": after, "limit": batch}
        ids = [row[0] for row in await self._read(self._statements.long_unverified, parameters)]
        gone, held = [], []
        for user_id in ids:  # each alone: one that the app holds on to keeps nobody else
            parameters = {"user_id": user_id, "horizon": now - KEPT}
            try:
                results = await self._write(self._statements.forget_unverified, parameters)
            except StillReferenced:
                held.append(user_id)
            else:
                gone += [row[0] for row in results[-1]] if len(results) == 2 else []
        return Forgotten(gone, held, ids[-1] if ids else None)
