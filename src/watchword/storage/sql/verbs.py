"""The verbs of the Store port, written once for both databases over two operations: read rows, run a script.

What to write was decided before; what must hold while it is written stands in the statements' conditions. Nothing
here knows a driver: `sqlite` and `postgres` say how a text is run.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from watchword.core.challenge import REMEMBERED, Challenge, Kind, Spent
from watchword.core.mail import Mail, Queued
from watchword.core.revocation import Revoked, TokensFrom
from watchword.core.rotation import Lineage
from watchword.core.session import End, Session
from watchword.core.throttle import take
from watchword.core.user import Status, User
from watchword.errors import AlreadyExists, StaleSchemaError
from watchword.ports import Issued, LoadedChallenge, LoadedSession, MailDepth, RevocationPage
from watchword.rates import Rate
from watchword.storage.sql.arrival_verbs import ArrivalVerbs
from watchword.storage.sql.event_verbs import EventVerbs
from watchword.storage.sql.link_verbs import LinkVerbs, revoked
from watchword.storage.sql.migrations import HEAD
from watchword.storage.sql.own_verbs import OwnVerbs, swap_parameters
from watchword.storage.sql.registration_verbs import RegistrationVerbs
from watchword.storage.sql.repair_verbs import RepairVerbs
from watchword.storage.sql.rows import (
    CHALLENGE,
    SESSION,
    USER,
    Parameters,
    Row,
    challenge_of,
    challenge_parameters,
    mail_parameters,
    queued_of,
    session_of,
    text_of,
    throttle_parameters,
    user_of,
    user_parameters,
)
from watchword.storage.sql.statements import Script, Statements

STALE = "The database's tables are missing or old: it needs `watchword migrate`."

_USER_AT = len(SESSION)
_HOLDER_AT = len(CHALLENGE)
_USED_AT = len(CHALLENGE) + len(USER)
_LAST = "~"
"""Behind every id."""


class SqlStore(ArrivalVerbs, EventVerbs, LinkVerbs, OwnVerbs, RegistrationVerbs, RepairVerbs):
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
        return revoked(await self._write(self._statements.change_password, parameters))

    async def change_status(self, user_id: str, status: Status, *, now: int) -> Sequence[Revoked] | None:
        script = self._statements.enable if status is Status.ACTIVE else self._statements.disable
        parameters = {"user_id": user_id, "status": status.value, "ended_as": End.DISABLED.value}
        return revoked(await self._write(script, parameters))

    async def enable_user(self, user_id: str) -> Status | None:
        [enabled] = await self._write(self._statements.enable_user, {"user_id": user_id})
        return Status(enabled[0][0]) if enabled else None

    async def change_roles(self, user_id: str, roles: tuple[str, ...], *, now: int) -> TokensFrom | None:
        parameters = {"user_id": user_id, "roles": text_of(roles), "second": now // 1_000_000}
        [changed] = await self._write(self._statements.change_roles, parameters)
        return TokensFrom(user_id, changed[0][0]) if changed else None

    async def delete_user(self, user_id: str, *, now: int) -> Sequence[Revoked] | None:
        parameters = {"user_id": user_id, "ended_as": End.REVOKED.value}
        return revoked(await self._write(self._statements.delete_user, parameters))

    # --- sessions

    async def load_session(self, sid: str) -> LoadedSession | None:
        rows = await self._read(self._statements.load_session, {"sid": _key(sid)})
        if not rows:
            return None
        row = rows[0]
        return LoadedSession(session_of(row), user_of(row[_USER_AT:]), row[-1])

    async def swap_session(self, before: Session, after: Session) -> bool:
        parameters = swap_parameters(before, after) | {"sid": before.sid}
        [swapped] = await self._write(self._statements.swap_session, parameters)
        return bool(swapped)

    async def record_crossing(self, sid: str, lineage: Lineage) -> None:
        parameters = {"sid": sid, "crossings": lineage.crossings, "now_crossed": lineage.crossed}
        await self._write(self._statements.record_crossing, parameters)

    async def end_session(
        self, sid: str, end: End, *, now: int, user_id: str | None = None, mail: Mail | None = None
    ) -> Revoked | None:
        parameters = {"sid": _key(sid), "user_id": user_id, "ended_as": end.value}
        script = self._statements.end_session
        if mail is not None:
            script, parameters = script + self._statements.tell, parameters | mail_parameters(mail)
        revoked, *_ = await self._write(script, parameters)
        return Revoked(*revoked[0]) if revoked else None

    async def end_sessions(
        self, user_id: str, end: End, *, now: int, keep: str | None = None
    ) -> Sequence[Revoked]:
        parameters = {"user_id": user_id, "keep": keep, "ended_as": end.value}
        return revoked(await self._write(self._statements.end_sessions, parameters)) or []

    async def list_sessions(self, user_id: str, *, now: int) -> Sequence[Session]:
        rows = await self._read(self._statements.list_sessions, {"user_id": user_id, "now": now})
        return [session_of(row) for row in rows]

    # --- challenges

    async def issue_challenge(self, challenge: Challenge, mail: Mail, *, digest: str | None) -> Issued | None:
        parameters = challenge_parameters(challenge) | mail_parameters(mail) | {"digest": digest}
        results = await self._write(self._statements.issue_challenge, parameters)
        if not results[0]:
            return None
        _, made, _, [used] = results
        return Issued(bool(made), Spent(*used[:-1]), used[-1])

    async def load_challenge(self, digest: bytes, kind: Kind) -> LoadedChallenge | None:
        parameters = {"secret": digest, "kind": kind.value}
        return _loaded(await self._read(self._statements.load_challenge, parameters))

    async def attempt_challenge(self, digest: bytes, kind: Kind) -> LoadedChallenge | None:
        parameters = {"secret": digest, "kind": kind.value}
        return _tried(await self._write(self._statements.attempt_challenge, parameters))

    async def resend_challenge(
        self, digest: bytes, kind: Kind, code: bytes, mail: Mail, *, ttl: int
    ) -> LoadedChallenge | None:
        parameters = {"secret": digest, "kind": kind.value, "code": code, "ttl": ttl} | mail_parameters(mail)
        return _tried(await self._write(self._statements.resend_challenge, parameters))

    async def end_challenge(self, digest: bytes) -> bool:
        [ended] = await self._write(self._statements.end_challenge, {"secret": digest})
        return bool(ended)

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
        [mail] = await self._write(self._statements.sweep_mail, {"horizon": now, "limit": batch})
        forgotten = {"horizon": now - REMEMBERED, "limit": batch}
        [challenges] = await self._write(self._statements.sweep_challenges, forgotten)
        [budgets] = await self._write(self._statements.sweep_throttle, {"limit": batch})
        rows = len(sessions) + len(revocations) + len(mail) + len(challenges) + len(budgets)
        return rows + await self._sweep_events(now, batch)

    async def take_lease(self, name: str, holder: str, *, span: int) -> bool:
        parameters = {"name": name, "holder": holder, "span": span}
        [taken] = await self._write(self._statements.take_lease, parameters)
        return bool(taken)

    async def take(self, asked: Sequence[tuple[str, Rate]], *, now: int) -> int | None:
        """As `ports.Limiter`: a store over SQL is one too."""
        if not asked:
            return None
        before, *rest = await self._write(self._statements.take, throttle_parameters(asked))
        if rest and rest[0]:
            return None
        rates = dict(asked)
        return max(1, *(take(tat, read_at, rates[key]).retry_after for key, tat, read_at in before))

    # --- mail

    async def queue_mail(self, mail: Mail) -> None:
        await self._write(self._statements.queue_mail, mail_parameters(mail))

    async def lease_mail(self, *, span: int) -> Queued | None:
        [rows] = await self._write(self._statements.lease_mail, {"span": span})
        return queued_of(rows[0]) if rows else None

    async def mail_sent(self, mail_id: str) -> None:
        await self._write(self._statements.mail_sent, {"mail_id": mail_id, "sealed": b""})

    async def mail_failed(self, queued: Queued, error: str, *, wait: int | None) -> bool:
        parameters = {"mail_id": queued.mail.id, "tries": queued.tries, "error": error, "wait": wait}
        [written] = await self._write(self._statements.mail_failed, parameters)
        return bool(written)

    async def list_mail(self, *, before: str | None, limit: int) -> Sequence[Queued]:
        rows = await self._read(self._statements.list_mail, {"before": before or _LAST, "limit": limit})
        return [queued_of(row) for row in rows]

    async def count_mail(self) -> MailDepth:
        """As `ports.MailCounts`."""
        [row] = await self._read(self._statements.count_mail, {})
        return MailDepth(*row)

    async def check(self) -> None:
        rows = await self._read(self._statements.read_version, {})
        # A newer one is fine: migrations only add, so that old workers run on while new ones take their places.
        if not rows or rows[0][0] < HEAD:
            raise StaleSchemaError(STALE)


def _key(text: str) -> str:
    """What to look up for a text that anybody may have sent: ids and logins are printable, and what is not (NUL, half
    a surrogate pair) is refused by the drivers with errors of their own where "not found" is the answer."""
    return text if text.isprintable() else ""


def _loaded(rows: Sequence[Row], *, done: bool = False) -> LoadedChallenge | None:
    """Of the rows of `challenges.load`."""
    if not rows:
        return None
    [row] = rows
    challenge, user, used = challenge_of(row), user_of(row[_HOLDER_AT:]), row[_USED_AT:-1]
    return LoadedChallenge(challenge, user, Spent(*used), row[-1], done)


def _tried(results: Sequence[Sequence[Row]]) -> LoadedChallenge | None:
    """Of a script whose third statement did what was asked, if it was allowed, and whose last one tells."""
    return _loaded(results[-1], done=bool(results[2])) if results[0] else None
