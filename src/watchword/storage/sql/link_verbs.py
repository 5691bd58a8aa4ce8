"""The verbs of links; `verbs` says what a verb is."""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from collections.abc import Sequence

from watchword.core.challenge import Challenge, Kind
from watchword.core.mail import Mail
from watchword.core.revocation import Revoked
from watchword.core.session import End
from watchword.ports import LoadedLink
from watchword.storage.sql.rows import (
    CHALLENGE,
    Parameters,
    Row,
    challenge_of,
    challenge_parameters,
    mail_parameters,
    user_of,
)
from watchword.storage.sql.statements import Script, Statements

_HOLDER_AT = len(CHALLENGE)
_MARKS = 64
"""Rows that requests for links are marked in, each in any: few of them wait for one another."""


class LinkVerbs(ABC):
    """Implements `ports.Links`."""

    _statements: Statements

    @abstractmethod
    async def _read(self, statement: str, parameters: Parameters) -> Sequence[Row]: ...

    @abstractmethod
    async def _write(self, script: Script, parameters: Parameters) -> Sequence[Sequence[Row]]: ...

    async def issue_link(self, challenge: Challenge, mail: Mail) -> bool:
        parameters = challenge_parameters(challenge) | mail_parameters(mail) | mark() | {"email": mail.to}
        results = await self._write(self._statements.issue_link, parameters)
        return bool(results[2])

    async def load_link(self, digest: bytes, kind: Kind) -> LoadedLink | None:
        rows = await self._read(self._statements.load_link, {"secret": digest, "kind": kind.value})
        if not rows:
            return None
        return LoadedLink(challenge_of(rows[0]), user_of(rows[0][_HOLDER_AT:]), rows[0][-1])

    async def redeem_reset(
        self, challenge: Challenge, email: str, digest: str, mail: Mail
    ) -> Sequence[Revoked] | None:
        parameters = {"challenge": challenge.id, "user_id": challenge.user_id, "email": email}
        parameters |= {"digest": digest, "ended_as": End.PASSWORD.value} | mail_parameters(mail)
        return revoked(await self._write(self._statements.redeem_reset, parameters))


def mark() -> Parameters:
    """Something to write for whoever finds nothing else to be written."""
    return {"name": f"link/{secrets.randbelow(_MARKS)}", "holder": "", "span": 0}


def revoked(results: Sequence[Sequence[Row]]) -> list[Revoked] | None:
    """Of a script whose condition comes first and whose revocations second: None when the condition did not hold."""
    condition, *rest = results
    if not condition:
        return None
    return [Revoked(sid, at) for sid, at in rest[0]] if rest else []
