"""What the world must provide: the interfaces that flows are written against, and the bundle that carries them.

No implementation lives here. A `Store` offers few atomic verbs, each one transaction; `tests/storage/contract.py`
defines what they mean and runs on every implementation. Instants are µs since 1970.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from watchword.core.access_token import AccessTokens, Verifier
from watchword.core.refresh_token import RefreshTokens
from watchword.core.revocation import Revocations, Revoked, TokensFrom
from watchword.core.rotation import Lineage
from watchword.core.session import End, Lifetimes, Session
from watchword.core.user import Status, User
from watchword.events import Event

T = TypeVar("T")


class Clock(Protocol):
    """The host's clock."""

    def now(self) -> int:
        """µs since 1970, UTC."""


class Hasher(Protocol):
    """Password hashing, slow on purpose and off the event loop. All methods raise Overloaded when the queue is full."""

    async def hash(self, password: str) -> str: ...

    async def verify(self, digest: str | None, password: str) -> bool:
        """Whether the password is right. `None` costs the same time as any digest and is never right."""

    async def aside(self, work: Callable[[], T]) -> T:
        """Other slow work about passwords, in the same place."""

    def outdated(self, digest: str) -> bool:
        """Whether a digest was made with weaker parameters than those of today."""


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
        """A new digest, and every session but `keep` ended (End.PASSWORD). None when there is no such user."""

    async def change_status(self, user_id: str, status: Status, *, now: int) -> Sequence[Revoked] | None:
        """A new status; all sessions ended (End.DISABLED) unless it is active. None when there is no such user."""

    async def change_roles(self, user_id: str, roles: tuple[str, ...], *, now: int) -> TokensFrom | None:
        """New roles, and `tokens_from` = now + ROLES_MARGIN, in seconds. None when there is no such user."""

    async def delete_user(self, user_id: str, *, now: int) -> Sequence[Revoked] | None:
        """The row and its sessions go, their revocations stay. None when there is no such user."""


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


class Store(Users, Protocol):
    """Sessions and revocations. All verbs raise Unavailable when the database does not answer."""

    async def insert_session(
        self, session: Session, *, digest: str | None, replaces: str | None
    ) -> Sequence[Revoked] | None:
        """Insert if the user is active and its digest still is `digest`, else None (nothing written).

        `replaces` is a session of the same browser, ended as End.REPLACED in the same transaction if it is live.
        """

    async def load_session(self, sid: str) -> LoadedSession | None: ...

    async def swap_session(self, before: Session, after: Session) -> bool:
        """Write `after`'s lineage, auth_time, amr, idle_until, last_used_at, ip and user_agent over `before`.

        One guarded statement: only if parent, newest and crossed are still `before`'s, the session is not ended and
        its user active; False otherwise.
        """

    async def record_crossing(self, sid: str, lineage: Lineage) -> None:
        """Write crossings and crossed, unless the row's `crossed` is as far already."""

    async def end_session(
        self, sid: str, end: End, *, now: int, user_id: str | None = None
    ) -> Revoked | None:
        """End one session, of `user_id` if given. None when it does not exist, is not theirs or has ended before."""

    async def end_sessions(
        self, user_id: str, end: End, *, now: int, keep: str | None = None
    ) -> Sequence[Revoked]:
        """End all of a user's sessions but `keep`."""

    async def list_sessions(self, user_id: str, *, now: int) -> Sequence[Session]:
        """Those neither ended nor expired, newest first."""

    async def read_revocations(self, *, since: int) -> RevocationPage:
        """What was written at `since` or later by the database's clock."""

    async def sweep(self, *, now: int, ended_for: int, revoked_for: int, batch: int) -> int:
        """Delete at most `batch` sessions that expired or ended `ended_for` µs ago or earlier, and at most `batch`
        revocations that are `revoked_for` old; returns how many rows went."""

    async def check(self) -> None:
        """One cheap round trip. Raises StaleSchemaError when the tables are missing or older than this version."""


EventSink = Callable[[Event], None]
"""Takes each fact after it was written. Must not raise."""

Claims = Callable[[User], Mapping[str, Any]]
"""An app's own claims for a user's access tokens."""


@dataclass(frozen=True, slots=True)
class World:
    """All that a flow may use, put together once by `watchword.auth`."""

    store: Store
    hasher: Hasher
    clock: Clock
    access_tokens: AccessTokens
    refresh_tokens: RefreshTokens
    verifier: Verifier
    revocations: Revocations
    lives: Lifetimes
    emit: EventSink
    claims: Claims | None = None
