"""Rows to store, complete and each different from the next; and databases to store them in."""

import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from tests.needs import postgres_url
from watchword.core import session as sessions
from watchword.core.challenge import Challenge, Kind
from watchword.core.factor import Factor, Method
from watchword.core.mail import Mail
from watchword.core.record import Recorded
from watchword.core.rotation import Lineage
from watchword.core.session import Client, Lifetimes, Session
from watchword.core.user import Status, User
from watchword.core.uuid7 import following, uuid7
from watchword.drivers.clock import SystemClock
from watchword.events import SIGNED_IN, Event
from watchword.ports import Store
from watchword.settings import Mode

SECOND = 1_000_000
DAY = 86_400 * SECOND
DIGEST = "$argon2id$one"
LIVES = Lifetimes(access=900 * SECOND, idle=7 * DAY, whole=30 * DAY, window=20 * SECOND)
OLDER = (
    "UPDATE ww_challenge SET created_at = created_at - ({micros}), sent_at = sent_at - ({micros}), "
    "expires_at = expires_at - ({micros}) WHERE id = '{id}'"
)
"""Moves a challenge back in time."""
CLIENT = Client("192.0.2.7", "Mozilla/5.0 “Ünïcødé” 🦊")


def new_user(**changes: Any) -> User:
    now = SystemClock().now()
    name = secrets.token_hex(8)
    user = User(
        id=uuid7(now, secrets.token_bytes(10)),
        email=f"{name}@example.org",
        email_verified=True,
        username=name,
        digest=DIGEST,
        status=Status.ACTIVE,
        roles=("editor", "owner"),
        tokens_from=0,
        created_at=now,
    )
    return replace(user, **changes)


def new_session(user: User, **changes: Any) -> Session:
    now = SystemClock().now()
    session = sessions.start(
        sid=uuid7(now, secrets.token_bytes(10)),
        seed=secrets.token_bytes(32),
        user_id=user.id,
        mode=Mode.HYBRID,
        amr=("pwd", "otp"),
        client=CLIENT,
        now=now,
        lives=LIVES,
    )
    return replace(session, **changes)


def rotated(session: Session, **changes: Any) -> Session:
    """The session after one more rotation, with everything changed that a rotation may change."""
    now = SystemClock().now()
    before = session.lineage
    lineage = Lineage(
        parent=before.newest,
        floor=before.newest,
        newest=before.newest + 1,
        before=before.parent,
        minted_at=now,
        rotated_at=now - 1,
        context=secrets.token_hex(16),
        crossings=2,
        crossed=before.newest,
    )
    after = replace(
        session,
        lineage=lineage,
        auth_time=now - 2,
        amr=("pwd", "otp", "hwk"),
        idle_until=session.idle_until + 3,
        last_used_at=now - 4,
        ip="2001:db8::1",
        user_agent="curl/8",
    )
    return replace(after, **changes)


async def stored_user(store: Store, **changes: Any) -> User:
    user = new_user(**changes)
    await store.create_user(user)
    return user


async def stored_session(store: Store, user: User, **changes: Any) -> Session:
    session = new_session(user, **changes)
    assert await store.insert_session(session, digest=user.digest, replaces=None) == []
    return session


def new_challenge(user: User, **changes: Any) -> Challenge:
    now = SystemClock().now()
    challenge = Challenge(
        id=uuid7(now, secrets.token_bytes(10)),
        kind=Kind.LOGIN,
        user_id=user.id,
        digest=secrets.token_bytes(32),
        code=secrets.token_bytes(35),
        payload={"mode": "cookies", "amr": ["pwd"], "ünïcødé": [1, None]},
        created_at=now,
        sent_at=now,
        expires_at=now + 600 * SECOND,
    )
    return replace(challenge, **changes)


async def issued(store: Store, user: User, **changes: Any) -> Challenge:
    """A challenge that is there; its instants are the store's own."""
    challenge = new_challenge(user, **changes)
    told = await store.issue_challenge(challenge, new_mail(), digest=user.digest)
    assert told is not None
    assert told.done
    return challenge


def new_factor(user: User, **changes: Any) -> Factor:
    now = SystemClock().now()
    return replace(Factor(uuid7(now, secrets.token_bytes(10)), user.id, Method.EMAIL, now), **changes)


def new_mail(**changes: Any) -> Mail:
    now = SystemClock().now()
    mail = Mail(
        id=uuid7(now, secrets.token_bytes(10)),
        to="ada@bücher.example",
        kind="test",
        sealed=secrets.token_bytes(40) + b"\x00'",
        created_at=now,
        expires_at=now + DAY,
    )
    return replace(mail, **changes)


_last = "00000000-0000-7000-8000-000000000000"


def new_recorded(user_id: str | None, **changes: Any) -> Recorded:
    """An event whose id is behind those of all before it."""
    global _last
    now = SystemClock().now()
    _last = max(uuid7(now, secrets.token_bytes(10)), following(_last, secrets.token_bytes(4)))
    event = Event(SIGNED_IN, now, user_id, "a sid", "2001:db8::1", "pwd “Ünïcødé” 🦊 '$[0]' %s", by="cli")
    return Recorded(_last, replace(event, **changes))


async def queued_mail(store: Store, **changes: Any) -> Mail:
    mail = new_mail(**changes)
    await store.queue_mail(mail)
    return mail


async def now_of(store: Store) -> int:
    """The clock that dates revocations."""
    return (await store.read_revocations(since=0)).now


async def revoked_sids(store: Store, since: int = 0) -> set[str]:
    return {row.sid for row in (await store.read_revocations(since=since)).ended}


@contextmanager
def fresh_database() -> Iterator[str]:
    """The URL of an empty PostgreSQL database that is dropped afterwards."""
    server = postgres_url()
    name = f"ww_test_{secrets.token_hex(6)}"
    quoted = sql.Identifier(name)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(quoted))
        try:
            yield _url(server, name)
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(quoted))


@contextmanager
def raw(path: Path) -> Iterator[sqlite3.Connection]:
    """Ask SQLite past the store."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        yield connection
    finally:
        connection.close()


def _url(server: str, name: str) -> str:
    known = conninfo_to_dict(server) | {"dbname": name}
    return "postgresql:///?" + "&".join(f"{key}={value}" for key, value in known.items())


def query(url: str, statement: str, *parameters: object) -> Sequence[tuple[Any, ...]]:
    """Ask PostgreSQL past the store."""
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode(), parameters)
        return cursor.fetchall() if cursor.description else []
