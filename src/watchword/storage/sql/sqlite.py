"""The store on SQLite: the standard library's driver in two threads, one that writes and one that reads.

How a text is run, what makes it durable and which errors mean "not now" is decided here; the texts are `statements`.
SQLite allows one writer at a time and makes each commit wait for the disk, so the writing thread commits all waiting
scripts together and that wait is paid once a batch. Readers never wait for writers (WAL).
"""

from __future__ import annotations

import os
import random
import sqlite3
import time
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

from sqlalchemy.dialects import sqlite

from watchword.errors import AlreadyExists, SettingsError, StaleSchemaError, StillReferenced, Unavailable
from watchword.meters import WRITER_BATCHES, WRITER_WAITING, WRITER_WRITES, Meter
from watchword.ports import Clock
from watchword.settings import Synchronous
from watchword.storage.sql.batches import BatchThread
from watchword.storage.sql.rows import Parameters, Row
from watchword.storage.sql.statements import Script, Statements, compose
from watchword.storage.sql.verbs import STALE, SqlStore

_SYNCHRONOUS = {
    Synchronous.FULL: "PRAGMA synchronous=FULL",
    Synchronous.NORMAL: "PRAGMA synchronous=NORMAL",
}
_MOST_WRITES = 256
_MOST_READS = 64
# Faults of a statement or its values, not of the database: the asker's, and nobody else's in the batch.
_FAULTS_OF_THE_JOB = {
    sqlite3.SQLITE_ERROR,
    sqlite3.SQLITE_CONSTRAINT,
    sqlite3.SQLITE_MISMATCH,
    sqlite3.SQLITE_MISUSE,
    sqlite3.SQLITE_RANGE,
    sqlite3.SQLITE_TOOBIG,
}
# SQLite has no code of its own for these.
_STALE = ("no such table", "no such column", "table ")


@cache
def _statements() -> Statements:
    """Once a process, however many stores it opens: compiling is most of the work of making one."""
    return compose(sqlite.dialect(paramstyle="named"))


class SqliteStore(SqlStore):
    """Implements `ports.Store` on the database file at `path`, which `migrate` has made.

    `Synchronous.NORMAL` survives a crash of the process but may lose the last commits with the power. A writer waits
    `patience` seconds at most for another process's transaction.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        clock: Clock,
        *,
        synchronous: Synchronous = Synchronous.FULL,
        patience: float = 5.0,
    ) -> None:
        if os.fspath(path) in ("", ":memory:"):
            raise SettingsError("SQLite in memory is not supported: name a file, or use the memory store.")
        if sqlite3.sqlite_version_info < (3, 35):
            raise SettingsError(
                f"Python's SQLite is {sqlite3.sqlite_version}: Watchword needs 3.35 (RETURNING)."
            )
        super().__init__(_statements())
        self._path = Path(path).absolute()
        self._clock, self._synchronous, self._patience = clock, _SYNCHRONOUS[synchronous], patience
        self._before = 0, 0
        self._start()

    def __repr__(self) -> str:
        return f"SqliteStore({str(self._path)!r})"

    async def open(self) -> None:
        if self._closed:
            batches, jobs = self._before  # what only grows goes on where it was
            self._before = batches + self._writer.batches, jobs + self._writer.jobs
            self._start()
        await self.data_version()

    async def close(self) -> None:
        self._closed = True
        await self._writer.close()
        await self._reader.close()

    def _start(self) -> None:
        writer = _Writer(self._path, self._clock, self._synchronous, self._patience)
        reader = _Reader(self._path, self._clock, self._patience)
        self._writer = BatchThread("watchword-sqlite-writer", writer.serve, writer.stop, most=_MOST_WRITES)
        self._reader = BatchThread("watchword-sqlite-reader", reader.serve, reader.stop, most=_MOST_READS)
        self._closed = False

    def measured(self) -> Iterable[tuple[Meter, float]]:
        """As `ports.Metered`."""
        yield WRITER_WAITING, self._writer.waiting
        yield WRITER_BATCHES, self._before[0] + self._writer.batches
        yield WRITER_WRITES, self._before[1] + self._writer.jobs

    async def data_version(self) -> int:
        """A number that changes whenever this file was written, by this process or another. Costs no I/O."""
        [[version]] = await self._reader.ask(("PRAGMA data_version", {}))
        return int(version)

    async def _read(self, statement: str, parameters: Parameters) -> Sequence[Row]:
        return await self._reader.ask((statement, parameters))

    async def _write(self, script: Script, parameters: Parameters) -> Sequence[Sequence[Row]]:
        return await self._writer.ask((script, parameters))


class _Connected:
    """A connection that is made when it is needed and thrown away when the database failed on it."""

    def __init__(self, path: Path, clock: Clock, *settings: str, busy_timeout: float) -> None:
        self._path = path
        self._clock = clock
        self._settings = settings
        self._busy_timeout = busy_timeout
        self._connection: sqlite3.Connection | None = None

    def connection(self) -> sqlite3.Connection:
        if self._connection is None:
            if not self._path.exists():
                raise StaleSchemaError(f"There is no database at {self._path}: it needs `watchword migrate`.")
            # Never made here: an empty file in a place mistyped would be a database without users.
            connection = sqlite3.connect(
                f"{self._path.as_uri()}?mode=rw", uri=True, isolation_level=None, timeout=self._busy_timeout
            )
            try:
                connection.create_function("ww_now", 0, self._clock.now)
                for setting in self._settings:
                    connection.execute(setting)
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def stop(self) -> None:
        """Close, and so undo whatever was not committed."""
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except sqlite3.Error:
                pass  # the database has failed; there is nothing left to let go of


class _Reader(_Connected):
    """What the reading thread does."""

    def __init__(self, path: Path, clock: Clock, patience: float) -> None:
        super().__init__(path, clock, "PRAGMA query_only=ON", busy_timeout=patience)

    def serve(self, jobs: Sequence[tuple[str, Parameters]], asked_at: float) -> list[list[Row] | Exception]:
        return [self._rows(statement, parameters) for statement, parameters in jobs]

    def _rows(self, statement: str, parameters: Parameters) -> list[Row] | Exception:
        try:
            return self.connection().execute(statement, parameters).fetchall()
        except Exception as error:  # noqa: BLE001 - whatever it is, the asker shall see it
            if _is_outage(error):
                self.stop()
            return _told(error)


class _Writer(_Connected):
    """What the writing thread does: a batch of scripts in one transaction."""

    def __init__(self, path: Path, clock: Clock, synchronous: str, patience: float) -> None:
        settings = ("PRAGMA journal_mode=WAL", synchronous, "PRAGMA foreign_keys=ON")
        super().__init__(path, clock, *settings, busy_timeout=0)
        self._patience = patience

    def serve(
        self, jobs: Sequence[tuple[Script, Parameters]], asked_at: float
    ) -> list[list[list[Row]] | Exception]:
        """One outcome a script, told when all of them are on the disk: a failed commit fails every one of them."""
        try:
            connection = self._begin(asked_at + self._patience)
            outcomes = [_run(connection, script, parameters) for script, parameters in jobs]
            connection.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - whatever it is, the askers shall see it
            self.stop()
            return [_told(error) for _ in jobs]
        return outcomes

    def _begin(self, deadline: float) -> sqlite3.Connection:
        """Take the file's write lock. Another process may hold it, for milliseconds as a rule.

        SQLite's own way of waiting sleeps longer and longer, up to 100 ms, and starves beside a busy process.
        """
        while True:
            try:
                connection = self.connection()
                connection.execute("BEGIN IMMEDIATE")
                return connection
            except sqlite3.OperationalError as error:
                if _code(error) != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                    raise
            time.sleep(random.uniform(0.0001, 0.0006))  # noqa: S311 - so that two who wait do not keep step


def _run(
    connection: sqlite3.Connection, script: Script, parameters: Parameters
) -> list[list[Row]] | Exception:
    """Run one script of a batch. If it is at fault itself it alone is undone, and its error is its outcome.

    A single statement is undone by SQLite; several need a savepoint for that.
    """
    several = len(script) > 1
    try:
        if several:
            connection.execute("SAVEPOINT script")
        results: list[list[Row]] = []
        for statement in script:
            results.append(connection.execute(statement, parameters).fetchall())
            if not results[0]:
                break
        if several:
            connection.execute("RELEASE script")
        return results
    except Exception as error:
        if _is_outage(error) or not connection.in_transaction:
            raise
        if several:
            connection.execute("ROLLBACK TO script")
            connection.execute("RELEASE script")
        return _told(error)


def _code(error: sqlite3.Error) -> int | None:
    """SQLite's primary result code; None for what the driver itself refused."""
    extended: int | None = getattr(error, "sqlite_errorcode", None)
    return None if extended is None else extended & 0xFF


def _is_outage(error: Exception) -> bool:
    """Locked, full, unreadable, gone: whatever says more about the database than about the statement."""
    return isinstance(error, sqlite3.Error) and _code(error) not in {None, *_FAULTS_OF_THE_JOB}


def _told(error: Exception) -> Exception:
    """What an asker is told. Unavailable is a new object each time, as each asker's traceback is hung on it."""
    told: Exception
    if _is_outage(error):
        told = Unavailable(retry_after=1)
    elif getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_CONSTRAINT_UNIQUE:
        told = AlreadyExists()
    elif getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
        told = StillReferenced()
    elif isinstance(error, sqlite3.OperationalError) and str(error).startswith(_STALE):
        told = StaleSchemaError(STALE)
    else:
        return error
    told.__cause__ = error
    return told
