"""The reference store: what every verb means, in a few dictionaries. For tests and for reading; keeps nothing.

It never suspends, so that a flow over it can be stepped without an event loop, and each verb is atomic because
nothing else runs meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from watchword.core.challenge import Challenge
from watchword.core.mail import Mail, Queued, head_start
from watchword.core.revocation import ROLES_MARGIN, Displaced, Revoked, TokensFrom
from watchword.core.rotation import Lineage
from watchword.core.session import End, Session
from watchword.core.user import Status, User
from watchword.errors import AlreadyExists
from watchword.ports import MOST_LATE, MOST_WAITING, Clock, LoadedSession, MailDepth, RevocationPage, Room
from watchword.storage.memory_events import MemoryEvents
from watchword.storage.memory_own import MemoryOwn
from watchword.storage.memory_registrations import MemoryRegistrations


class MemoryStore(MemoryOwn, MemoryRegistrations, MemoryEvents):
    """Implements `ports.Store`."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        MemoryEvents.__init__(self, clock)
        self._revoked: dict[str, Revoked] = {}
        self._outbox: dict[str, Queued] = {}
        self._leases: dict[str, tuple[str, int]] = {}

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
        self._end_theirs(user_id)
        return await self.end_sessions(user_id, End.PASSWORD, now=now, keep=keep)

    async def forget_password(
        self, user_id: str, *, now: int, keep: str | None, mail: Mail
    ) -> Sequence[Revoked] | None:
        user = self._users.get(user_id)
        if user is None:
            return None
        self._users[user_id] = replace(user, digest=None)
        self._end_theirs(user_id)
        self._queue(mail)
        return await MemoryStore.end_sessions(self, user_id, End.PASSWORD, now=now, keep=keep)

    async def revoke_unknown(self, sid: str, *, now: int) -> Revoked | None:
        if sid in self._revoked:
            return None
        self._revoked[sid] = Revoked(sid, now)
        return self._revoked[sid]

    async def change_status(self, user_id: str, status: Status, *, now: int) -> Sequence[Revoked] | None:
        user = self._users.get(user_id)
        if user is None:
            return None
        self._users[user_id] = replace(user, status=status)
        if status is Status.ACTIVE:
            return []
        self._end_theirs(user_id)
        return await self.end_sessions(user_id, End.DISABLED, now=now)

    async def enable_user(self, user_id: str) -> Status | None:
        user = self._users.get(user_id)
        if user is None:
            return None
        status = Status.ACTIVE if user.email_verified else Status.UNVERIFIED
        self._users[user_id] = replace(user, status=status)
        return status

    async def change_roles(self, user_id: str, roles: tuple[str, ...], *, now: int) -> TokensFrom | None:
        user = self._users.get(user_id)
        if user is None:
            return None
        second = max(now // 1_000_000 + ROLES_MARGIN, user.tokens_from + 1)
        self._users[user_id] = replace(user, roles=roles, tokens_from=second)
        return TokensFrom(user_id, second)

    async def delete_user(self, user_id: str, *, now: int) -> Sequence[Revoked] | None:
        if user_id not in self._users:
            return None
        return await self._delete(user_id, now)

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
        user = self._users.get(session.user_id)
        if user is None or user.status is not Status.ACTIVE:
            return None
        if (user.digest, user.two_factor) != (digest, two_factor):
            return None
        return await self._start(session, replaces, mail, room)

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
        live = await MemoryStore.list_sessions(self, session.user_id, now=self._clock.now())
        contexts = {row.lineage.context for row in live}
        familiar = known or session.lineage.context in contexts or (newcomer and not live)
        if len(live) >= most or not familiar:
            return False
        inserted = await MemoryStore.insert_session(
            self, session, digest=digest, two_factor=two_factor, replaces=None
        )
        return inserted is not None

    async def redeem_challenge(
        self,
        challenge: Challenge,
        session: Session,
        *,
        replaces: str | None,
        mail: Mail | None = None,
        room: Room | None = None,
    ) -> Sequence[Displaced] | None:
        row, now = self._challenges.get(challenge.id), self._clock.now()
        if row is None or row.code != challenge.code or not row.open(now):
            return None
        if self._users[row.user_id].status is not Status.ACTIVE:
            return None
        self._challenges[row.id] = replace(row, ended_at=now, tries=row.tries - 1)
        return await self._start(session, replaces, mail, room)

    async def redeem_reset(
        self, challenge: Challenge, email: str, digest: str, mail: Mail
    ) -> Sequence[Revoked] | None:
        row, now = self._challenges.get(challenge.id), self._clock.now()
        if row is None or not row.open(now):
            return None
        user = self._users[row.user_id]
        if user.status is Status.DISABLED or user.email != email:
            return None
        if user.status is Status.UNVERIFIED:
            self._drop_factors(user.id)
            user = replace(user, status=Status.ACTIVE, two_factor=False)
        self._users[user.id] = replace(user, email_verified=True)
        self._queue(mail)
        return await MemoryStore.change_password(self, user.id, digest, now=now, keep=None)

    async def _start(
        self, session: Session, replaces: str | None, mail: Mail | None, room: Room | None
    ) -> Sequence[Displaced]:
        self._sessions[session.sid] = session
        displaced = await self._displace([replaces] if replaces else [], End.REPLACED)
        live = await MemoryStore.list_sessions(self, session.user_id, now=self._clock.now())
        others = [row for row in live if row.sid != session.sid]
        others.sort(key=lambda row: (row.last_used_at, row.sid), reverse=True)
        surplus = [] if room is None else [row.sid for row in others[room.most - 1 :]]
        told = room.mail if room is not None and surplus else mail
        if told is not None:
            self._queue(told)
        return displaced + await self._displace(surplus, End.EVICTED)

    async def _displace(self, sids: Sequence[str], end: End) -> list[Displaced]:
        ended = [await MemoryStore.end_session(self, sid, end, now=self._clock.now()) for sid in sids]
        return [
            Displaced(row.sid, row.at, self._sessions[row.sid].user_id, end)
            for row in ended
            if row is not None
        ]

    async def load_session(self, sid: str) -> LoadedSession | None:
        session = self._sessions.get(sid)
        return LoadedSession(session, self._users[session.user_id], self._clock.now()) if session else None

    async def swap_session(self, before: Session, after: Session) -> bool:
        return self._swapped(before, after)

    async def record_crossing(self, sid: str, lineage: Lineage) -> None:
        row = self._sessions.get(sid)
        if row is not None and row.lineage.crossed < lineage.crossed:
            counted = replace(row.lineage, crossings=lineage.crossings, crossed=lineage.crossed)
            self._sessions[sid] = replace(row, lineage=counted)

    async def end_session(
        self, sid: str, end: End, *, now: int, user_id: str | None = None, mail: Mail | None = None
    ) -> Revoked | None:
        row = self._sessions.get(sid)
        if row is None or row.ended_at is not None or user_id not in (None, row.user_id):
            return None
        if mail is not None:
            self._queue(mail)
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
        expired = [key for key, row in self._outbox.items() if row.mail.expires_at < now][:batch]
        for sid in sessions:
            del self._sessions[sid]
        for sid in revoked:
            del self._revoked[sid]
        for key in expired:
            del self._outbox[key]
        rows = len(sessions) + len(revoked) + len(expired)
        return rows + self._sweep_challenges(now, batch) + self._sweep_events(now, batch)

    async def queue_mail(self, mail: Mail) -> None:
        self._queue(mail)

    def _queue(self, mail: Mail) -> None:
        """For verbs that announce what they write, too."""
        self._outbox[mail.id] = Queued(mail, next_at=self._clock.now())

    async def lease_mail(self, *, span: int) -> Queued | None:
        now = self._clock.now()
        due = [
            (row.next_at - head_start(row.mail), key)
            for key, row in self._outbox.items()
            if row.next_at is not None and row.next_at <= now
        ]
        if not due:
            return None
        _, key = min(due)
        row = self._outbox[key]
        self._outbox[key] = replace(row, tries=row.tries + 1, next_at=now + span)
        return self._outbox[key]

    async def mail_sent(self, mail_id: str) -> None:
        if (row := self._outbox.get(mail_id)) is not None:
            mail = replace(row.mail, sealed=b"")
            self._outbox[mail_id] = replace(
                row, mail=mail, next_at=None, sent_at=self._clock.now(), last_error=None
            )

    async def mail_failed(self, queued: Queued, error: str, *, wait: int | None) -> bool:
        row = self._outbox.get(queued.mail.id)
        if row is None or row.sent_at is not None or row.tries != queued.tries:
            return False
        next_at = None if wait is None else self._clock.now() + wait
        self._outbox[row.mail.id] = replace(row, next_at=next_at, last_error=error)
        return True

    async def count_mail(self) -> MailDepth:
        """As `ports.MailCounts`."""
        waiting = [row.mail.created_at for row in self._outbox.values() if row.next_at is not None][
            :MOST_WAITING
        ]
        newest = [self._outbox[key] for key in sorted(self._outbox, reverse=True)[:MOST_LATE]]
        given_up = sum(row.next_at is None and row.sent_at is None for row in newest)
        return MailDepth(len(waiting), min(waiting, default=None), given_up, self._clock.now())

    async def list_mail(self, *, before: str | None, limit: int) -> Sequence[Queued]:
        keys = [key for key in self._outbox if before is None or key < before]
        return [self._outbox[key] for key in sorted(keys, reverse=True)[:limit]]

    async def take_lease(self, name: str, holder: str, *, span: int) -> bool:
        now = self._clock.now()
        held_by, until = self._leases.get(name, (holder, now))
        if held_by != holder and now < until:
            return False
        self._leases[name] = (holder, now + span)
        return True

    async def check(self) -> None:
        return None


def _ended_at(row: Session) -> int:
    return row.ended_at if row.ended_at is not None else min(row.idle_until, row.ends_at)
