"""Stores over SQL: the tables, the statements and the two databases that run them. No rule about sessions lives here.

`tables` says what is stored, `statements` composes every text from it, `rows` turns rows into records, `verbs` are
the Store port over "read" and "run a script"; `sqlite` and `postgres` run texts; `migrations` and `migrate` make the
tables.
Nothing in here is imported before a store is opened: SQLAlchemy takes a fifth of a second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from watchword.ports import Clock
from watchword.settings import Synchronous
from watchword.storage.sql.urls import parse

if TYPE_CHECKING:
    from watchword.storage.sql.verbs import SqlStore


def open_store(
    url: str,
    clock: Clock,
    *,
    synchronous: Synchronous = Synchronous.FULL,
    pool_size: int = 10,
    prepare: bool = True,
) -> SqlStore:
    """The store of a database URL, not connected yet. Raises SettingsError.

    `clock` and `synchronous` matter to SQLite alone, `pool_size` and `prepare` to PostgreSQL alone, whose own clock
    decides.
    """
    database = parse(url)
    if database.kind == "sqlite":
        from watchword.storage.sql.sqlite import SqliteStore

        return SqliteStore(database.path, clock, synchronous=synchronous)
    from watchword.storage.sql.postgres import PostgresStore

    return PostgresStore(url, pool_size=pool_size, prepare=prepare)
