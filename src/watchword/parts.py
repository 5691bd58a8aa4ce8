"""Which implementation each port gets, from the settings; `auth` puts them together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from watchword import meters
from watchword.core.keys import KeyRing, Purpose
from watchword.core.record import NAMES
from watchword.core.rotation import Kind
from watchword.core.user import User
from watchword.drivers.feed import DataVersionHints, Hints
from watchword.drivers.journal import Journal
from watchword.drivers.letters import TemplateLetters
from watchword.drivers.outage import Outage
from watchword.drivers.recorder import Recorder
from watchword.drivers.tally import Tally
from watchword.errors import registry
from watchword.http.site import Site
from watchword.ports import Claims, Clock, Counts, EventSink, Letters, Limiter, Mailer, Store
from watchword.rates import DEFAULTS
from watchword.settings import Settings
from watchword.storage.memory_limiter import MemoryLimiter

if TYPE_CHECKING:
    from fastapi import APIRouter

    from watchword.storage.redis_hints import RedisHints


def with_fields(names: Sequence[str], claims: Claims | None) -> Claims | None:
    """The app's own claims, and the fields of a user that the settings name."""
    if not names:
        return claims

    def all_of(user: User) -> Mapping[str, Any]:
        return {name: getattr(user, name) for name in names} | dict(claims(user) if claims else {})

    return all_of


def open_store(settings: Settings, clock: Clock) -> Store:
    """A database or, for `memory:`, this process's own. Raises SettingsError."""
    if settings.database_url.startswith("memory:"):
        from watchword.storage.memory import MemoryStore

        return MemoryStore(clock)
    from watchword.storage.sql import open_store as open_sql_store

    return open_sql_store(settings.database_url, clock, synchronous=settings.synchronous)


def recorder_of(
    settings: Settings, store: Store, clock: Clock, sink: EventSink | None, counts: Counts
) -> Recorder:
    """Events go to the log and the table, to `sink` and, if it is set, to `events_file`."""
    journal = Journal(settings.events_file) if settings.events_file else None
    return Recorder(store, clock, journal=journal, sink=sink, counts=counts)


def limiter_of(settings: Settings, store: Store, emit: EventSink, clock: Clock) -> Limiter:
    """Redis if there is one and while it answers, else what all processes share anyway: the database. A store that is
    none is this process's own."""
    shared = store if isinstance(store, Limiter) else MemoryLimiter()
    if settings.redis_url:
        from watchword.storage.redis import RedisLimiter
        from watchword.storage.standby_limiter import StandbyLimiter

        outage = Outage(emit, clock, "redis")
        first = RedisLimiter(settings.redis_url)
        return StandbyLimiter(first, shared, begins=outage.begins, ends=outage.ends)
    return shared


def redis_hints_of(settings: Settings, ring: KeyRing) -> RedisHints | None:
    """For processes of the same secrets: other installations over the same Redis neither wake us nor we them."""
    if not settings.redis_url:
        return None
    from watchword.storage.redis_hints import RedisHints

    return RedisHints(settings.redis_url, [root.kid(Purpose.HINT) for root in ring])


def hints_of(store: Store, redis: RedisHints | None) -> list[Hints]:
    """What tells the feed early that something was revoked: all there is."""
    hints: list[Hints] = [] if redis is None else [redis]
    if (data_version := getattr(store, "data_version", None)) is not None:
        hints.append(DataVersionHints(data_version))
    if (conninfo := getattr(store, "conninfo", None)) is not None:
        from watchword.storage.sql.postgres_hints import PostgresHints

        hints.append(PostgresHints(conninfo))
    return hints


def letters_of(settings: Settings, own: Path | None) -> Letters:
    """The app's templates first, then each feature's, which stand in its folder."""
    features = sorted(Path(__file__).parent.glob("features/*/mail"))
    return TemplateLetters(settings, [*([own] if own else []), *features])


def mailer_of(settings: Settings) -> Mailer | None:
    """None without `smtp_url`: mail waits then."""
    if not settings.smtp_url:
        return None
    from watchword.drivers.mailer import SmtpMailer

    return SmtpMailer(settings)


def tally() -> Tally:
    """One that knows the words that it may be asked to count."""
    return Tally(
        [
            *((meters.REFRESHES, kind.value) for kind in Kind),
            *((meters.FAILURES, problem.code) for problem in registry()),
            *((meters.EVENTS, name) for name in sorted(NAMES)),
            *((meters.FEED_LOOKS, outcome) for outcome in ("done", "failed")),
            *((meters.LIMITED, name) for name in DEFAULTS),
        ]
    )


def routers_of(site: Site, more: Sequence[Callable[[Site], APIRouter]]) -> list[APIRouter]:
    """Those of our features, and `more`. Imported here: what mounts no routes needs no framework."""
    from watchword.features.account import routes as account
    from watchword.features.client import routes as client
    from watchword.features.email_code import routes as email_code
    from watchword.features.email_verification import routes as email_verification
    from watchword.features.events import routes as events
    from watchword.features.password import routes as password
    from watchword.features.registration import routes as registration
    from watchword.features.revocations import routes as revocations
    from watchword.features.service import routes as service
    from watchword.features.sessions import routes as sessions

    features = [
        sessions,
        password,
        email_code,
        registration,
        email_verification,
        account,
        events,
        service,
        client,
        revocations,
    ]
    if site.settings.pages:
        from watchword.pages import routes as pages

        features.append(pages)
    return [make(site) for make in (*(feature.router for feature in features), *more)]


def micros(span: timedelta) -> int:
    """A span in µs."""
    return span // timedelta(microseconds=1)
