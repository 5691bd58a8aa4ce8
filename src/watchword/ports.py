"""What the world must provide: the interfaces that flows are written against, and the bundle that carries them.

No implementation lives here. What a database must do is in `stores`. Instants are µs since 1970.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, runtime_checkable

from watchword.arrival_store import Arrivals as Arrivals
from watchword.arrival_store import Room as Room
from watchword.core.access_token import AccessTokens, Verifier
from watchword.core.challenge import Codes
from watchword.core.known_device import KnownDevices
from watchword.core.mail import Letter, Mail, Seals
from watchword.core.refresh_token import RefreshTokens
from watchword.core.revocation import Revocations
from watchword.core.session import Lifetimes
from watchword.core.session_token import SessionTokens
from watchword.core.throttle import LimitKeys
from watchword.core.user import User
from watchword.events import Event
from watchword.meters import Meter
from watchword.own_store import Moved as Moved
from watchword.own_store import Own as Own
from watchword.rates import Limits, Rate
from watchword.repairs import Repairs as Repairs
from watchword.settings import Mode, TwoFactor
from watchword.stores import Challenges as Challenges
from watchword.stores import Events as Events
from watchword.stores import Factors as Factors
from watchword.stores import Forgotten as Forgotten
from watchword.stores import Issued as Issued
from watchword.stores import Links as Links
from watchword.stores import LoadedChallenge as LoadedChallenge
from watchword.stores import LoadedLink as LoadedLink
from watchword.stores import LoadedSession as LoadedSession
from watchword.stores import Outbox as Outbox
from watchword.stores import Registered as Registered
from watchword.stores import Registrations as Registrations
from watchword.stores import RevocationPage as RevocationPage
from watchword.stores import Store as Store
from watchword.stores import Users as Users

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


MOST_TAKEN = 3
"""Keys that a Limiter takes from at once."""


@runtime_checkable
class Limiter(Protocol):
    """Where the budgets of rate limits are kept (see core.throttle). The clock that decides is the database's or
    Redis's where there is one, so that all hosts share it; `now` is for those that have none."""

    async def take(self, asked: Sequence[tuple[str, Rate]], *, now: int) -> int | None:
        """Take one of each key's budget, `MOST_TAKEN` at most, as one step whatever else happens at once: all of them,
        or none if one is spent. None when taken, else the µs until every one of them has something left.

        Raises Unavailable; nobody knows then whether it was taken.
        """


class Mailer(Protocol):
    """The way to a mail server. One caller at a time."""

    async def send(self, letter: Letter) -> None:
        """Return when the server has taken it over. Raises MailRefused, MailDelayed, MailUnreachable."""

    async def rest(self) -> None:
        """Nothing more for now: let go of what is not worth holding. Never raises."""


class Letters(Protocol):
    """From a kind of message and its payload to what its reader sees."""

    def write(self, mail: Mail, payload: Mapping[str, Any]) -> Letter:
        """Raises MailDelayed when the template is missing or at fault: it may be mended."""

    def load(self) -> None:
        """What `write` would else do the first time, which takes a while; for any thread. Never raises."""


Row = tuple[str, tuple[str, ...], float]
"""The name of a meter, the values of its labels, its value."""


class Counts(Protocol):
    """Where things are counted."""

    def add(self, meter: Meter, *labels: str) -> None:
        """One more. Any thread may call it; never raises."""


class Spans(Protocol):
    """Telling a tracer how long what took, if there is one."""

    on: bool
    """Whether anybody listens: if not, nothing else of this may be called."""

    def span(self, name: str) -> AbstractContextManager[Callable[..., None]]:
        """A span for as long as one is inside, which is given a function to say more by: what it is called after all,
        the code of the refusal that it ended with, if any, whether it `failed`, and attributes. Never personal data."""


@runtime_checkable
class Metered(Protocol):
    """A part that can say how it stands, with no I/O."""

    def measured(self) -> Iterable[tuple[Meter, float]]:
        """Meters without labels, and their values."""


@dataclass(frozen=True, slots=True)
class MailDepth:
    """How many messages are still to be sent, when the oldest of them was queued, how many were given up of late, and
    the clock's instant. Instants in µs."""

    waiting: int
    oldest: int | None
    given_up: int
    now: int


MOST_WAITING, MOST_LATE = 5_000, 2_000
"""Rows that `count_mail` looks at, at most: of those that wait, and of the newest."""


@runtime_checkable
class MailCounts(Protocol):
    """A store that can tell how its outbox stands."""

    async def count_mail(self) -> MailDepth:
        """By a look at so many rows at most. Raises Unavailable, StaleSchemaError."""


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
    session_tokens: SessionTokens
    verifier: Verifier
    revocations: Revocations
    lives: Lifetimes
    modes: Sequence[Mode]
    url: str
    """Where people reach us, as the settings say."""
    codes: Codes
    two_factor: TwoFactor
    emit: EventSink
    counts: Counts
    spans: Spans
    events_written: Callable[[], Awaitable[None]]
    """Returns when the store has what this process emitted so far, so that who did something sees it. Raises
    Unavailable."""
    seals: Seals
    letters: Letters
    limits: Limits
    limit_keys: LimitKeys
    limiter: Limiter
    near_limiter: Limiter
    """In this process: for what may not wait for another machine (see flows.limits). `limiter` itself, if that is."""
    devices: KnownDevices
    max_sessions: int
    """How many live sessions a user may have."""
    mail_arrives: bool
    """Whether there is a way to send it, or somebody reads it where it waits. Else nobody may come to depend on it."""
    mail_queued: Callable[[], None]
    """To be called behind every verb that queued a message: a hint, so that nobody waits for the next look."""
    claims: Claims | None = None
    revoked: Callable[[], None] = lambda: None
    """To be called behind every verb that revoked something: a hint to other processes, who would find it by
    themselves within a second."""
