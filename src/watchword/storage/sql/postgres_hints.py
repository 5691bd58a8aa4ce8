"""Hints by PostgreSQL: one connection that listens for what transactions notify when they revoke something.

The notification is part of such a transaction (`clauses.Hint`), so it comes when what it tells of can be read, whoever
wrote it, the command line included. Through a pooler that hands connections on after each transaction none arrives,
and revocations are known at the next poll.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable

import psycopg

from watchword.storage.sql.clauses import CHANNEL
from watchword.storage.sql.postgres import Connection, behind_pooler, hang_up

PROBE_SECONDS = 10.0
"""After so long without a word the connection is asked whether it still is one: a firewall that forgot it says
nothing."""
ANSWER_SECONDS = 3.0
PAUSES = (0.1, 0.5, 1.0, 2.0, 5.0)
"""Seconds before the next try to connect, the last for all further ones."""

log = logging.getLogger("watchword.feed")


class PostgresHints:
    """Implements `drivers.feed.Hints` on the database that `conninfo` tells libpq of."""

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo

    def __repr__(self) -> str:
        return "PostgresHints()"  # libpq's text may hold a password

    async def listen(self, ring: Callable[[], None]) -> None:
        failed, told = 0, False
        while True:
            try:
                connection = await _connect(self._conninfo)
                try:
                    if not told and await behind_pooler(connection):
                        told = True
                        log.warning("a pooler is on the way to the database: it may let no hints through")
                    await _ask(connection, f"LISTEN {CHANNEL}")
                    ring()  # for what was notified while nobody listened
                    failed = 0
                    await _heard(connection, ring)
                finally:
                    hang_up(connection)
                    await connection.close()
            except (psycopg.Error, OSError, TimeoutError) as error:
                if not failed:
                    log.warning("no hints from the database, polling goes on: %s", type(error).__name__)
                pause = PAUSES[min(failed, len(PAUSES) - 1)]
                failed += 1
                await asyncio.sleep(pause * (0.5 + secrets.randbelow(1000) / 1000))


async def _connect(conninfo: str) -> Connection:
    async with asyncio.timeout(ANSWER_SECONDS):
        return await psycopg.AsyncConnection.connect(conninfo, autocommit=True)


async def _heard(connection: Connection, ring: Callable[[], None]) -> None:
    """Raises psycopg.Error once the connection is none."""
    while True:
        async for _ in connection.notifies(timeout=PROBE_SECONDS):
            ring()
        await _ask(connection, "SELECT 1")


async def _ask(connection: Connection, statement: str) -> None:
    """Raises psycopg.OperationalError without an answer: one that has to be waited for for long is none."""
    late = asyncio.get_running_loop().call_later(ANSWER_SECONDS, hang_up, connection)
    try:
        await connection.execute(statement.encode())
    finally:
        late.cancel()
