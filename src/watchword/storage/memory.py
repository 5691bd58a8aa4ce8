"""The reference store: what every verb means, in a few dictionaries. For tests and for reading; keeps nothing.

It never suspends, so that a flow over it can be stepped without an event loop, and each verb is atomic because
nothing else runs meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from watchword.core.revocation import ROLES_MARGIN, Revoked, TokensFrom
from watchword.core.rotation import Lineage
from watchword.core.session import End, Session
from watchword.core.user import Status, User
from watchword.errors import AlreadyExists
from watchword.ports import Clock, LoadedSession, RevocationPage


class MemoryStore:
    """Implements `ports.Store`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._users: dict[str, User] = {}
        self._sessions: dict[str, Session] = {}
        self._revoked: dict[str, Revoked] = {}

    async def create_user(self, user: User) -> None:
        for other in self._users.values():
            if other.id == user.id or other.email == user.email:
                raise AlreadyExists("There is a user with this address.")
            if user.username is not None and other.username == user.username:
                raise AlreadyExists("There is a user with this name.")
        self._users[user.id] = user

    async def load_user(self, user_id: str) -> User | None:
        return self._users.get(user_id)

    async def find_user(self, login: str) -> User | None:
        users = self._users.values()
        if "@" in login:
            return next((user for user in users if user.email == login), None)
        return next((user for user in users if user.username == login), None)

    async def list_users(self, *, after: str | None, limit: int) -> Sequence[User]:
        return [self._users[key] for key in sorted(self._users) if key > (after or "")][:limit]

    async def replace_digest(self, user_id: str, *, old: str, new: str) -> bool:
        user = self._users.get(user_id)
        if user is None or user.digest != old:
            return False
        self._users[user_id] = replace(user, digest=new)
        return True

    async def change_password(
        self, user_id: str, digest: str, *, now: int, keep: str | None
    ) -> Sequence[Revoked] | None:
        user = self._users.get(user_id)
        if user is None:
            return None
        self._users[user_id] = replace(user, digest=digest)
        return await self.end_sessions(user_id, End.PASSWORD, now=now, keep=keep)

    async def change_status(self, user_id: str, status: Status, *, now: int) -> Sequence[Revoked] | None:
        user = self._users.get(user_id)
        if user is None:
            return None
        self._users[user_id] = replace(user, status=status)
        return [] if status is Status.ACTIVE else await self.end_sessions(user_id, End.DISABLED, now=now)

    async def change_roles(self, user_id: str, roles: tuple[str, ...], *, now: int) -> TokensFrom | None:
        user = self._users.get(user_id)
        if user is None:
            return None
        second = now // 1_000_000 + ROLES_MARGIN
        self._users[user_id] = replace(user, roles=roles, tokens_from=second)
        return TokensFrom(user_id, second)

    async def delete_user(self, user_id: str, *, now: int) -> Sequence[Revoked] | None:
        if user_id not in self._users:
            return None
        ended = await self.end_sessions(user_id, End.REVOKED, now=now)
        del self._users[user_id]
        self._sessions = {sid: row for sid, row in self._sessions.items() if row.user_id != user_id}
        return ended

    async def insert_session(
        self, session: Session, *, digest: str | None, replaces: str | None
    ) -> Sequence[Revoked] | None:
        user = self._users.get(session.user_id)
        if user is None or user.status is not Status.ACTIVE or user.digest != digest:
            return None
        self._sessions[session.sid] = session
        replaced = (
            await self.end_session(replaces, End.REPLACED, now=session.created_at) if replaces else None
        )
        return [replaced] if replaced else []

    async def load_session(self, sid: str) -> LoadedSession | None:
        session = self._sessions.get(sid)
        return LoadedSession(session, self._users[session.user_id], self._clock.now()) if session else None

    async def swap_session(self, before: Session, after: Session) -> bool:
        row = self._sessions.get(before.sid)
        if row is None or row.ended_at is not None or self._users[row.user_id].status is not Status.ACTIVE:
            return False
        now, then = row.lineage, before.lineage
        if (now.parent, now.newest, now.crossed) != (then.parent, then.newest, then.crossed):
            return False
        self._sessions[row.sid] = replace(
            row,
            lineage=after.lineage,
            auth_time=after.auth_time,
            amr=after.amr,
            idle_until=after.idle_until,
            last_used_at=after.last_used_at,
            ip=after.ip,
            user_agent=after.user_agent,
        )
        return True

    async def record_crossing(self, sid: str, lineage: Lineage) -> None:
        row = self._sessions.get(sid)
        if row is not None and row.lineage.crossed < lineage.crossed:
            counted = replace(row.lineage, crossings=lineage.crossings, crossed=lineage.crossed)
            self._sessions[sid] = replace(row, lineage=counted)

    async def end_session(
        self, sid: str, end: End, *, now: int, user_id: str | None = None
    ) -> Revoked | None:
        row = self._sessions.get(sid)
        if row is None or row.ended_at is not None or user_id not in (None, row.user_id):
            return None
        self._sessions[sid] = replace(row, ended_at=now, end=end)
        self._revoked[sid] = Revoked(sid, now)
        return self._revoked[sid]

    async def end_sessions(
        self, user_id: str, end: End, *, now: int, keep: str | None = None
    ) -> Sequence[Revoked]:
        theirs = [sid for sid, row in self._sessions.items() if row.user_id == user_id and sid != keep]
        ended = [await self.end_session(sid, end, now=now) for sid in theirs]
        return [row for row in ended if row is not None]

    async def list_sessions(self, user_id: str, *, now: int) -> Sequence[Session]:
        theirs = [row for row in self._sessions.values() if row.user_id == user_id]
        live = [row for row in theirs if row.ended_at is None and not row.expired(now)]
        return sorted(live, key=lambda row: row.sid, reverse=True)

    async def read_revocations(self, *, since: int) -> RevocationPage:
        ended = [row for row in self._revoked.values() if row.at >= since]
        tokens_from = [
            TokensFrom(user.id, user.tokens_from)
            for user in self._users.values()
            if user.tokens_from and user.tokens_from * 1_000_000 >= since
        ]
        return RevocationPage(ended, tokens_from, self._clock.now())

    async def sweep(self, *, now: int, ended_for: int, revoked_for: int, batch: int) -> int:
        sessions = [sid for sid, row in self._sessions.items() if _ended_at(row) < now - ended_for][:batch]
        revoked = [sid for sid, row in self._revoked.items() if row.at < now - revoked_for][:batch]
        for sid in sessions:
            del self._sessions[sid]
        for sid in revoked:
            del self._revoked[sid]
        return len(sessions) + len(revoked)

    async def check(self) -> None:
        return None


def _ended_at(row: Session) -> int:
    return row.ended_at if row.ended_at is not None else min(row.idle_until, row.ends_at)
