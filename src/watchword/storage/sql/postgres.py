"""The store on PostgreSQL: psycopg 3 and its pool, on connections in autocommit.

How a text is run, how long it may take and which errors mean "not now" is decided here; the texts are `statements`.
A script of one statement is a transaction by itself and costs one round trip; a refresh is two such trips.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from watchword.errors import AlreadyExists, SettingsError, StaleSchemaError, StillReferenced, Unavailable
from watchword.meters import POOL_SIZE, POOL_WAITING, Meter
from watchword.storage.sql.rows import Parameters, Row
from watchword.storage.sql.statements import Script, Statements, compose
from watchword.storage.sql.urls import parse
from watchword.storage.sql.verbs import STALE, SqlStore

try:
    import psycopg
    from psycopg.conninfo import conninfo_to_dict, make_conninfo
    from psycopg_pool import AsyncConnectionPool
except ImportError as error:
    raise SettingsError("PostgreSQL needs its driver: pip install 'watchword[postgres]'.") from error

Connection = psycopg.AsyncConnection[tuple[Any, ...]]

_DEFAULTS: dict[str, Any] = {
    "application_name": "watchword",
    "connect_timeout": 5,
    # Of several hosts in a URL, the one that takes writes. A replica lags: it would not know a session that has just
    # begun, nor the newest generation of a token (SECURITY-TARGET F6).
    "target_session_attrs": "primary",
    # A peer that vanished without a word: the kernel gives up after 10 s of silence instead of a quarter of an hour.
    "tcp_user_timeout": 10_000,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 2,
}

# Followers of revocations read back over 30 s (flows.follow), so no transaction may end later than that after it took
# its instant, even if this process is stopped in the middle of one: the server ends it then.
_LIMITS = "SET LOCAL statement_timeout = '2s'; SET LOCAL idle_in_transaction_session_timeout = '2s'"

# A thousand refreshes at once are answered (F13); far more than that would wait for longer than anybody's patience.
_WAITING_PER_CONNECTION = 100


_PARTING = 0.5
"""Seconds that the server has to stop what took too long, before the connection is taken to be none."""


@cache
def _statements() -> Statements:
    """Once a process, however many stores it opens: compiling is most of the work of making one."""
    return compose(PGDialect_psycopg())  # type: ignore[no-untyped-call]


class PostgresStore(SqlStore):
    """Implements `ports.Store` on the PostgreSQL database at `url`, which `migrate` has prepared.

    Statements are prepared, unless `prepare` is False or a pooler is on the way. A verb waits `patience` seconds at
    most for a connection, and as long for its answer. Beside the `pool_size` connections there is one for reading
    revocations. Belongs to the event loop it is used in first.
    """

    def __init__(self, url: str, *, pool_size: int = 10, prepare: bool = True, patience: float = 5.0) -> None:
        super().__init__(_statements())
        self._conninfo = _conninfo(parse(url).target)
        self._shown = _address(self._conninfo)
        self._patience = patience
        self._size = pool_size
        self._prepare = prepare
        self._pool, self._aside = self._new_pools()
        self._closed = False

    def __repr__(self) -> str:
        return f"PostgresStore({self._shown!r})"

    async def open(self) -> None:
        if self._closed:
            (self._pool, self._aside), self._closed = self._new_pools(), False
        with _translated():
            await _opened(self._pool)

    async def close(self) -> None:
        self._closed = True
        await self._pool.close()
        await self._aside.close()

    @property
    def conninfo(self) -> str:
        """What libpq connects with, the password included: for a connection beside the pool."""
        return self._conninfo

    def measured(self) -> Iterable[tuple[Meter, float]]:
        """As `ports.Metered`."""
        known = self._pool.get_stats()
        yield POOL_SIZE, known.get("pool_size", 0)
        yield POOL_WAITING, known.get("requests_waiting", 0)

    async def _read(self, statement: str, parameters: Parameters) -> Sequence[Row]:
        """Tried again on another connection when one proves to be broken: after a restart of the server all that wait
        in the pool are."""
        follows = statement is self._statements.read_revocations
        with _translated():
            pool = await _opened(self._aside if follows else self._pool)
            loop = asyncio.get_running_loop()
            deadline = loop.time() + self._patience
            for left in range(self._size, -1, -1):
                connection = await pool.getconn()
                try:
                    with _at_last(connection, self._patience):
                        return await _rows(connection, statement, parameters)
                except psycopg.OperationalError:
                    if not connection.broken or not left or loop.time() >= deadline:
                        raise
                finally:
                    await pool.putconn(connection)
        raise AssertionError("the loop returns or raises")

    async def _write(self, script: Script, parameters: Parameters) -> Sequence[Sequence[Row]]:
        """Never tried again: it may have been committed before the answer was lost. Each verb can be asked again by
        its caller, who then reads what became of it."""
        with _translated():
            pool = await _opened(self._pool)
            connection = await pool.getconn()
            try:
                # Asked to stop first: something that waits for a lock must not happen later.
                with _at_last(connection, self._patience + _PARTING):
                    async with asyncio.timeout(self._patience):
                        if len(script) == 1:
                            return [await _rows(connection, script[0], parameters)]
                        return await _transaction(connection, script, parameters)
            finally:
                await pool.putconn(connection)

    def _new_pools(self) -> tuple[AsyncConnectionPool[Connection], AsyncConnectionPool[Connection]]:
        """And a connection aside, by which revocations are read: if they had to wait behind everybody else, guards
        would take this process for one that is cut off, and refuse whoever is signed in (SECURITY-TARGET F11)."""
        return self._new_pool(self._size), self._new_pool(1, "watchword-revocations")

    def _new_pool(self, size: int, name: str = "watchword") -> AsyncConnectionPool[Connection]:
        return AsyncConnectionPool(
            self._conninfo,
            kwargs={"autocommit": True, "prepare_threshold": 1 if self._prepare else None},
            min_size=1,
            max_size=size,
            max_waiting=size * _WAITING_PER_CONNECTION,
            timeout=self._patience,
            # The pool tries after 0, 1, 3 and 5 s and then leaves it to the next request to begin again; with more time
            # its pauses would grow to minutes, and it would be down long after the database is up.
            reconnect_timeout=self._patience,
            reset=None,
            configure=_suited,
            open=False,
            name=name,
        )


async def _opened(pool: AsyncConnectionPool[Connection]) -> AsyncConnectionPool[Connection]:
    if pool.closed:
        await pool.open()
    return pool


async def _suited(connection: Connection) -> None:
    """Prepare nothing where a pooler may hand this connection's statements to another client, who has others of the
    same names: at best they are refused, at worst the wrong one is run."""
    if connection.prepare_threshold is not None and await behind_pooler(connection):
        connection.prepare_threshold = None


async def behind_pooler(connection: Connection) -> bool:
    """Whether whoever answers is another than the one who was told of when the connection was made."""
    cursor = await connection.execute("SELECT pg_backend_pid()", prepare=False)
    return await cursor.fetchone() != (connection.info.backend_pid,)


def hang_up(connection: Connection) -> None:
    """End a connection at once, so that who waits for its answer is told that there is none. The driver's own way, to
    ask the server politely, takes ten seconds if there is nobody at the other end."""
    try:
        with socket.socket(fileno=os.dup(connection.pgconn.socket)) as line:
            line.shutdown(socket.SHUT_RDWR)
    except (OSError, psycopg.Error):
        pass  # it is none already


@contextmanager
def _at_last(connection: Connection, seconds: float) -> Iterator[None]:
    """Hang up on a connection that has not answered after so long."""
    late = asyncio.get_running_loop().call_later(seconds, hang_up, connection)
    try:
        yield
    finally:
        late.cancel()


async def _rows(connection: Connection, statement: str, parameters: Parameters) -> list[Row]:
    cursor = await connection.execute(statement.encode(), parameters)
    return list(await cursor.fetchall())


async def _transaction(connection: Connection, script: Script, parameters: Parameters) -> list[list[Row]]:
    results: list[list[Row]] = []
    async with connection.transaction():
        await connection.execute(_LIMITS)
        for statement in script:
            results.append(await _rows(connection, statement, parameters))
            if not results[0]:
                break
    return results


@contextmanager
def _translated() -> Iterator[None]:
    """Whatever says more about the database than about the statement is "not now"; its cause goes to the log, not to
    a client. What a unique index refuses has become somebody's since a condition was read; what a
    foreign key refuses is an end, as we write for nobody whom we have not locked."""
    try:
        yield
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn) as error:
        raise StaleSchemaError(STALE) from error
    except psycopg.errors.UniqueViolation as error:
        raise AlreadyExists from error
    except psycopg.errors.ForeignKeyViolation as error:
        raise StillReferenced from error
    except (psycopg.OperationalError, psycopg.InterfaceError, psycopg.InternalError, TimeoutError) as error:
        raise Unavailable(retry_after=1) from error


def connect_once(url: str) -> psycopg.Connection:
    """A connection of its own for work that is no verb, in the usual transactions. Raises SettingsError."""
    return psycopg.connect(_conninfo(url), prepare_threshold=None)


def _conninfo(url: str) -> str:
    """What libpq connects with: the URL, and our defaults where it is silent."""
    try:
        known = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        # Not chained: libpq repeats the part of the URL that it stumbled over, and that may be of the password.
        raise SettingsError(
            "The database URL is not one that PostgreSQL's library reads: percent-encode special characters."
        ) from None
    return make_conninfo(**(_DEFAULTS | known))


def _address(conninfo: str) -> str:
    """What of it may be shown."""
    known = conninfo_to_dict(conninfo)
    return f"{known.get('host', 'local socket')}:{known.get('port', 5432)}/{known.get('dbname', '')}"
