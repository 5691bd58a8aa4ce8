"""Databases for one run, and who is signed in there: a SQLite file on a disk, and a database of our own on PostgreSQL
if one answers."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from bench.load import USER_AGENT
from watchword import Settings, Watchword
from watchword.core.session import Client
from watchword.core.user import User
from watchword.flows.grant import Grant
from watchword.flows.sign_in import start_session
from watchword.settings import Mode
from watchword.storage.sql.migrate import migrate

DEFAULT_POSTGRES_URL = "postgresql://postgres@127.0.0.1:5432/test"

T = TypeVar("T")
Texts = Mapping[str, str]


@contextmanager
def folder() -> Iterator[Path]:
    """A place for files, where a durable write means a disk: /tmp is memory on many systems, /var/tmp is not."""
    place = Path("/var/tmp")  # as above
    with TemporaryDirectory(prefix="watchword-bench-", dir=place if place.is_dir() else None) as name:
        yield Path(name)


def sqlite(place: Path, **more: str) -> Texts:
    """Settings with a new SQLite database."""
    url = f"sqlite:///{place / secrets.token_hex(4)}.db"
    migrate(url)
    return {"secret": secrets.token_urlsafe(48), "database_url": url, "limits": "off", **more}


@contextmanager
def postgres(**more: str) -> Iterator[tuple[str, Texts] | None]:
    """A name with versions, and settings with a new database on the server of TEST_POSTGRES_URL; None when nothing
    answers there."""
    server = os.environ.get("TEST_POSTGRES_URL", DEFAULT_POSTGRES_URL)
    try:
        connection = psycopg.connect(server, autocommit=True, connect_timeout=3)
    except psycopg.OperationalError:
        yield None
        return
    name = f"watchword_bench_{secrets.token_hex(4)}"
    with connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            url = urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
            migrate(url)
            major, minor = divmod(connection.info.server_version, 10_000)
            texts = {"secret": secrets.token_urlsafe(48), "database_url": url, "limits": "off", **more}
            yield f"PostgreSQL {major}.{minor}, psycopg {psycopg.__version__}", texts
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def within(texts: Texts, work: Callable[[Watchword], Awaitable[T]]) -> T:
    """Do something with a Watchword of these settings that serves nobody."""

    async def run() -> T:
        auth = Watchword(Settings.parse(texts))
        try:
            return await work(auth)
        finally:
            await auth.aclose()

    return asyncio.run(run())


async def sign_in(auth: Watchword, user: User, *, mode: Mode = Mode.COOKIES) -> Grant:
    """A session as POST /login makes it, without the password."""
    client = Client(ip="127.0.0.1", user_agent=USER_AGENT)
    now = auth.world.clock.now()
    grant = await start_session(
        auth.world, user, read_at=now, amr=("pwd",), client=client, mode=mode, replaces=None
    )
    assert grant is not None, "a user made a moment ago is active"
    return grant
