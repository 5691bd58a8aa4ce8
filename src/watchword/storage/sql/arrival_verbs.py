"""The verbs that begin a session, put together of what a sign-in needs; `verbs` says what a verb is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from watchword.core.challenge import Challenge
from watchword.core.mail import Mail
from watchword.core.revocation import Displaced
from watchword.core.session import End, Session
from watchword.ports import Room
from watchword.storage.sql.arrivals import CROWD
from watchword.storage.sql.rows import Parameters, Row, mail_parameters, session_parameters
from watchword.storage.sql.statements import Script, Statements


class ArrivalVerbs(ABC):
    """Implements of `ports.Store` and `ports.Challenges` what inserts a session."""

    _statements: Statements

    @abstractmethod
    async def _write(self, script: Script, parameters: Parameters) -> Sequence[Sequence[Row]]: ...

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
        parameters = session_parameters(session) | {"digest": digest, "two_factor": two_factor}
        return await self._arrive(self._statements.insert_session, parameters, replaces, mail, room)

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
        parameters = session_parameters(session) | {"digest": digest, "two_factor": two_factor}
        parameters |= {"most": most, "known": known, "newcomer": newcomer}
        script = self._statements.insert_quietly
        results = await self._write(script, parameters)
        return len(results) == len(script) and bool(results[-1])

    async def redeem_challenge(
        self,
        challenge: Challenge,
        session: Session,
        *,
        replaces: str | None,
        mail: Mail | None = None,
        room: Room | None = None,
    ) -> Sequence[Displaced] | None:
        parameters = session_parameters(session) | {"challenge": challenge.id, "code": challenge.code}
        return await self._arrive(self._statements.redeem_challenge, parameters, replaces, mail, room)

    async def _arrive(
        self,
        head: Script,
        parameters: Parameters,
        replaces: str | None,
        mail: Mail | None,
        room: Room | None,
    ) -> Sequence[Displaced] | None:
        """The insert; the end of what it replaces; a message; the end of what is too much."""
        texts, script = self._statements, head
        if replaces is not None:
            script += texts.replace
            parameters |= {"replaces": replaces, "ended_as": End.REPLACED.value}
        if mail is not None:
            script += texts.tell if room is None else texts.tell_unless_crowded
            parameters |= mail_parameters(mail)
        if room is not None:
            script += texts.tell_if_crowded + texts.evict
            parameters |= {"most": room.most} | mail_parameters(room.mail, of=CROWD)
        results = await self._write(script, parameters)
        if not results[0]:
            return None
        revoked = results[len(head)] if replaces is not None else ()
        owners = {row[0]: row[1] for row in results[len(head) + 1]} if revoked else {}
        evicted = results[-2] if room is not None else ()
        return [
            *(Displaced(sid, at, owners[sid], End.REPLACED) for sid, at in revoked),
            *(Displaced(sid, at, parameters["user_id"], End.EVICTED) for sid, at in evicted),
        ]
