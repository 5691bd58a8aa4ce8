"""The verbs of people who change their own account; `verbs` says what a verb is."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence

from watchword.core.challenge import Challenge
from watchword.core.factor import Factor
from watchword.core.mail import Mail
from watchword.core.revocation import Revoked
from watchword.core.session import End, Session
from watchword.errors import AlreadyExists, StillReferenced
from watchword.own_store import Moved
from watchword.storage.sql.clauses import Script
from watchword.storage.sql.link_verbs import revoked
from watchword.storage.sql.rows import (
    Parameters,
    Row,
    challenge_of,
    challenge_parameters,
    factor_of,
    mail_parameters,
    swapped_parameters,
)
from watchword.storage.sql.statements import Statements

_UNPROVED = 3
"""Which statement of `redeem_change` tells who went."""


class OwnVerbs(ABC):
    """Implements `ports.Own` and `ports.Factors`."""

    _statements: Statements

    @abstractmethod
    async def _read(self, statement: str, parameters: Parameters) -> Sequence[Row]: ...

    @abstractmethod
    async def _write(self, script: Script, parameters: Parameters) -> Sequence[Sequence[Row]]: ...

    async def change_own_password(
        self, digest: str, *, old: str | None, before: Session, after: Session, mail: Mail
    ) -> Sequence[Revoked] | None:
        parameters = swap_parameters(before, after) | mail_parameters(mail)
        parameters |= {"user_id": before.user_id, "digest": digest, "old": old}
        parameters |= {"keep": before.sid, "ended_as": End.PASSWORD.value}
        return revoked(await self._write(self._statements.own.change_password, parameters))

    async def delete_own_user(self, user_id: str, *, keep: str, mail: Mail) -> Sequence[Revoked] | None:
        parameters = {"user_id": user_id, "keep": keep, "ended_as": End.REVOKED.value} | mail_parameters(mail)
        return revoked(await self._write(self._statements.own.delete_user, parameters))

    async def find_proof(self, user_id: str, sid: str) -> Challenge | None:
        parameters = {"user_id": user_id, "payload": json.dumps({"sid": sid})}
        rows = await self._read(self._statements.own.find_proof, parameters)
        return challenge_of(rows[0]) if rows else None

    async def redeem_proof(self, challenge: Challenge, before: Session, after: Session) -> bool:
        parameters = swap_parameters(before, after) | {"keep": before.sid}
        parameters |= {"challenge": challenge.id, "code": challenge.code}
        results = await self._write(self._statements.own.redeem_proof, parameters)
        return bool(results[0])

    async def issue_change(self, challenge: Challenge, mail: Mail, *, keep: str) -> bool | None:
        parameters = challenge_parameters(challenge) | mail_parameters(mail) | {"keep": keep}
        results = await self._write(self._statements.own.issue_change, parameters)
        return bool(results[1]) if results[0] else None

    async def redeem_change(self, challenge: Challenge, email: str, *, keep: str, mail: Mail) -> Moved | None:
        parameters = {"challenge": challenge.id, "user_id": challenge.user_id, "email": email, "keep": keep}
        parameters |= {"ended_as": End.ADDRESS.value} | mail_parameters(mail)
        try:
            results = await self._write(self._statements.own.redeem_change, parameters)
        except (
            AlreadyExists,
            StillReferenced,
        ):  # taken since the condition was read, or nobody can let go of it
            return None
        ended = revoked(results)
        return None if ended is None else Moved(ended, [row[0] for row in results[_UNPROVED]])

    async def list_factors(self, user_id: str) -> Sequence[Factor]:
        rows = await self._read(self._statements.list_factors, {"user_id": user_id})
        return [factor_of(row) for row in rows]

    async def add_factor(
        self, factor: Factor, *, now: int, keep: str | None, mail: Mail | None = None
    ) -> Sequence[Revoked] | None:
        parameters = {
            "id": factor.id,
            "user_id": factor.user_id,
            "method": factor.method.value,
            "created_at": factor.created_at,
            "keep": keep,
            "ended_as": End.FACTOR.value,
        }
        script = self._statements.add_factor if keep is None else self._statements.own.add_factor
        if mail is not None:
            script, parameters = script + self._statements.tell_if_added, parameters | mail_parameters(mail)
        return _changed(await self._write(script, parameters))

    async def remove_factor(
        self, factor_id: str, *, user_id: str, now: int, keep: str | None, mail: Mail | None = None
    ) -> Sequence[Revoked] | None:
        parameters = {"id": factor_id, "user_id": user_id, "keep": keep, "ended_as": End.FACTOR.value}
        script = self._statements.remove_factor if keep is None else self._statements.own.remove_factor
        if mail is None:
            return _changed(await self._write(script, parameters))
        # Before it is gone: of two who remove it at once, one tells.
        lock, *rest = script
        script = (lock, *self._statements.tell_of_removal, *rest)
        locked, *results = await self._write(script, parameters | mail_parameters(mail))
        return _changed([locked, *results[1:]])


def swap_parameters(before: Session, after: Session) -> Parameters:
    """What a swap writes, and what must still be there to be written over."""
    parameters = swapped_parameters(after)
    parameters["was_parent"] = before.lineage.parent
    parameters["was_newest"] = before.lineage.newest
    parameters["was_crossed"] = before.lineage.crossed
    return parameters


def _changed(results: Sequence[Sequence[Row]]) -> list[Revoked] | None:
    """Of a script whose second statement did what was asked, if it could, and whose fourth revokes."""
    if not results[0] or not results[1]:
        return None
    return [Revoked(sid, at) for sid, at in results[3]]
