"""The verbs of repairs; `verbs` says what a verb is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from watchword.core.mail import Mail
from watchword.core.revocation import Revoked
from watchword.core.session import End
from watchword.errors import AlreadyExists
from watchword.storage.sql.clauses import Script
from watchword.storage.sql.link_verbs import revoked
from watchword.storage.sql.rows import Parameters, Row, mail_parameters
from watchword.storage.sql.statements import Statements


class RepairVerbs(ABC):
    """Implements `ports.Repairs`."""

    _statements: Statements

    @abstractmethod
    async def _write(self, script: Script, parameters: Parameters) -> Sequence[Sequence[Row]]: ...

    async def forget_password(
        self, user_id: str, *, now: int, keep: str | None, mail: Mail
    ) -> Sequence[Revoked] | None:
        parameters = {"user_id": user_id, "digest": None, "keep": keep, "ended_as": End.PASSWORD.value}
        script = self._statements.change_password + self._statements.queue_mail
        return revoked(await self._write(script, parameters | mail_parameters(mail)))

    async def revoke_unknown(self, sid: str, *, now: int) -> Revoked | None:
        try:
            [rows] = await self._write(self._statements.revoke_unknown, {"sid": sid})
        except AlreadyExists:  # somebody was faster
            return None
        return Revoked(rows[0][0], rows[0][1]) if rows else None
