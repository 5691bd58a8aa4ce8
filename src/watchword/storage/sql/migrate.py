"""Making and upgrading the tables: Alembic, driven from here, so that it needs no configuration file and no env.py.

Safe to run twice, at once from several machines, and beside running servers. Servers never come here: they compare
`migrations.HEAD` with what the database says (`SqlStore.check`). The steps themselves are in `migrations/versions`.
"""

from __future__ import annotations

import io
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from watchword.errors import StaleSchemaError, Unavailable
from watchword.storage.sql.migrations import HEAD
from watchword.storage.sql.tables import ww_schema_version
from watchword.storage.sql.urls import DatabaseUrl, parse

_LOCK = 0x7761746368776F72
"""The key of the advisory lock that one migration at a time holds (the first letters of our name)."""
_WAIT_SECONDS = 60


def migrate(url: str) -> list[str]:
    """Bring the tables up to `HEAD`, all steps in one transaction; returns those that were needed.

    Raises SettingsError, StaleSchemaError (the database is newer than this code) and Unavailable.
    """
    applied: list[str] = []
    with _transaction(parse(url)) as connection:
        found = _revision(connection)
        if found is not None and found > HEAD:
            raise StaleSchemaError(
                f"The database was migrated by a newer Watchword (revision {found}): upgrade."
            )
        _upgrade(
            connection=connection,
            on_version_apply=lambda *, step, **_: applied.append(step.up_revision_id),
        )
    return applied


def sql(url: str, *, since: str | None = None) -> str:
    """What `migrate` would run, as text, on an empty database or on one of the revision `since`. Connects nowhere."""
    output = io.StringIO()
    dialect = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg"}[parse(url).kind]
    _upgrade(
        since=since,
        dialect_name=dialect,
        as_sql=True,
        output_buffer=output,
        transactional_ddl=True,  # SQLite's is as well; Alembic does not presume so
    )
    return output.getvalue()


def current(url: str) -> str | None:
    """The database's revision; None when it has no tables yet. Raises SettingsError, Unavailable."""
    database = parse(url)
    if database.kind == "sqlite" and not database.path.exists():
        return None
    with _reported(), _engine(database).connect() as connection:
        return _revision(connection)


def _upgrade(*, since: str | None = None, as_sql: bool = False, **options: Any) -> None:
    scripts = ScriptDirectory(str(Path(__file__).parent / "migrations"))

    def steps(revision: Any, context: MigrationContext) -> Iterable[Any]:
        return scripts._upgrade_revs(HEAD, revision)

    with EnvironmentContext(Config(), scripts, fn=steps, as_sql=as_sql, starting_rev=since) as environment:
        environment.configure(version_table=ww_schema_version.name, **options)
        with environment.begin_transaction():
            environment.run_migrations()


def _revision(connection: Connection) -> str | None:
    options = {"version_table": ww_schema_version.name}
    return MigrationContext.configure(connection, opts=options).get_current_revision()


@contextmanager
def _transaction(database: DatabaseUrl) -> Iterator[Connection]:
    """A transaction in which nobody else migrates."""
    if database.kind == "sqlite":
        _make_private(database.path)
    with _reported(), _engine(database).begin() as connection:
        if database.kind == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
            # A change that waits for a table makes everybody behind it wait: rather give up and be run again.
            connection.execute(text("SET LOCAL lock_timeout = '1s'"))
        yield connection


@contextmanager
def _reported() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        raise Unavailable(f"The database refused: {error.orig}") from error


def _make_private(path: Path) -> None:
    """The file holds digests of passwords: it is made for its owner's eyes. SQLite's other files take its mode over."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise Unavailable(f"The database file cannot be made: {error}") from error


def _engine(database: DatabaseUrl) -> Engine:
    if database.kind == "sqlite":

        def connect() -> Any:
            return sqlite3.connect(database.path, isolation_level=None, timeout=_WAIT_SECONDS)

        return create_engine("sqlite://", creator=connect, poolclass=NullPool)
    from watchword.storage.sql.postgres import connect_once

    return create_engine(
        "postgresql+psycopg://", creator=lambda: connect_once(database.target), poolclass=NullPool
    )
