"""Hints: they make a feed look, they never make it believe, and none that counts is missed."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import psycopg
import pytest
import redis

from tests.drivers.neighbours import neighbour, session_of
from tests.http.devices import house, instead
from tests.needs import postgres_url, redis_url
from tests.postgres import fresh_database
from tests.proxies import proxying
from watchword.auth import Watchword
from watchword.core.revocation import Revocations
from watchword.drivers import feed as module
from watchword.drivers.feed import Feed
from watchword.errors import Unavailable
from watchword.storage.memory import MemoryStore
from watchword.storage.redis_hints import PREFIX, RedisHints
from watchword.storage.sql import postgres as postgres_store
from watchword.storage.sql import postgres_hints
from watchword.storage.sql.migrate import migrate
from watchword.storage.sql.postgres_hints import PostgresHints
from watchword.testing import make_auth, sign_in_as

EMAIL = "ada@example.com"


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    with fresh_database(postgres_url()) as url:
        migrate(url)
        yield url


async def becomes(true: Callable[[], bool], *, seconds: float = 5.0) -> float:
    """After how many seconds it was."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110 - of things that set no event
            await asyncio.sleep(0.001)
    return loop.time() - began


class Rung:
    """Hints that a test gives."""

    def __init__(self) -> None:
        self.ring: Callable[[], None] = lambda: None

    async def listen(self, ring: Callable[[], None]) -> None:
        self.ring = ring
        await asyncio.Event().wait()


@asynccontextmanager
async def following(auth: Watchword, *hints: Rung) -> AsyncIterator[Feed]:
    feed = Feed(auth.world, hints)
    await feed.load()
    task = asyncio.create_task(feed.follow())
    await asyncio.sleep(0)
    try:
        yield feed
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


# --- how often


async def test_a_storm_of_hints_makes_no_storm_of_looks() -> None:
    """F15: at most 100 a second, and the last hint is not lost."""
    rung, auth = Rung(), make_auth()
    async with following(auth, rung) as feed:
        await asyncio.sleep(0)
        loop = asyncio.get_running_loop()
        began, hints = loop.time(), 0
        while loop.time() - began < 0.5:
            rung.ring()
            hints += 1
            await asyncio.sleep(0)
        assert hints > 500
        assert 1 < feed.looks <= 52
        looks = feed.looks
        await becomes(lambda: feed.looks == looks + 1, seconds=0.5)


async def test_a_hint_that_comes_during_a_look_leads_to_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was committed after that look began may be missing in it."""
    rung, auth = Rung(), make_auth()
    begun, go_on = asyncio.Event(), asyncio.Event()
    read = auth.world.store.read_revocations

    async def slow(*, since: int):  # type: ignore[no-untyped-def]  # as the verb
        page = await read(since=since)
        begun.set()
        await go_on.wait()
        return page

    async with following(auth, rung) as feed:
        monkeypatch.setattr(auth.world.store, "read_revocations", slow)
        rung.ring()
        await begun.wait()
        rung.ring()
        go_on.set()
        await becomes(lambda: feed.looks == 2, seconds=0.5)


async def test_a_look_that_takes_long_is_followed_by_a_longer_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many hints there are: no more than a fifth of the time is spent on looking."""
    rung, auth = Rung(), make_auth()
    read = auth.world.store.read_revocations

    async def slow(*, since: int):  # type: ignore[no-untyped-def]  # as the verb
        await asyncio.sleep(0.05)
        return await read(since=since)

    async with following(auth, rung) as feed:
        monkeypatch.setattr(auth.world.store, "read_revocations", slow)
        loop = asyncio.get_running_loop()
        began = loop.time()
        while loop.time() - began < 0.6:
            rung.ring()
            await asyncio.sleep(0.001)
        assert feed.looks <= 3


# --- PostgreSQL


@asynccontextmanager
async def heard(hints: PostgresHints | RedisHints) -> AsyncIterator[list[None]]:
    """What rang so far; begins when listening has begun."""
    rings: list[None] = []
    task = asyncio.create_task(hints.listen(lambda: rings.append(None)))
    try:
        await becomes(lambda: bool(rings))
        yield rings
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_every_verb_that_revokes_notifies_and_none_else(postgres: str) -> None:
    auth = neighbour(postgres, secrets.token_urlsafe(48))
    email = f"{secrets.token_hex(4)}@example.com"
    async with heard(PostgresHints(postgres)) as rings:

        async def rang() -> bool:
            """Whether it did since the last time; one of our own marks the end of what could have."""
            rings.clear()
            async with await psycopg.AsyncConnection.connect(postgres, autocommit=True) as own:
                await own.execute("SELECT pg_notify('ww_revoked', 'mark')")
            await becomes(lambda: bool(rings))
            return len(rings) > 1

        principal = await session_of(auth, email)
        await asyncio.sleep(0.05)
        rings.clear()
        other = await session_of(auth, email)
        await asyncio.sleep(0.05)
        assert not rings, "a sign-in revokes nothing"
        await auth.sessions.revoke(principal.sid)
        await becomes(lambda: len(rings) == 1)
        await auth.sessions.revoke(other.sid)
        await becomes(lambda: len(rings) == 2)
        await session_of(auth, email)
        await auth.users.set_roles(email, ["owner"])
        await becomes(lambda: len(rings) == 3)
        await auth.users.disable(email)
        await becomes(lambda: len(rings) == 4)
        assert not await rang()
    await auth.aclose()


async def test_no_more_is_read_than_could_be_kept(postgres: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """F15: and one by which it is noticed that there is more."""
    monkeypatch.setattr("watchword.storage.sql.feed.MOST", 2)
    # Statements are composed once a process: not in this one, whose number is another.
    monkeypatch.setattr(postgres_store, "_statements", postgres_store._statements.__wrapped__)
    auth = neighbour(postgres, secrets.token_urlsafe(48))
    for _ in range(5):
        await auth.sessions.revoke((await session_of(auth, EMAIL)).sid)
    page = await auth.world.store.read_revocations(since=0)
    assert len(page.ended) == 3
    few = Revocations(keep=965_000_000, most=2)
    few.add(page.ended, page.tokens_from)
    few.read(page.now)
    assert few.stale(page.now)
    await auth.aclose()


async def test_who_listens_connects_again_and_looks_for_what_was_missed(postgres: str) -> None:
    """F3: the server ends the connection."""
    async with heard(PostgresHints(postgres)) as rings:
        rings.clear()
        async with await psycopg.AsyncConnection.connect(postgres, autocommit=True) as own:
            ended = await own.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE query LIKE 'LISTEN%' AND datname = current_database()"
            )
            assert await ended.fetchall()
        await becomes(lambda: bool(rings))


async def test_a_connection_that_fell_silent_is_noticed(
    postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No RST: a probe goes unanswered, here after 0.3 s instead of 10."""
    monkeypatch.setattr(postgres_hints, "PROBE_SECONDS", 0.3)
    monkeypatch.setattr(postgres_hints, "ANSWER_SECONDS", 0.3)
    with proxying(postgres, 5432) as (proxy, url):
        async with heard(PostgresHints(url)) as rings:
            proxy.swallow()
            await asyncio.sleep(1.0)
            rings.clear()
            proxy.mend()
            await becomes(lambda: bool(rings))


async def test_a_database_that_swallows_everything_is_unavailable_when_patience_ends(postgres: str) -> None:
    """I6: not ten seconds later, which the driver takes to ask it politely to stop."""
    with proxying(postgres, 5432) as (proxy, url):
        auth = neighbour(url, secrets.token_urlsafe(48))
        store = auth.world.store
        store._patience = 0.5  # type: ignore[attr-defined]  # of PostgresStore
        await store.check()
        proxy.swallow()
        loop = asyncio.get_running_loop()
        began = loop.time()
        with pytest.raises(Unavailable):
            await store.load_session("nobody's")
        assert loop.time() - began < 2.0
        proxy.mend()
        await auth.aclose()


# --- Redis


@pytest.fixture
def name() -> str:
    return secrets.token_hex(9)


async def test_what_one_process_tells_another_hears_and_no_other_installation(name: str) -> None:
    """Two secrets while they are rotated: both are listened to."""
    teller, listener = RedisHints(redis_url(), [name]), RedisHints(redis_url(), ["other", name])
    stranger = RedisHints(redis_url(), [secrets.token_hex(9)])
    async with heard(listener) as rings, heard(stranger) as strange:
        await becomes(lambda: len(rings) == 2)  # of either channel, that it is listened to
        rings.clear()
        strange.clear()
        teller.tell()
        await becomes(lambda: len(rings) == 1)
        assert not strange
    for hints in (teller, listener, stranger):
        await hints.close()


async def test_telling_often_is_telling_once_more(name: str) -> None:
    hints = RedisHints(redis_url(), [name])
    async with heard(hints) as rings:
        rings.clear()
        for _ in range(1000):
            hints.tell()
        await becomes(lambda: bool(rings))
        await asyncio.sleep(0.05)
        assert len(rings) <= 2
    await hints.close()


async def test_garbage_from_redis_changes_nothing() -> None:
    """Attack 97: a thousand messages that look like revocations make it look, and revoke nobody."""
    auth = make_auth(redis_url=redis_url())
    async with auth.lifespan():
        user, headers = await sign_in_as(auth, EMAIL)
        hints = auth._redis_hints
        assert hints is not None
        [channel] = hints._channels
        assert channel.startswith(PREFIX)
        sids = [row.sid for row in await auth.sessions.list(user.id)]
        with redis.Redis.from_url(redis_url()) as attacker:
            for number in range(1000):
                attacker.publish(channel, secrets.token_bytes(8) if number % 2 else sids[0].encode())
        await asyncio.sleep(0.1)
        assert auth.authenticate([(b"cookie", headers["cookie"].encode())], method="GET") is not None
        assert not any(auth.world.revocations.ended(sid) for sid in sids)


async def test_an_end_is_known_elsewhere_by_redis_alone(postgres: str) -> None:
    """From the write to the other process: far less than a poll."""
    secret = secrets.token_urlsafe(48)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("watchword.storage.sql.postgres_hints.CHANNEL", "ww_nobody")
        here, there = (neighbour(postgres, secret, redis_url=redis_url()) for _ in range(2))
        async with here.lifespan(), there.lifespan():
            principal = await session_of(here, EMAIL)
            await asyncio.sleep(0.2)
            await here.sessions.revoke(principal.sid)
            took = await becomes(lambda: there.world.revocations.ended(principal.sid))
    assert took < 0.5


# --- what is told of it


@pytest.mark.parametrize("error", [Unavailable, ValueError])
async def test_an_outage_is_told_once_and_its_end_too(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    """ASVS 16.3.4."""
    monkeypatch.setattr(module, "POLL_SECONDS", 0.0)
    home = await house()
    store, feed = home.auth.world.store, Feed(home.auth.world)
    assert isinstance(store, MemoryStore)

    async def silent(*, since: int) -> None:
        raise error("silent")

    async def looks(more: int) -> None:
        target = feed.looks + more
        await becomes(lambda: feed.looks >= target)

    task = asyncio.create_task(feed.follow())
    try:
        await looks(3)
        instead(store, "read_revocations", silent)
        await looks(5)
        del store.__dict__["read_revocations"]
        await looks(5)
        told = [(event.name, event.detail) for event in home.events[1:]]
        assert told == [("control_failed", "revocations"), ("control_restored", "revocations")]
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
