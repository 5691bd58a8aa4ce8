"""What people do with their own account in the reference store: what a session of theirs must vouch for."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace

from watchword.core.challenge import Challenge, Kind, may_link
from watchword.core.factor import Factor
from watchword.core.mail import Mail
from watchword.core.revocation import Revoked
from watchword.core.session import End, Session
from watchword.core.user import Status
from watchword.ports import Clock, Moved
from watchword.storage.memory_challenges import MemoryChallenges


class MemoryOwn(MemoryChallenges):
    """Implements `ports.Own` and `ports.Factors`. Each verb is atomic because nothing else runs meanwhile."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self._sessions: dict[str, Session] = {}
        self._factors: dict[str, Factor] = {}

    @abstractmethod
    async def end_sessions(
        self, user_id: str, end: End, *, now: int, keep: str | None = None
    ) -> Sequence[Revoked]: ...

    async def change_own_password(
        self, digest: str, *, old: str | None, before: Session, after: Session, mail: Mail
    ) -> Sequence[Revoked] | None:
        user = self._users.get(before.user_id)
        if user is None or user.digest != old or not self._acts(before.sid, user.id):
            return None
        if not self._swapped(before, after):
            return None
        self._queue(mail)
        self._users[user.id] = replace(user, digest=digest)
        self._end_theirs(user.id)
        return await self.end_sessions(user.id, End.PASSWORD, now=self._clock.now(), keep=before.sid)

    async def delete_own_user(self, user_id: str, *, keep: str, mail: Mail) -> Sequence[Revoked] | None:
        if not self._acts(keep, user_id):
            return None
        self._queue(mail)
        return await self._delete(user_id, self._clock.now())

    async def find_proof(self, user_id: str, sid: str) -> Challenge | None:
        now = self._clock.now()
        theirs = (row for row in self._theirs(user_id) if row.kind is Kind.REAUTHENTICATE and row.open(now))
        return next((row for row in theirs if row.payload == {"sid": sid}), None)

    async def redeem_proof(self, challenge: Challenge, before: Session, after: Session) -> bool:
        row, now = self._challenges.get(challenge.id), self._clock.now()
        if row is None or row.code != challenge.code or not row.open(now):
            return False
        if self._users[row.user_id].two_factor or not self._acts(before.sid, row.user_id):
            return False
        if not self._swapped(before, after):
            return False
        self._challenges[row.id] = replace(row, ended_at=now, tries=row.tries - 1)
        return True

    async def issue_change(self, challenge: Challenge, mail: Mail, *, keep: str) -> bool | None:
        if not self._acts(keep, challenge.user_id):
            return None
        now, theirs = self._clock.now(), self._theirs(challenge.user_id)
        if not may_link(theirs, challenge.kind, now):
            return False
        for row in theirs:
            if row.kind is challenge.kind and row.ended_at is None:
                self._challenges[row.id] = replace(row, ended_at=now)
        self._begin_now(challenge, now)
        self._queue(mail)
        return True

    async def redeem_change(self, challenge: Challenge, email: str, *, keep: str, mail: Mail) -> Moved | None:
        row, now = self._challenges.get(challenge.id), self._clock.now()
        if row is None or not row.open(now) or not self._acts(keep, row.user_id):
            return None
        holder = next((user for user in self._users.values() if user.email == email), None)
        if holder is not None:
            waiting = any(link.kind is Kind.VERIFY and link.open(now) for link in self._theirs(holder.id))
            if holder.status is not Status.UNVERIFIED or waiting:
                return None
            await self._delete(holder.id, now)
        self._queue(mail)
        self._users[row.user_id] = replace(self._users[row.user_id], email=email, email_verified=True)
        self._end_theirs(row.user_id)
        ended = await self.end_sessions(row.user_id, End.ADDRESS, now=now, keep=keep)
        return Moved(ended, [] if holder is None else [holder.id])

    async def list_factors(self, user_id: str) -> Sequence[Factor]:
        return [self._factors[key] for key in sorted(self._factors) if self._factors[key].user_id == user_id]

    async def add_factor(
        self, factor: Factor, *, now: int, keep: str | None, mail: Mail | None = None
    ) -> Sequence[Revoked] | None:
        theirs = await self.list_factors(factor.user_id)
        if not self._acts(keep, factor.user_id) or any(row.method is factor.method for row in theirs):
            return None
        self._factors[factor.id] = factor
        return await self._changed_factors(factor.user_id, now, keep, mail)

    async def remove_factor(
        self, factor_id: str, *, user_id: str, now: int, keep: str | None, mail: Mail | None = None
    ) -> Sequence[Revoked] | None:
        row = self._factors.get(factor_id)
        if row is None or row.user_id != user_id or not self._acts(keep, user_id):
            return None
        del self._factors[factor_id]
        return await self._changed_factors(user_id, now, keep, mail)

    async def _changed_factors(
        self, user_id: str, now: int, keep: str | None, mail: Mail | None
    ) -> Sequence[Revoked]:
        if mail is not None:
            self._queue(mail)
        two_factor = bool(await self.list_factors(user_id))
        self._users[user_id] = replace(self._users[user_id], two_factor=two_factor)
        return await self.end_sessions(user_id, End.FACTOR, now=now, keep=keep)

    async def _delete(self, user_id: str, now: int) -> Sequence[Revoked]:
        ended = await self.end_sessions(user_id, End.REVOKED, now=now)
        del self._users[user_id]
        self._sessions = {sid: row for sid, row in self._sessions.items() if row.user_id != user_id}
        self._challenges = {key: row for key, row in self._challenges.items() if row.user_id != user_id}
        self._drop_factors(user_id)
        return ended

    def _drop_factors(self, user_id: str) -> None:
        self._factors = {key: row for key, row in self._factors.items() if row.user_id != user_id}

    def _acts(self, sid: str | None, user_id: str) -> bool:
        """Whether a session may act for a user. None is nobody's session: an administrator's doing."""
        if sid is None:
            return user_id in self._users
        row = self._sessions.get(sid)
        if row is None or row.user_id != user_id or row.ended_at is not None:
            return False
        return not row.expired(self._clock.now())

    def _swapped(self, before: Session, after: Session) -> bool:
        """Write a rotation, unless it is too late for it."""
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
