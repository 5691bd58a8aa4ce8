"""The store on PostgreSQL keeps the contract, and what only it promises: its clock, its transactions, its restarts."""

import asyncio
import importlib
import sys
import time
from collections.abc import AsyncIterator

import psycopg
import pytest

from tests.databases import emptied
from tests.storage.contract import StoreContract
from tests.storage.contract_challenges import Age
from tests.storage.samples import (
    DIGEST,
    OLDER,
    SECOND,
    new_session,
    now_of,
    query,
    revoked_sids,
    rotated,
    stored_session,
    stored_user,
)
from watchword.core.challenge import Challenge
from watchword.core.session import End
from watchword.errors import SettingsError, Unavailable
from watchword.meters import POOL_SIZE, POOL_WAITING
from watchword.storage.sql.postgres import PostgresStore

NOW = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
OTHERS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE application_name = 'watchword' AND datname = current_database()"
)
"""Whoever else tests on this server keeps their connections."""


@pytest.fixture
async def store(postgres: str) -> AsyncIterator[PostgresStore]:
    store = PostgresStore(emptied(postgres))
    yield store
    await store.close()


@pytest.fixture
async def impatient(postgres: str) -> AsyncIterator[PostgresStore]:
    store = PostgresStore(postgres, pool_size=2, patience=0.5)
    yield store
    await store.close()


@pytest.fixture
def age(postgres: str) -> Age:
    async def older(challenge: Challenge, micros: int) -> None:
        query(postgres, OLDER.format(micros=micros, id=challenge.id))

    return older


class TestPostgresStore(StoreContract):
    pass


async def test_the_clock_is_the_databases(store: PostgresStore, postgres: str) -> None:
    """Whatever the caller believes: on PostgreSQL many hosts share one clock."""
    session = await stored_session(store, await stored_user(store))
    [[before]] = query(postgres, NOW)
    revoked = await store.end_session(session.sid, End.REPLACED, now=12345)
    row = await store.load_session(session.sid)
    [[after]] = query(postgres, NOW)
    assert revoked is not None
    assert row is not None
    assert before < revoked.at < row.now < after
    assert row.session.replaced_at == revoked.at


async def test_a_script_is_undone_whole(store: PostgresStore, postgres: str) -> None:
    """ASVS 2.3.3."""
    user = await stored_user(store)
    session = await stored_session(store, user)
    query(
        postgres,
        "CREATE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'on purpose'; END $$",
    )
    query(
        postgres, "CREATE TRIGGER fault BEFORE INSERT ON ww_revocation FOR EACH ROW EXECUTE FUNCTION fault()"
    )
    try:
        with pytest.raises(psycopg.Error, match="on purpose"):
            await store.change_password(user.id, "new", now=0, keep=None)
        with pytest.raises(psycopg.Error, match="on purpose"):
            await store.insert_session(new_session(user), digest=DIGEST, replaces=session.sid)
        with pytest.raises(psycopg.Error, match="on purpose"):
            await store.delete_user(user.id, now=0)
    finally:
        query(postgres, "DROP FUNCTION fault CASCADE")
    assert await store.load_user(user.id) == user
    assert await store.list_sessions(user.id, now=0) == [session]


async def test_a_swap_asks_for_an_active_user_itself(store: PostgresStore, postgres: str) -> None:
    """Attack 44: even where the sessions were not ended with the user."""
    session = await stored_session(store, await stored_user(store))
    query(postgres, "UPDATE ww_user SET status = 'disabled'")
    assert not await store.swap_session(session, rotated(session))


async def test_a_sign_in_waits_for_a_change_of_password(store: PostgresStore, postgres: str) -> None:
    """Attack 45: the digest that counts is the one after the commit, not the one that was visible before."""
    user = await stored_user(store)
    session = new_session(user)
    async with await psycopg.AsyncConnection.connect(postgres) as other:
        await other.execute("UPDATE ww_user SET digest = 'new' WHERE id = %s", [user.id])
        sign_in = asyncio.create_task(store.insert_session(session, digest=DIGEST, replaces=None))
        await asyncio.sleep(0.2)
        assert not sign_in.done()
        await other.commit()
        assert await sign_in is None


async def test_a_change_of_password_waits_for_a_sign_in(store: PostgresStore, postgres: str) -> None:
    """Attack 45: and then it ends the new session, which was not visible when it began."""
    user = await stored_user(store)
    model, session = await stored_session(store, user), new_session(user)
    columns = [name for [name] in query(postgres, COLUMNS) if name != '"sid"']
    async with await psycopg.AsyncConnection.connect(postgres) as other:
        # A sign-in between its statement and its commit: the lock that it holds, and the row that nobody sees yet.
        await other.execute("SELECT FROM ww_user WHERE id = %s FOR SHARE", [user.id])
        copied = f"INSERT INTO ww_session (sid, {', '.join(columns)}) SELECT %s, {', '.join(columns)}"
        await other.execute(f"{copied} FROM ww_session WHERE sid = %s".encode(), [session.sid, model.sid])
        change = asyncio.create_task(store.change_password(user.id, "new", now=0, keep=None))
        await asyncio.sleep(0.2)
        assert not change.done()
        await other.commit()
        ended = await change
    assert ended is not None
    assert {row.sid for row in ended} == {model.sid, session.sid}
    assert await store.list_sessions(user.id, now=0) == []


COLUMNS = (
    """SELECT '"' || column_name || '"' FROM information_schema.columns WHERE table_name = 'ww_session'"""
)


async def test_a_transaction_ends_in_time_by_the_servers_hand(store: PostgresStore) -> None:
    """F19: those who follow revocations look back over 30 s; a process that is stopped in the middle may not commit
    later than that. ASVS 13.2.6."""
    user = await stored_user(store)
    script = (
        "SELECT id FROM ww_user",
        "SELECT current_setting('statement_timeout'), current_setting('idle_in_transaction_session_timeout')",
    )
    [[found], [limits]] = await store._write(script, {})
    assert (found[0], tuple(limits)) == (user.id, ("2s", "2s"))
    [[settings]] = await store._write(script[1:], {})
    assert tuple(settings) == ("0", "0")


async def test_reads_go_on_after_the_server_hung_up(store: PostgresStore, postgres: str) -> None:
    """F3: every connection that waits in the pool is broken, and no reader notices."""
    user = await stored_user(store)
    await asyncio.gather(*(store.load_user(user.id) for _ in range(50)))
    for _ in range(3):
        assert len(query(postgres, OTHERS)) > 1
        assert await asyncio.gather(*(store.load_user(user.id) for _ in range(20))) == [user] * 20


async def test_a_write_that_may_have_happened_is_not_repeated(postgres: str) -> None:
    """F4: the server hangs up while it runs; the caller is told, and reads what became of it."""
    store = PostgresStore(postgres, pool_size=1)
    session = await stored_session(store, await stored_user(store))
    after = rotated(session)
    async with await psycopg.AsyncConnection.connect(postgres) as other:
        await other.execute("SELECT FROM ww_session WHERE sid = %s FOR UPDATE", [session.sid])
        swap = asyncio.create_task(store.swap_session(session, after))
        await asyncio.sleep(0.2)
        query(postgres, OTHERS)
        with pytest.raises(Unavailable) as caught:
            await swap
        assert isinstance(caught.value.__cause__, psycopg.OperationalError)
        await other.rollback()
    row = await store.load_session(session.sid)
    assert row is not None
    assert row.session == session
    assert await store.swap_session(session, after)
    await store.close()


async def test_a_server_that_does_not_answer_is_unavailable(impatient: PostgresStore, postgres: str) -> None:
    """F11: whether it is the answer that does not come or a connection, and all is well again afterwards."""
    user = await stored_user(impatient)
    async with await psycopg.AsyncConnection.connect(postgres) as other:
        await other.execute("LOCK TABLE ww_user IN ACCESS EXCLUSIVE MODE")
        started = time.monotonic()
        waiting = (impatient.load_user(user.id) for _ in range(10))
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert time.monotonic() - started < 3
        assert {type(outcome) for outcome in outcomes} == {Unavailable}
        await other.rollback()
    assert await impatient.load_user(user.id) == user


async def test_more_than_may_wait_are_refused_at_once(postgres: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """F11. ASVS 13.2.6, 15.4.4."""
    monkeypatch.setattr("watchword.storage.sql.postgres._WAITING_PER_CONNECTION", 5)
    store = PostgresStore(postgres, pool_size=2)
    user = await stored_user(store)
    async with await psycopg.AsyncConnection.connect(postgres) as other:
        await other.execute("LOCK TABLE ww_user IN ACCESS EXCLUSIVE MODE")
        tasks = [asyncio.create_task(store.load_user(user.id)) for _ in range(30)]
        await asyncio.sleep(0.3)
        refused = [type(task.exception()) for task in tasks if task.done()]
        # Two are served and ten wait, or eleven in all where the second connection was not made in time.
        assert refused in ([Unavailable] * 18, [Unavailable] * 19)
        await other.rollback()
    assert (await asyncio.gather(*tasks, return_exceptions=True)).count(user) == 30 - len(refused)
    await store.close()


async def test_a_server_that_only_reads_is_unavailable_for_writes(
    store: PostgresStore, postgres: str
) -> None:
    """F6: after a failover the address may be that of a replica for a while."""
    user = await stored_user(store)
    [[name]] = query(postgres, "SELECT quote_ident(current_database())")
    query(postgres, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    replica = PostgresStore(postgres)
    try:
        assert await replica.load_user(user.id) == user
        with pytest.raises(Unavailable):
            await replica.replace_digest(user.id, old=DIGEST, new="new")
    finally:
        await replica.close()
        with psycopg.connect(
            postgres, autocommit=True, options="-c default_transaction_read_only=off"
        ) as other:
            other.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only".encode())


async def test_a_server_that_is_not_there_is_unavailable_and_its_password_is_told_nowhere() -> None:
    """Attack 96."""
    store = PostgresStore("postgresql+asyncpg://watchword:hunter2%40@127.0.0.1:1/app", patience=0.3)
    with pytest.raises(Unavailable) as caught:
        await store.check()
    error: BaseException | None = caught.value
    while error is not None:
        assert "hunter2" not in f"{error!r} {error}"
        error = error.__cause__
    assert "hunter2" not in repr(store)
    assert "127.0.0.1:1/app" in repr(store)
    await store.close()


async def test_a_cancelled_waiter_takes_no_connection_along(impatient: PostgresStore, postgres: str) -> None:
    user = await stored_user(impatient)
    async with await psycopg.AsyncConnection.connect(postgres) as other:
        await other.execute("LOCK TABLE ww_user IN ACCESS EXCLUSIVE MODE")
        tasks = [asyncio.create_task(impatient.load_user(user.id)) for _ in range(6)]
        await asyncio.sleep(0.1)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await other.rollback()
    assert await asyncio.gather(*(impatient.load_user(user.id) for _ in range(20))) == [user] * 20


async def test_statements_are_prepared_unless_a_pooler_forbids_it(postgres: str) -> None:
    for prepare in (True, False):
        store = PostgresStore(postgres, pool_size=1, prepare=prepare)
        session = await stored_session(store, await stored_user(store))
        for _ in range(5):
            await store.load_session(session.sid)
        prepared = await store._read("SELECT count(*) FROM pg_prepared_statements", {})
        assert (prepared[0][0] > 0) is prepare
        await store.close()


async def test_a_closed_store_is_unavailable_until_it_is_opened(postgres: str) -> None:
    store = PostgresStore(postgres)
    await store.open()
    await store.check()
    await store.close()
    await store.close()
    with pytest.raises(Unavailable):
        await store.load_user("somebody")
    await store.open()
    assert await store.load_user("somebody") is None
    await store.close()


async def test_sweeping_passes_over_what_somebody_holds(store: PostgresStore, postgres: str) -> None:
    user = await stored_user(store)
    now = await now_of(store)
    held, free = [await stored_session(store, user, idle_until=now - 60 * SECOND) for _ in range(2)]
    async with await psycopg.AsyncConnection.connect(postgres) as other:
        await other.execute("SELECT FROM ww_session WHERE sid = %s FOR UPDATE", [held.sid])
        assert await store.sweep(now=now, ended_for=SECOND, revoked_for=SECOND, batch=10) == 1
        assert await store.load_session(free.sid) is None
    assert await store.sweep(now=now, ended_for=SECOND, revoked_for=SECOND, batch=10) == 1
    assert await revoked_sids(store) == set()


async def test_without_the_driver_the_way_to_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    monkeypatch.delitem(sys.modules, "watchword.storage.sql.postgres")
    with pytest.raises(SettingsError, match=r"pip install 'watchword\[postgres\]'"):
        importlib.import_module("watchword.storage.sql.postgres")


async def test_how_full_the_pool_is_is_told_without_asking_anybody(impatient: PostgresStore) -> None:
    """F11."""
    assert dict(impatient.measured())[POOL_WAITING] == 0
    sleeping = [asyncio.create_task(impatient._read("SELECT pg_sleep(0.4)::text", {})) for _ in range(3)]
    async with asyncio.timeout(10):
        while dict(impatient.measured()) != {POOL_SIZE: 2, POOL_WAITING: 1}:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.01)
    await asyncio.gather(*sleeping, return_exceptions=True)
    assert dict(impatient.measured())[POOL_WAITING] == 0
