"""The store on SQLite keeps the contract, and what only it promises: batches, threads, files."""

import asyncio
import os
import sqlite3
import stat
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.storage.contract import StoreContract
from tests.storage.contract_challenges import Age
from tests.storage.contract_links import new_link
from tests.storage.samples import (
    OLDER,
    new_mail,
    new_session,
    new_user,
    raw,
    revoked_sids,
    rotated,
    stored_session,
    stored_user,
)
from watchword.core.challenge import Challenge
from watchword.core.session import End
from watchword.drivers.clock import SystemClock
from watchword.errors import SettingsError, StaleSchemaError, Unavailable
from watchword.meters import WRITER_BATCHES, WRITER_WAITING, WRITER_WRITES
from watchword.settings import Synchronous
from watchword.storage.sql import batches, open_store
from watchword.storage.sql.sqlite import SqliteStore


@pytest.fixture
async def store(sqlite_file: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(sqlite_file, SystemClock())
    yield store
    await store.close()


@pytest.fixture
def age(sqlite_file: Path) -> Age:
    async def older(challenge: Challenge, micros: int) -> None:
        with raw(sqlite_file) as connection:
            connection.execute(OLDER.format(micros=micros, id=challenge.id))

    return older


class TestSqliteStore(StoreContract):
    pass


# --- batches


def commits(path: Path) -> int:
    """How many commits the write-ahead log holds: a frame that ends one tells the database's size, others 0."""
    log = Path(f"{path}-wal").read_bytes()
    page = int.from_bytes(log[8:12], "big")
    starts = range(32, len(log), 24 + page)
    return sum(log[start + 4 : start + 8] != bytes(4) for start in starts)


async def test_writes_that_wait_together_are_committed_together(
    store: SqliteStore, sqlite_file: Path
) -> None:
    await stored_user(store)
    before = commits(sqlite_file)
    await asyncio.gather(*(store.create_user(new_user()) for _ in range(500)))
    assert len(await store.list_users(after=None, limit=1000)) == 501
    # The first may go alone and 256 go at most; a slow start of the thread only makes it fewer.
    assert 2 <= commits(sqlite_file) - before <= 25


async def test_a_script_at_fault_fails_alone(store: SqliteStore) -> None:
    user = await stored_user(store)
    good = [new_session(user) for _ in range(5)]
    bad = [new_session(user, seed=b"too short"), new_session(user, user_agent="\ud800")]
    outcomes = await asyncio.gather(
        *(store.insert_session(session, digest=user.digest, replaces=None) for session in [*bad, *good]),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes[:2]] == [sqlite3.IntegrityError, UnicodeEncodeError]
    assert outcomes[2:] == [[]] * 5
    assert await store.list_sessions(user.id, now=0) == sorted(good, key=lambda s: s.sid, reverse=True)


async def test_a_script_is_undone_whole_and_alone(store: SqliteStore, sqlite_file: Path) -> None:
    """ASVS 2.3.3."""
    user, other = await stored_user(store), await stored_user(store)
    session = await stored_session(store, user)
    with raw(sqlite_file) as connection:
        connection.execute(
            "CREATE TRIGGER fault BEFORE INSERT ON ww_revocation BEGIN SELECT RAISE(ABORT, 'on purpose'); END"
        )
    outcomes = await asyncio.gather(
        store.change_password(user.id, "new", now=0, keep=None),
        store.replace_digest(other.id, old=other.digest or "", new="new"),
        return_exceptions=True,
    )
    assert isinstance(outcomes[0], sqlite3.IntegrityError)
    assert outcomes[1] is True
    assert await store.load_user(user.id) == user
    assert await store.list_sessions(user.id, now=0) == [session]


async def test_a_swap_asks_for_an_active_user_itself(store: SqliteStore, sqlite_file: Path) -> None:
    """Attack 44: even where the sessions were not ended with the user."""
    session = await stored_session(store, await stored_user(store))
    with raw(sqlite_file) as connection:
        connection.execute("UPDATE ww_user SET status = 'disabled'")
    assert not await store.swap_session(session, rotated(session))


async def test_a_cancelled_waiter_takes_nobody_along(store: SqliteStore) -> None:
    users = [new_user() for _ in range(20)]
    tasks = [asyncio.create_task(store.create_user(user)) for user in users]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert outcomes[1::2] == [None] * 10
    assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes[::2])
    # What was asked for is done, as a request whose client hung up would be.
    assert len(await store.list_users(after=None, limit=100)) == 20


async def test_closing_lets_everything_under_way_finish_and_opening_begins_anew(sqlite_file: Path) -> None:
    store = SqliteStore(sqlite_file, SystemClock())
    tasks = [asyncio.create_task(store.create_user(new_user())) for _ in range(300)]
    await asyncio.sleep(0)
    await store.close()
    assert await asyncio.gather(*tasks) == [None] * 300
    assert [thread.name for thread in threading.enumerate() if "watchword-sqlite" in thread.name] == []
    with pytest.raises(Unavailable):
        await store.create_user(new_user())
    with pytest.raises(Unavailable):
        await store.load_user("somebody")
    await store.close()
    with raw(sqlite_file) as connection:
        assert connection.execute("SELECT count(*) FROM ww_user").fetchone() == (300,)
    await store.open()
    assert len(await store.list_users(after=None, limit=1000)) == 300
    await store.close()


async def test_a_store_that_was_never_used_has_no_threads(sqlite_file: Path) -> None:
    store = SqliteStore(sqlite_file, SystemClock())
    assert [thread.name for thread in threading.enumerate() if "watchword-sqlite" in thread.name] == []
    await store.close()


async def test_several_event_loops_may_share_a_store(store: SqliteStore) -> None:
    async def work() -> None:
        for _ in range(20):
            user = await stored_user(store)
            assert await store.load_user(user.id) == user

    threads = [asyncio.to_thread(asyncio.run, work()) for _ in range(4)]
    await asyncio.gather(work(), *threads)
    assert len(await store.list_users(after=None, limit=1000)) == 100


async def test_more_than_may_wait_are_refused_at_once(
    store: SqliteStore, sqlite_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F11."""
    monkeypatch.setattr(batches, "QUEUE", 8)
    await stored_user(store)
    with raw(sqlite_file) as connection:
        connection.execute("BEGIN IMMEDIATE")
        first = asyncio.create_task(store.create_user(new_user()))
        await asyncio.sleep(0.2)
        rest = [asyncio.create_task(store.create_user(new_user())) for _ in range(20)]
        await asyncio.sleep(0.1)
        assert [type(task.exception()) for task in rest if task.done()] == [Unavailable] * 12
        connection.execute("COMMIT")
        outcomes = await asyncio.gather(first, *rest, return_exceptions=True)
    assert outcomes.count(None) == 9


# --- settings


@pytest.mark.parametrize("synchronous", Synchronous)
async def test_both_kinds_of_durability_work(sqlite_file: Path, synchronous: Synchronous) -> None:
    store = open_store(f"sqlite:///{sqlite_file}", SystemClock(), synchronous=synchronous)
    await store.open()
    await store.check()
    session = await stored_session(store, await stored_user(store))
    await store.end_session(session.sid, End.LOGOUT, now=0)
    assert await revoked_sids(store) == {session.sid}
    await store.close()


def test_memory_is_refused() -> None:
    with pytest.raises(SettingsError, match="memory"):
        SqliteStore(":memory:", SystemClock())


async def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "mistyped.db", SystemClock())
    with pytest.raises(StaleSchemaError, match="watchword migrate"):
        await store.check()
    await store.close()
    assert os.listdir(tmp_path) == []


async def test_only_its_owner_reads_the_files(store: SqliteStore, sqlite_file: Path) -> None:
    await stored_user(store)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in sqlite_file.parent.iterdir()}
    assert modes == {"watchword.db": 0o600, "watchword.db-wal": 0o600, "watchword.db-shm": 0o600}


async def test_a_link_for_nobody_is_a_commit_like_any_other(store: SqliteStore, sqlite_file: Path) -> None:
    """Attack 65: to wait for the disk is most of the work, so everybody's request has something to wait for."""
    user, nobody = await stored_user(store), new_user()
    for asker, sent in ((user, True), (nobody, False)):
        before = commits(sqlite_file)
        assert await store.issue_link(new_link(asker), new_mail(to=asker.email)) is sent
        assert commits(sqlite_file) == before + 1


async def test_how_many_writes_share_a_batch_is_told_and_goes_on_when_it_is_opened_again(
    sqlite_file: Path,
) -> None:
    store = SqliteStore(sqlite_file, SystemClock())
    await asyncio.gather(*(store.take_lease(str(number), "a", span=1) for number in range(20)))
    before = dict(store.measured())
    assert before[WRITER_WRITES] == 20
    assert 1 <= before[WRITER_BATCHES] <= 20
    assert before[WRITER_WAITING] == 0
    await store.close()
    await store.open()
    await store.take_lease("b", "a", span=1)
    assert dict(store.measured()) == {
        WRITER_WAITING: 0,
        WRITER_BATCHES: before[WRITER_BATCHES] + 1,
        WRITER_WRITES: 21,
    }
    await store.close()
