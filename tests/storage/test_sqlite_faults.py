"""The store on SQLite beside other processes, through crashes, and with a disk that fails."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.storage.samples import new_user, raw, rotated, stored_session, stored_user
from watchword.drivers.clock import SystemClock
from watchword.errors import Unavailable
from watchword.storage.sql.sqlite import SqliteStore

ROOT = Path(__file__).parents[2]


@pytest.fixture
async def store(sqlite_file: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(sqlite_file, SystemClock())
    yield store
    await store.close()


@pytest.fixture
async def impatient(sqlite_file: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(sqlite_file, SystemClock(), patience=0.3)
    yield store
    await store.close()


@contextmanager
def process(code: str, *arguments: object) -> Iterator["subprocess.Popen[str]"]:
    """A Python program of ours that is killed at the end, if it has not ended."""
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as started:
        try:
            yield started
        finally:
            started.kill()


HOLD_THE_LOCK = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
time.sleep(float(sys.argv[2]))
connection.execute("COMMIT")
"""

CREATE_USERS = """
import asyncio, sys
from tests.storage.samples import new_user
from watchword.drivers.clock import SystemClock
from watchword.storage.sql.sqlite import SqliteStore

async def main():
    store = SqliteStore(sys.argv[1], SystemClock())
    async def create():
        for _ in range(int(sys.argv[2])):
            user = new_user()
            await store.create_user(user)
            print(user.id, flush=True)
    await asyncio.gather(*(create() for _ in range(8)))
    await store.close()

asyncio.run(main())
"""


async def first_line(started: "subprocess.Popen[str]") -> str:
    assert started.stdout is not None
    return (await asyncio.to_thread(started.stdout.readline)).strip()


async def test_a_lock_held_for_a_second_only_delays(store: SqliteStore, sqlite_file: Path) -> None:
    """F10."""
    user = await stored_user(store)
    with process(HOLD_THE_LOCK, sqlite_file, 1) as holder:
        assert await first_line(holder) == "locked"
        started = time.monotonic()
        tasks = [asyncio.create_task(store.create_user(new_user())) for _ in range(20)]
        # Readers do not wait.
        assert await store.load_user(user.id) == user
        assert not any(task.done() for task in tasks)
        await asyncio.gather(*tasks)
        assert time.monotonic() - started < 4
    assert len(await store.list_users(after=None, limit=100)) == 21


async def test_a_lock_held_for_too_long_is_unavailable(impatient: SqliteStore, sqlite_file: Path) -> None:
    """F10: whoever waited is told, nothing of it is written, and the next write goes through."""
    session = await stored_session(impatient, await stored_user(impatient))
    with process(HOLD_THE_LOCK, sqlite_file, 60) as holder:
        assert await first_line(holder) == "locked"
        started = time.monotonic()
        tasks = [asyncio.create_task(impatient.create_user(new_user())) for _ in range(600)]
        swap = asyncio.create_task(impatient.swap_session(session, rotated(session)))
        outcomes = await asyncio.gather(swap, *tasks, return_exceptions=True)
        assert time.monotonic() - started < 4
    for outcome in outcomes:
        assert isinstance(outcome, Unavailable)
        assert outcome.retry_after == 1
        assert isinstance(outcome.__cause__, sqlite3.OperationalError)
    assert len(await impatient.list_users(after=None, limit=1000)) == 1
    assert await impatient.swap_session(session, rotated(session))


async def test_two_processes_write_side_by_side(store: SqliteStore, sqlite_file: Path) -> None:
    with process(CREATE_USERS, sqlite_file, 50) as one, process(CREATE_USERS, sqlite_file, 50) as two:
        outputs = await asyncio.gather(*(asyncio.to_thread(each.communicate) for each in (one, two)))
        assert one.returncode == two.returncode == 0
    told = {line for output, _ in outputs for line in output.split()}
    users = await store.list_users(after=None, limit=1000)
    assert {user.id for user in users} == told
    assert len(users) == 800


async def test_what_was_acknowledged_survives_a_kill(store: SqliteStore, sqlite_file: Path) -> None:
    """F1, I4."""
    for _ in range(3):
        with process(CREATE_USERS, sqlite_file, 10_000) as writer:
            told = [await first_line(writer) for _ in range(200)]
            writer.send_signal(signal.SIGKILL)
            assert writer.stdout is not None
            rest = await asyncio.to_thread(writer.stdout.read)
        # The last line may have been cut off by the kill.
        told += rest.split("\n")[:-1]
        stored = {user.id for user in await store.list_users(after=None, limit=100_000)}
        assert set(told) <= stored
    with raw(sqlite_file) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def test_the_data_version_tells_of_others_commits(store: SqliteStore, sqlite_file: Path) -> None:
    version = await store.data_version()
    assert await store.data_version() == version
    with process(CREATE_USERS, sqlite_file, 1) as other:
        await asyncio.to_thread(other.communicate)
    changed = await store.data_version()
    assert changed != version
    assert await store.data_version() == changed


FILL_THE_DISK = """
import asyncio, resource, sys
from tests.storage.samples import new_user
from watchword.drivers.clock import SystemClock
from watchword.errors import Unavailable
from watchword.storage.sql.sqlite import SqliteStore

async def main():
    store = SqliteStore(sys.argv[1], SystemClock())
    first = new_user()
    await store.create_user(first)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
    made, refused = [], 0
    while refused < 3:
        users = [new_user() for _ in range(50)]
        outcomes = await asyncio.gather(*map(store.create_user, users), return_exceptions=True)
        refused += all(isinstance(outcome, Unavailable) for outcome in outcomes)
        made += [user for user, outcome in zip(users, outcomes, strict=True) if outcome is None]
    assert await store.load_user(first.id) == first
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    await store.create_user(new_user())
    stored = await store.list_users(after=None, limit=100_000)
    assert len(stored) == len(made) + 2, (len(stored), len(made))
    assert made
    await store.close()
    print("recovered")

asyncio.run(main())
"""


async def test_a_full_disk_is_unavailable_until_there_is_room(sqlite_file: Path) -> None:
    """F9. A limit on the size of files stands in for the disk."""
    with process(FILL_THE_DISK, sqlite_file) as filler:
        output, _ = await asyncio.to_thread(filler.communicate)
    assert output == "recovered\n"
    with raw(sqlite_file) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def test_a_damaged_file_is_unavailable(tmp_path: Path) -> None:
    path = tmp_path / "broken.db"
    path.write_bytes(b"no database at all" * 500)
    store = SqliteStore(path, SystemClock())
    with pytest.raises(Unavailable):
        await store.check()
    with pytest.raises(Unavailable):
        await store.create_user(new_user())
    await store.close()
