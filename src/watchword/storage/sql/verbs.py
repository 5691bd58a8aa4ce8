"""The verbs of the Store port, written once for both databases over two operations: read rows, run a script.

What to write was decided before; what must hold while it is written stands in the statements' conditions. Nothing
here knows a driver: `sqlite` and `postgres` say how a text is run.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from watchword.core.revocation import Revoked, TokensFrom
from watchword.core.rotation import Lineage
from watchword.core.session import End, Session
from watchword.core.user import Status, User
from watchword.errors import AlreadyExists, StaleSchemaError
from watchword.ports import LoadedSession, RevocationPage
from watchword.storage.sql.migrations import HEAD
from watchword.storage.sql.rows import (
    SESSION,
    Parameters,
    Row,
    session_of,
    session_parameters,
    swapped_parameters,
    text_of,
    user_of,
    user_parameters,
)
from watchword.storage.sql.statements import Script, Statements

STALE = "The database's tables are missing or old: it needs `watchword migrate`."

_USER_AT = len(SESSION)


class SqlStore(ABC):
    """Implements `ports.Store`.

    The ends of sessions are dated by `statements.Now`, the clock that `load_session` tells, and so not by the `now`
    that a caller passes: on PostgreSQL the two are different clocks, and rotation subtracts one from the other.
    """

    def __init__(self, statements: Statements) -> None:
        self._statements = statements

    @abstractmethod
    async def open(self) -> None:
        """Connect. Not needed the first time: a verb does it as well. After `close`, anew. Raises Unavailable."""

    @abstractmethod
    async def close(self) -> None:
        """Finish what is under way and let go of the database. Until it is opened, it answers Unavailable."""

    @abstractmethod
    async def _read(self, statement: str, parameters: Parameters) -> Sequence[Row]:
        """The rows of one statement that changes nothing. Raises Unavailable, StaleSchemaError."""

    @abstractmethod
    async def _write(self, script: Script, parameters: Parameters) -> Sequence[Sequence[Row]]:
        """Run a script in one transaction and return, once it is durable, the rows of each statement that was run.

        Raises Unavailable, StaleSchemaError; nobody knows then whether it was written.
        """

    # --- users

    async def create_user(self, user: User) -> None:
        [made] = await self._write(self._statements.create_user, user_parameters(user))
        if not made:
            raise AlreadyExists("There is a user with this address or name.")

    async def load_user(self, user_id: str) -> User | None:
        rows = await self._read(self._statements.load_user, {"user_id": _key(user_id)})
        return user_of(rows[0]) if rows else None

    async def find_user(self, login: str) -> User | None:
        by = self._statements.find_by_email if "@" in login else self._statements.find_by_username
        rows = await self._read(by, {"login": _key(login)})
        return user_of(rows[0]) if rows else None

    async def list_users(self, *, after: str | None, limit: int) -> Sequence[User]:
        rows = await self._read(self._statements.list_users, {"after": after or "", "limit": limit})
        return [user_of(row) for row in rows]

    async def replace_digest(self, user_id: str, *, old: str, new: str) -> bool:
        parameters = {"user_id": user_id, "old": old, "digest": new}
        [changed] = await self._write(self._statements.replace_digest, parameters)
        return bool(changed)

    async def change_password(
        self, user_id: str, digest: str, *, now: int, keep: str | None
    ) -> Sequence[Revoked] | None:
        parameters = {"user_id": user_id, "digest": digest, "keep": keep, "ended_as": End.PASSWORD.value}
        return _revoked(await self._write(self._statements.change_password, parameters))

    async def change_status(self, user_id: str, status: Status, *, now: int) -> Sequence[Revoked] | None:
        script = self._statements.enable if status is Status.ACTIVE else self._statements.disable
        parameters = {"user_id": user_id, "status": status.value, "ended_as": End.DISABLED.value}
        return _revoked(await self._write(script, parameters))

    async def change_roles(self, user_id: str, roles: tuple[str, ...], *, now: int) -> TokensFrom | None:
        parameters = {"user_id": user_id, "roles": text_of(roles), "second": now // 1_000_000}
        [changed] = await self._write(self._statements.change_roles, parameters)
        return TokensFrom(user_id, changed[0][0]) if changed else None

    async def delete_user(self, user_id: str, *, now: int) -> Sequence[Revoked] | None:
        parameters = {"user_id": user_id, "ended_as": End.REVOKED.value}
        return _revoked(await self._write(self._statements.delete_user, parameters))

    # --- sessions

    async def insert_session(
        self, session: Session, *, digest: str | None, replaces: str | None
    ) -> Sequence[Revoked] | None:
        parameters = session_parameters(session) | {"digest": digest}
        if replaces is None:
            return _revoked(await self._write(self._statements.insert_session, parameters))
        parameters |= {"replaces": replaces, "ended_as": End.REPLACED.value}
        return _revoked(await self._write(self._statements.replace_session, parameters))

    async def load_session(self, sid: str) -> LoadedSession | None:
        rows = await self._read(self._statements.load_session, {"sid": _key(sid)})
        if not rows:
            return None
        row = rows[0]
        return LoadedSession(session_of(row), user_of(row[_USER_AT:]), row[-1])

    async def swap_session(self, before: Session, after: Session) -> bool:
        parameters = swapped_parameters(after)
        parameters["sid"] = before.sid
        parameters["was_parent"] = before.lineage.parent
        parameters["was_newest"] = before.lineage.newest
        parameters["was_crossed"] = before.lineage.crossed
        [swapped] = await self._write(self._statements.swap_session, parameters)
        return bool(swapped)

    async def record_crossing(self, sid: str, lineage: Lineage) -> None:
        parameters = {"sid": sid, "crossings": lineage.crossings, "now_crossed": lineage.crossed}
        await self._write(self._statements.record_crossing, parameters)

    async def end_session(
        self, sid: str, end: End, *, now: int, user_id: str | None = None
    ) -> Revoked | None:
        parameters = {"sid": _key(sid), "user_id": user_id, "ended_as": end.value}
        revoked, *_ = await self._write(self._statements.end_session, parameters)
        return Revoked(*revoked[0]) if revoked else None

    async def end_sessions(
        self, user_id: str, end: End, *, now: int, keep: str | None = None
    ) -> Sequence[Revoked]:
        parameters = {"user_id": user_id, "keep": keep, "ended_as": end.value}
        return _revoked(await self._write(self._statements.end_sessions, parameters)) or []

    async def list_sessions(self, user_id: str, *, now: int) -> Sequence[Session]:
        rows = await self._read(self._statements.list_sessions, {"user_id": user_id, "now": now})
        return [session_of(row) for row in rows]

    # --- what was revoked, and what is old

    async def read_revocations(self, *, since: int) -> RevocationPage:
        rows = await self._read(self._statements.read_revocations, {"since": since})
        ended = [Revoked(sid, at) for sid, at, _ in rows if sid is not None and at is not None]
        tokens_from = [TokensFrom(user_id, second) for user_id, at, second in rows if second is not None]
        [now] = [at for sid, at, _ in rows if sid is None]
        return RevocationPage(ended, tokens_from, now)

    async def sweep(self, *, now: int, ended_for: int, revoked_for: int, batch: int) -> int:
        ended = {"horizon": now - ended_for, "limit": batch}
        revoked = {"horizon": now - revoked_for, "limit": batch}
        [sessions] = await self._write(self._statements.sweep_sessions, ended)
        [revocations] = await self._write(self._statements.sweep_revocations, revoked)
        return len(sessions) + len(revocations)

    async def check(self) -> None:
        rows = await self._read(self._statements.read_version, {})
        # A newer one is fine: migrations only add, so that old workers run on while new ones take their places.
        if not rows or rows[0][0] < HEAD:
            raise StaleSchemaError(STALE)


def _key(text: str) -> str:
    """What to look up for a text that anybody may have sent: ids and logins are printable, and what is not (NUL, half
    a surrogate pair) is refused by the drivers with errors of their own where "not found" is the answer."""
    return text if text.isprintable() else ""


def _revoked(results: Sequence[Sequence[Row]]) -> list[Revoked] | None:
    """Of a script whose condition comes first and whose revocations second: None when the condition did not hold."""
    condition, *rest = results
    if not condition:
        return None
    return [Revoked(sid, at) for sid, at in rest[0]] if rest else []
