"""Signing up, in the reference store; whose challenges there are is `memory_challenges`'s."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace

from watchword.core.challenge import Challenge, Kind, may_link
from watchword.core.mail import Mail
from watchword.core.registration import KEPT, LOOKED_THROUGH
from watchword.core.revocation import Revoked
from watchword.core.session import End
from watchword.core.user import Status, User
from watchword.errors import AlreadyExists
from watchword.ports import Forgotten, Registered
from watchword.storage.memory_challenges import MemoryChallenges


class MemoryRegistrations(MemoryChallenges):
    """Implements `ports.Registrations`."""

    @abstractmethod
    async def end_sessions(
        self, user_id: str, end: End, *, now: int, keep: str | None = None
    ) -> Sequence[Revoked]: ...

    @abstractmethod
    async def delete_user(self, user_id: str, *, now: int) -> Sequence[Revoked] | None: ...

    @abstractmethod
    def _drop_factors(self, user_id: str) -> None:
        """None of them is left."""

    async def register(self, user: User, challenge: Challenge, mail: Mail, taken: Mail) -> Registered | None:
        now = self._clock.now()
        theirs = next((row for row in self._users.values() if row.email == user.email), None)
        created = theirs is None
        if theirs is None:
            self._users[user.id] = theirs = user
        if not may_link(self._theirs(theirs.id), challenge.kind, now):
            return Registered(theirs.id, created, sent=False)
        waits = theirs.status is Status.UNVERIFIED
        self._begin_now(
            replace(challenge, user_id=theirs.id, payload=challenge.payload if waits else {}), now
        )
        if not waits:
            self._challenges[challenge.id] = replace(self._challenges[challenge.id], ended_at=now)
        self._queue(mail if waits else taken)
        return Registered(theirs.id, created, sent=True)

    async def recent_links(self, user_id: str, kind: Kind) -> Sequence[Challenge]:
        rows = [row for row in self._theirs(user_id) if row.kind is kind and row.ended_at is None]
        return sorted(rows, key=lambda row: (row.created_at, row.id), reverse=True)[:LOOKED_THROUGH]

    async def redeem_registration(
        self, challenge: Challenge, email: str, digest: str, username: str | None
    ) -> Sequence[Revoked] | None:
        row, now = self._challenges.get(challenge.id), self._clock.now()
        if row is None or not row.open(now):
            return None
        user = self._users[row.user_id]
        if user.status is not Status.UNVERIFIED or user.email != email:
            return None
        others = (other for other in self._users.values() if other.id != user.id)
        if username is not None and any(other.username == username for other in others):
            raise AlreadyExists("There is a user with this name.")
        self._users[user.id] = replace(
            user,
            digest=digest,
            username=user.username if username is None else username,
            status=Status.ACTIVE,
            email_verified=True,
            two_factor=False,
        )
        self._drop_factors(user.id)
        self._end_theirs(user.id)
        return await self.end_sessions(user.id, End.PASSWORD, now=now)

    async def forget_unverified(self, *, now: int, after: str, batch: int) -> Forgotten:
        last: dict[str, int] = {}
        for row in self._challenges.values():
            if self._waited_for(row):
                last[row.user_id] = max(row.expires_at, last.get(row.user_id, 0))
        old = sorted(key for key, expired in last.items() if key > after and expired < now - KEPT)[:batch]
        for user_id in old:
            await self.delete_user(user_id, now=now)
        return Forgotten(old, (), old[-1] if old else None)
