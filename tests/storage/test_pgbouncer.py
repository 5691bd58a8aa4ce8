"""The store through a real PgBouncer that hands each connection to another client after every transaction."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tests.needs import pgbouncer_path
from tests.servers import free_port
from tests.storage.samples import fresh_database, stored_session, stored_user
from watchword.core.session import End
from watchword.storage.sql import postgres as module
from watchword.storage.sql.migrate import current, migrate
from watchword.storage.sql.migrations import HEAD
from watchword.storage.sql.postgres import PostgresStore
from watchword.storage.sql.postgres_hints import PostgresHints

INI = """
[databases]
* = {target}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 1
"""


@pytest.fixture(scope="module")
def pooled() -> Iterator[str]:
    """The URL of a database behind one connection that all who come by it share, migrated through it."""
    with fresh_database() as url, tempfile.TemporaryDirectory() as folder:
        known = {key: str(value) for key, value in conninfo_to_dict(url).items()}
        port = free_port()
        name = known.pop("dbname")
        ini = Path(folder) / "pgbouncer.ini"
        ini.write_text(INI.format(target=make_conninfo(**known), port=port))
        user = "postgres" if os.getuid() == 0 else None  # it refuses to run as root
        if user is not None:
            shutil.chown(folder, user)
        with (ini.with_name("log")).open("w") as log:
            process = subprocess.Popen([pgbouncer_path(), str(ini)], cwd="/", stderr=log, user=user)
        try:
            address = f"postgresql://postgres@127.0.0.1:{port}/{name}"
            _await(address, process)
            migrate(address)
            yield address
        finally:
            process.terminate()
            process.wait(10)


def _await(address: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            psycopg.connect(address).close()
            return
        except psycopg.OperationalError:
            assert process.poll() is None, "PgBouncer ended"
            assert time.monotonic() < deadline
            time.sleep(0.05)


async def _use(store: PostgresStore) -> None:
    """Verbs of one statement and of several."""
    session = await stored_session(store, await stored_user(store))
    assert await store.load_session(session.sid) is not None
    assert await store.end_session(session.sid, End.LOGOUT, now=0) is not None
    assert await store.list_sessions(session.user_id, now=0) == []


async def test_several_processes_share_connections_and_get_their_own_answers(pooled: str) -> None:
    """F11, and DESIGN §4.4: nothing is prepared there."""
    stores = [PostgresStore(pooled, pool_size=4) for _ in range(3)]
    try:
        await asyncio.gather(*(_use(store) for store in stores for _ in range(10)))
    finally:
        for store in stores:
            await store.close()


async def test_prepared_statements_would_be_mixed_up_there(
    pooled: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test above can fail."""

    async def nobody(connection: module.Connection) -> bool:
        return False

    monkeypatch.setattr(module, "behind_pooler", nobody)
    first, second = PostgresStore(pooled, pool_size=1), PostgresStore(pooled, pool_size=1)
    try:
        for _ in range(2):  # the second time a statement is prepared
            await first.load_user("nobody")
        await second.list_users(after=None, limit=1)
        with pytest.raises(psycopg.errors.DuplicatePreparedStatement):
            await second.list_users(after=None, limit=1)
    finally:
        await first.close()
        await second.close()
        with psycopg.connect(pooled, autocommit=True, prepare_threshold=None) as connection:
            connection.execute("DEALLOCATE ALL")


def test_the_tables_are_made_through_it_too(pooled: str) -> None:
    """F18: the lock of a migration lasts as long as its transaction, and that is one connection."""
    assert migrate(pooled) == []
    assert current(pooled) == HEAD


async def test_that_hints_may_not_come_is_told(pooled: str, caplog: pytest.LogCaptureFixture) -> None:
    rung = asyncio.Event()
    with caplog.at_level(logging.WARNING, "watchword.feed"):
        listening = asyncio.create_task(PostgresHints(pooled).listen(rung.set))
        async with asyncio.timeout(20):
            await rung.wait()
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
    assert [record.message for record in caplog.records] == [
        "a pooler is on the way to the database: it may let no hints through"
    ]
