"""What a database must do for us: the verbs of a store, and what they hand over.

Each verb is one transaction; `tests/storage/contract.py` defines what they mean and runs on every implementation. The
other ports are in `ports`. Instants are µs since 1970.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from watchword.arrival_store import Arrivals
from watchword.core.challenge import Challenge, Kind, Spent
from watchword.core.factor import Factor
from watchword.core.mail import Mail, Queued
from watchword.core.record import Recorded
from watchword.core.revocation import Revoked, TokensFrom
from watchword.core.rotation import Lineage
from watchword.core.session import End, Session
from watchword.core.user import Status, User
from watchword.own_store import Own
from watchword.repairs import Repairs


class Users(Protocol):
    """The user half of a store. Logins are canonical already (see core.user). All verbs raise Unavailable when the
    database does not answer."""

    async def create_user(self, user: User) -> None:
        """Raises AlreadyExists when the id, email or username is taken."""

    async def load_user(self, user_id: str) -> User | None: ...

    async def find_user(self, login: str) -> User | None:
        """By email when there is an @ in it, by username otherwise."""

    async def list_users(self, *, after: str | None, limit: int) -> Sequence[User]:
        """In the order of ids, beginning behind `after`."""

    async def replace_digest(self, user_id: str, *, old: str, new: str) -> bool:
        """Another digest of the same password; False when it is no longer `old` that is stored."""

    async def change_password(
        self, user_id: str, digest: str, *, now: int, keep: str | None
    ) -> Sequence[Revoked] | None:
        """A new digest, and every session but `keep` ended (End.PASSWORD), and every challenge. None when there is no
        such user."""

    async def change_status(self, user_id: str, status: Status, *, now: int) -> Sequence[Revoked] | None:
        """A new status; all sessions (End.DISABLED) and challenges ended unless it is active. None when there is no
        such user."""

    async def enable_user(self, user_id: str) -> Status | None:
        """Active if their address is verified, else unverified, whatever they were; which of the two. None when there
        is no such user."""

    async def change_roles(self, user_id: str, roles: tuple[str, ...], *, now: int) -> TokensFrom | None:
        """New roles, and `tokens_from` = now + ROLES_MARGIN, in seconds, or one more than it was: of two changes in a
        second the later one makes tokens old that were issued in between. None when there is no such user."""

    async def delete_user(self, user_id: str, *, now: int) -> Sequence[Revoked] | None:
        """The row and its sessions go, their revocations stay. None when there is no such user. Raises StillReferenced,
        and writes nothing, when a row of the app's own refers to the user."""


@dataclass(frozen=True, slots=True)
class LoadedSession:
    """A session with its user, and the instant at which they were read by the clock that decides about them: the
    database's on PostgreSQL, the host's elsewhere."""

    session: Session
    user: User
    now: int


@dataclass(frozen=True, slots=True)
class RevocationPage:
    """What was revoked since some instant, and the database's clock when it was read."""

    ended: Sequence[Revoked]
    tokens_from: Sequence[TokensFrom]
    now: int


class Outbox(Protocol):
    """The mail half of a store. Instants are by the clock that decides about sessions. All verbs raise Unavailable when
    the database does not answer."""

    async def queue_mail(self, mail: Mail) -> None:
        """Make it due at once. What announces a fact is queued by the verb that writes the fact, not by this one."""

    async def lease_mail(self, *, span: int) -> Queued | None:
        """The message that has been due for longest, with its `mail.head_start`, counted as one more try and due again
        in `span`, unless what became of it is reported before. No two callers are given the same one."""

    async def mail_sent(self, mail_id: str) -> None:
        """It is due no more, and its payload is gone."""

    async def mail_failed(self, queued: Queued, error: str, *, wait: int | None) -> bool:
        """That this try of it failed: it is due again in `wait`, or no more if that is None. False if another try has
        been begun since, or it was sent: then nothing is written."""

    async def list_mail(self, *, before: str | None, limit: int) -> Sequence[Queued]:
        """Newest first, beginning behind the id `before`: waiting, sent and given up."""


@dataclass(frozen=True, slots=True)
class Issued:
    """Whether a challenge was made; what the user's challenges have used up, and the instant that this was told."""

    done: bool
    spent: Spent
    now: int


@dataclass(frozen=True, slots=True)
class LoadedChallenge:
    """A challenge with its user, what all the user's challenges have used up, and the instant at which they were read
    by the clock that decides. `done` is whether the verb that read them did what it was asked."""

    challenge: Challenge
    user: User
    spent: Spent
    now: int
    done: bool = False


class Challenges(Protocol):
    """The part of a store that single-use secrets are kept in. Budgets and instants are by the clock that decides
    about sessions; each verb asks for them and writes in one transaction, whatever else happens at once. All verbs
    raise Unavailable when the database does not answer."""

    async def issue_challenge(self, challenge: Challenge, mail: Mail, *, digest: str | None) -> Issued | None:
        """Insert both, if `challenge.may_begin` and none like it `waits`. None, and nothing written, unless the user is
        active and their digest still is `digest`. Its instants are moved as a whole, so that it was created at the
        instant of the insert."""

    async def load_challenge(self, digest: bytes, kind: Kind) -> LoadedChallenge | None:
        """By the digest of its secret, whatever has become of it. None when there is none of that kind, or its user is
        not active."""

    async def attempt_challenge(self, digest: bytes, kind: Kind) -> LoadedChallenge | None:
        """Count one try, if `challenge.may_try`; one that is over is ended, so that no clock revives it. As it is
        afterwards."""

    async def resend_challenge(
        self, digest: bytes, kind: Kind, code: bytes, mail: Mail, *, ttl: int
    ) -> LoadedChallenge | None:
        """Put `code` in the place of the old one and queue the mail, if `challenge.may_resend`. As it is afterwards."""

    async def end_challenge(self, digest: bytes) -> bool:
        """End an open one; False when there is none."""


@dataclass(frozen=True, slots=True)
class LoadedLink:
    """The challenge of a link with its user, and the instant at which they were read by the clock that decides."""

    challenge: Challenge
    user: User
    now: int


class Links(Protocol):
    """The part of a store that challenges are kept in whose secret was sent as a link. It was sent to one address, and
    proves nothing once the user has another. All verbs raise Unavailable when the database does not answer."""

    async def issue_link(self, challenge: Challenge, mail: Mail) -> bool:
        """Insert both, if `challenge.may_link`; its instants are moved as those of `issue_challenge` are. False, and
        neither is there, unless there is such a user, not disabled, whose address is `mail.to`. Either way it is the
        same statements and one commit to make durable (SECURITY-TARGET attack 65)."""

    async def load_link(self, digest: bytes, kind: Kind) -> LoadedLink | None:
        """By the digest of its secret, whatever has become of it. None when there is none of that kind, or its user is
        disabled."""

    async def redeem_reset(
        self, challenge: Challenge, email: str, digest: str, mail: Mail
    ) -> Sequence[Revoked] | None:
        """A new digest, every session (End.PASSWORD) and every challenge ended, and the mail that tells of it. The
        address is verified from now on; a user who was unverified is active, with no second step of whoever signed
        them up (SECURITY-TARGET attack 75). None, and nothing written, unless the challenge is open and the user not
        disabled and at `email`."""


@dataclass(frozen=True, slots=True)
class Registered:
    """Whose address it is that somebody signed up with; whether that user is new; whether anything was sent there."""

    user_id: str
    created: bool
    sent: bool


@dataclass(frozen=True, slots=True)
class Forgotten:
    """The ids of users who went, and of those whom a row of the app's own holds; `last` is the last that was looked at,
    None when there was nobody."""

    gone: Sequence[str]
    held: Sequence[str]
    last: str | None


class Registrations(Protocol):
    """The part of a store that people sign up by. All verbs raise Unavailable when the database does not answer."""

    async def register(self, user: User, challenge: Challenge, mail: Mail, taken: Mail) -> Registered | None:
        """Insert `user` unless somebody has the address, and for whoever has it then: `challenge` and `mail` if they
        are unverified; else `taken`, and an ended challenge with nothing in it, by which such mails are counted. No
        challenge and no mail once `challenge.may_link` says so. Its instants are moved as those of `issue_challenge`
        are; an unverified user keeps the digest of the first time. Whatever is written, it is the same statements and
        one commit to make durable. None, and nothing written that matters, when the address became free meanwhile."""

    async def recent_links(self, user_id: str, kind: Kind) -> Sequence[Challenge]:
        """Those of a user that have not been ended, newest first; `registration.LOOKED_THROUGH` at most."""

    async def redeem_registration(
        self, challenge: Challenge, email: str, digest: str, username: str | None
    ) -> Sequence[Revoked] | None:
        """The user becomes active, verified and without a second step, with this digest and, unless it is None, this
        name; every session (End.PASSWORD) and every challenge ended. None, and nothing written, unless the challenge
        is open and the user unverified and at `email`. Raises AlreadyExists, and writes nothing, when somebody else has
        the name."""

    async def forget_unverified(self, *, now: int, after: str, batch: int) -> Forgotten:
        """Delete unverified users who have had links, each of which expired `registration.KEPT` µs ago, ended or not,
        with all that is theirs; the first `batch` of them in the order of ids, beginning behind `after`. Who is given
        another link meanwhile stays. Somebody who never had one was made by an administrator, and stays."""


class Factors(Protocol):
    """The part of a store that tells whose sign-in takes a second step. All verbs raise Unavailable when the database
    does not answer."""

    async def list_factors(self, user_id: str) -> Sequence[Factor]:
        """In the order of ids."""

    async def add_factor(
        self, factor: Factor, *, now: int, keep: str | None, mail: Mail | None = None
    ) -> Sequence[Revoked] | None:
        """Insert, end every session but `keep` (End.FACTOR), and queue the mail that tells of it. None, and nothing
        written, when the user has one of this method, or there is no such user, or `keep` has ended."""

    async def remove_factor(
        self, factor_id: str, *, user_id: str, now: int, keep: str | None, mail: Mail | None = None
    ) -> Sequence[Revoked] | None:
        """Delete, end every session but `keep` (End.FACTOR), and queue the mail that tells of it. None, and nothing
        written, when the user has no such factor, or `keep` has ended."""


class Events(Protocol):
    """The part of a store that events are kept in. Nothing changes a row; only `sweep` removes some. All verbs raise
    Unavailable when the database does not answer."""

    async def append_events(self, events: Sequence[Recorded]) -> None:
        """Insert those whose ids are not there yet, so that whoever heard no answer may ask again."""

    async def list_events(self, user_id: str | None, *, before: str | None, limit: int) -> Sequence[Recorded]:
        """Of a user or, for None, all there are: newest first by their ids, beginning behind the id `before`."""

    async def read_events(self, *, since: int, after: str = "", limit: int) -> Sequence[Recorded]:
        """What was written at `since` or later, in the order of writing and, of one instant, of ids. Of those written
        at `since` itself only what is behind the id `after`, so that the last row of a page leads to the next."""


class Store(
    Users, Outbox, Arrivals, Challenges, Links, Registrations, Factors, Own, Events, Repairs, Protocol
):
    """Sessions, revocations and leases. All verbs raise Unavailable when the database does not answer."""

    async def load_session(self, sid: str) -> LoadedSession | None: ...

    async def swap_session(self, before: Session, after: Session) -> bool:
        """Write `after`'s lineage, auth_time, amr, idle_until, last_used_at, ip and user_agent over `before`.

        One guarded statement: only if parent, newest and crossed are still `before`'s, the session is not ended and
        its user active; False otherwise.
        """

    async def record_crossing(self, sid: str, lineage: Lineage) -> None:
        """Write crossings and crossed, unless the row's `crossed` is as far already."""

    async def end_session(
        self, sid: str, end: End, *, now: int, user_id: str | None = None, mail: Mail | None = None
    ) -> Revoked | None:
        """End one session, of `user_id` if given, and queue the mail that tells of it. None, and nothing written, when
        it does not exist, is not theirs or has ended before."""

    async def end_sessions(
        self, user_id: str, end: End, *, now: int, keep: str | None = None
    ) -> Sequence[Revoked]: ...  # all of a user's but `keep`

    async def list_sessions(self, user_id: str, *, now: int) -> Sequence[Session]:
        """Those neither ended nor expired, newest first."""

    async def read_revocations(self, *, since: int) -> RevocationPage:
        """What was written at `since` or later by the database's clock."""

    async def sweep(self, *, now: int, ended_for: int, revoked_for: int, batch: int) -> int:
        """Delete at most `batch` of each: sessions that expired or ended `ended_for` µs ago or earlier, revocations
        that are `revoked_for` old, messages that have expired, challenges that expired `challenge.REMEMBERED` µs ago
        but for the links of unverified users (`forget_unverified`), events that are `record.KEPT` old. Returns how many
        rows went."""

    async def take_lease(self, name: str, holder: str, *, span: int) -> bool:
        """Whether `holder` may do what `name` stands for, alone among all processes, for `span` from now on. Who holds
        a lease may take it again."""

    async def check(self) -> None:
        """One cheap round trip. Raises StaleSchemaError when the tables are missing or older than this version."""
