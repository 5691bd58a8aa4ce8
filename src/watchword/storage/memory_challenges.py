"""The challenges of the reference store; what they announce and what they open is `memory`'s."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace

from watchword.core.challenge import (
    REMEMBERED,
    Challenge,
    Kind,
    may_begin,
    may_link,
    may_resend,
    may_try,
    resent,
    spent,
    waits,
)
from watchword.core.mail import Mail
from watchword.core.user import Status, User
from watchword.ports import Clock, Issued, LoadedChallenge, LoadedLink


class MemoryChallenges(ABC):
    """Implements `ports.Challenges` and `ports.Links`, but for redeeming. Each verb is atomic because nothing else
    runs meanwhile."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._users: dict[str, User] = {}
        self._challenges: dict[str, Challenge] = {}

    @abstractmethod
    def _queue(self, mail: Mail) -> None:
        """Put a message into the outbox."""

    async def issue_challenge(self, challenge: Challenge, mail: Mail, *, digest: str | None) -> Issued | None:
        user, now = self._users.get(challenge.user_id), self._clock.now()
        if user is None or user.status is not Status.ACTIVE or user.digest != digest:
            return None
        theirs = self._theirs(user.id)
        done = may_begin(spent(theirs, now)) is None and not waits(theirs, challenge, now)
        if done:
            self._begin_now(challenge, now)
            self._queue(mail)
        return Issued(done, spent(self._theirs(user.id), now), now)

    async def load_challenge(self, digest: bytes, kind: Kind) -> LoadedChallenge | None:
        row = self._found(digest, kind)
        return None if row is None else self._loaded(row, self._clock.now(), done=False)

    async def attempt_challenge(self, digest: bytes, kind: Kind) -> LoadedChallenge | None:
        row, now = self._found(digest, kind), self._clock.now()
        if row is None:
            return None
        row = self._over(row, now)
        done = may_try(row, spent(self._theirs(row.user_id), now), now) is None
        return self._loaded(replace(row, tries=row.tries + 1) if done else row, now, done=done)

    async def resend_challenge(
        self, digest: bytes, kind: Kind, code: bytes, mail: Mail, *, ttl: int
    ) -> LoadedChallenge | None:
        row, now = self._found(digest, kind), self._clock.now()
        if row is None:
            return None
        row = self._over(row, now)
        done = may_resend(row, spent(self._theirs(row.user_id), now), now) is None
        if done:
            self._queue(mail)
        return self._loaded(resent(row, code, now=now, ttl=ttl) if done else row, now, done=done)

    async def end_challenge(self, digest: bytes) -> bool:
        now = self._clock.now()
        ended = [row for row in self._challenges.values() if row.digest == digest and row.ended_at is None]
        for row in ended:
            self._challenges[row.id] = replace(row, ended_at=now)
        return bool(ended)

    async def issue_link(self, challenge: Challenge, mail: Mail) -> bool:
        user, now = self._users.get(challenge.user_id), self._clock.now()
        if user is None or user.status is Status.DISABLED or user.email != mail.to:
            return False
        if not may_link(self._theirs(user.id), challenge.kind, now):
            return False
        self._begin_now(challenge, now)
        self._queue(mail)
        return True

    async def load_link(self, digest: bytes, kind: Kind) -> LoadedLink | None:
        for row in self._challenges.values():
            if row.digest == digest and row.kind is kind:
                user = self._users[row.user_id]
                return None if user.status is Status.DISABLED else LoadedLink(row, user, self._clock.now())
        return None

    def _begin_now(self, challenge: Challenge, now: int) -> None:
        expires_at = challenge.expires_at + now - challenge.created_at
        self._challenges[challenge.id] = replace(
            challenge, created_at=now, sent_at=now, expires_at=expires_at
        )

    def _end_theirs(self, user_id: str) -> None:
        """All that are open: the user is not the one that they were made for any more."""
        now = self._clock.now()
        for row in self._theirs(user_id):
            if row.ended_at is None:
                self._challenges[row.id] = replace(row, ended_at=now)

    def _sweep_challenges(self, now: int, batch: int) -> int:
        over = [key for key, row in self._challenges.items() if row.expires_at < now - REMEMBERED]
        old = [key for key in over if not self._waited_for(self._challenges[key])][:batch]
        for key in old:
            del self._challenges[key]
        return len(old)

    def _waited_for(self, row: Challenge) -> bool:
        """Whether it is what an unverified user signed up with, or tells how long ago that was: it goes when they
        go."""
        return row.kind is Kind.VERIFY and self._users[row.user_id].status is Status.UNVERIFIED

    def _theirs(self, user_id: str) -> list[Challenge]:
        return [row for row in self._challenges.values() if row.user_id == user_id]

    def _found(self, digest: bytes, kind: Kind) -> Challenge | None:
        for row in self._challenges.values():
            if row.digest == digest and row.kind is kind:
                return row if self._users[row.user_id].status is Status.ACTIVE else None
        return None

    def _over(self, row: Challenge, now: int) -> Challenge:
        """Ended, if its time is over."""
        return row if row.ended_at is not None or row.open(now) else replace(row, ended_at=now)

    def _loaded(self, row: Challenge, now: int, *, done: bool) -> LoadedChallenge:
        """The row as it is from now on."""
        self._challenges[row.id] = row
        return LoadedChallenge(
            row, self._users[row.user_id], spent(self._theirs(row.user_id), now), now, done
        )
