"""Every limiter keeps the contract: in memory, over SQLite, PostgreSQL and Redis; and what each promises beyond it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from tests.needs import redis_url
from tests.servers import free_port
from tests.storage.contract_limiter import TEN, LimiterContract, Pair, fresh, take
from watchword.drivers.clock import SystemClock
from watchword.errors import Unavailable
from watchword.rates import Rate
from watchword.spans import HOUR, SECOND
from watchword.storage.memory_limiter import MemoryLimiter
from watchword.storage.redis import PREFIX, RedisLimiter
from watchword.storage.sql import open_store
from watchword.storage.sql.postgres import PostgresStore
from watchword.storage.sql.sqlite import SqliteStore

NOW = 1_800_000_000 * SECOND
SWEEP = {"now": 0, "ended_for": 0, "revoked_for": 0, "batch": 100}


class TestMemory(LimiterContract):
    @pytest.fixture
    def limiters(self) -> Pair:
        one = MemoryLimiter()
        return one, one


class TestSqlite(LimiterContract):
    @pytest.fixture
    async def limiters(self, sqlite_file: Path) -> AsyncIterator[Pair]:
        one, other = (SqliteStore(sqlite_file, SystemClock()) for _ in range(2))
        yield one, other
        await one.close()
        await other.close()


class TestPostgres(LimiterContract):
    @pytest.fixture
    async def limiters(self, postgres: str) -> AsyncIterator[Pair]:
        one, other = PostgresStore(postgres), PostgresStore(postgres)
        yield one, other
        await one.close()
        await other.close()


class TestRedis(LimiterContract):
    @pytest.fixture
    async def limiters(self) -> AsyncIterator[Pair]:
        one, other = RedisLimiter(redis_url()), RedisLimiter(redis_url())
        yield one, other
        await one.close()
        await other.close()


async def test_in_memory_it_goes_by_the_clock_that_it_is_given() -> None:
    limiter, asked = MemoryLimiter(), [("a", Rate(1, HOUR))]
    assert await limiter.take(asked, now=NOW) is None
    assert await limiter.take(asked, now=NOW + HOUR - 1) == 1
    assert await limiter.take(asked, now=NOW + HOUR) is None


async def test_memory_is_bounded_and_forgets_last_who_is_limited() -> None:
    limiter = MemoryLimiter(most=1000)
    while await limiter.take([("guesser", TEN)], now=NOW) is None:
        pass
    for n in range(5000):
        await limiter.take([(str(n), TEN)], now=NOW)
        assert len(limiter._tats) <= 1000
    assert await limiter.take([("guesser", TEN)], now=NOW) is not None


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_rows_that_say_nothing_any_more_are_swept_and_no_others(
    request: pytest.FixtureRequest, sqlite_file: Path, kind: str
) -> None:
    url = f"sqlite:///{sqlite_file}" if kind == "sqlite" else request.getfixturevalue("postgres")
    store = open_store(url, SystemClock())
    short, long = (fresh(), Rate(1000, SECOND)), (fresh(), Rate(1, HOUR))
    assert await take(store, short, long) is None
    await asyncio.sleep(0.01)
    assert await store.sweep(**SWEEP) >= 1
    assert await store.sweep(**SWEEP) == 0
    assert await take(store, long) is not None
    await store.close()


async def test_in_redis_nothing_outlives_its_use() -> None:
    url, key = redis_url(), fresh()
    limiter, client = RedisLimiter(url), Redis.from_url(url)
    assert await take(limiter, (key, TEN)) is None
    assert 0 < await client.pttl(PREFIX + key) <= TEN.step // 1000 + 1
    await limiter.close()
    await client.aclose()


async def test_a_redis_that_is_not_there_is_unavailable_and_opens_nothing() -> None:
    """ASVS 16.5.3."""
    limiter = RedisLimiter(f"redis://:hunter2@127.0.0.1:{free_port()}/0")
    with pytest.raises(Unavailable):
        await take(limiter, (fresh(), TEN))
    assert "hunter2" not in repr(limiter)
    await limiter.close()
