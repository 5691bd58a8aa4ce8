"""Every limiter keeps the contract: in memory, over SQLite, PostgreSQL and Redis; and what each promises beyond it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from redis.asyncio import Redis

from tests.needs import redis_url
from tests.servers import free_port
from tests.storage.contract_limiter import TEN, LimiterContract, Pair, fresh, take
from watchword.drivers.clock import SystemClock
from watchword.errors import Unavailable
from watchword.ports import Limiter
from watchword.rates import Rate
from watchword.spans import HOUR, SECOND
from watchword.storage.memory_limiter import MemoryLimiter
from watchword.storage.redis import PREFIX, RedisLimiter
from watchword.storage.sql import open_store
from watchword.storage.sql.postgres import PostgresStore
from watchword.storage.sql.sqlite import SqliteStore
from watchword.storage.standby_limiter import PAUSE, StandbyLimiter

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


def standby(
    first: Limiter, second: Limiter, told: list[str] | None = None, *, pause: float = PAUSE
) -> StandbyLimiter:
    """`told` gets what it says of the first."""
    said: list[str] = [] if told is None else told
    return StandbyLimiter(
        first,
        second,
        begins=lambda: said.append("silent"),
        ends=lambda: said.append("answers"),
        pause=pause,
    )


class TestStandby(LimiterContract):
    """While the first answers it is that one; and while it does not, the second."""

    @pytest.fixture(params=["there", "gone"])
    async def limiters(self, request: pytest.FixtureRequest) -> AsyncIterator[Pair]:
        url = redis_url() if request.param == "there" else f"redis://127.0.0.1:{free_port()}/0"
        one = standby(RedisLimiter(url), MemoryLimiter())
        yield one, one
        await one.close()


class Counting:
    """Implements `ports.Limiter` by another, and counts how often it was asked."""

    def __init__(self, limiter: Limiter) -> None:
        self.limiter, self.asked = limiter, 0

    async def take(self, asked: Sequence[tuple[str, Rate]], *, now: int) -> int | None:
        self.asked += 1
        return await self.limiter.take(asked, now=now)


async def test_while_redis_is_away_the_database_counts_and_then_redis_again(sqlite_file: Path) -> None:
    """F5: at most twice the limit, and nobody is refused for the outage."""
    store = SqliteStore(sqlite_file, SystemClock())
    away, there = RedisLimiter(f"redis://127.0.0.1:{free_port()}/0"), RedisLimiter(redis_url())
    first = Counting(there)
    told: list[str] = []
    limiter, asked = standby(first, store, told, pause=0.0), (fresh(), Rate(3, HOUR))
    outcomes = []
    for redis in (there, away, there):
        first.limiter = redis
        outcomes += [await take(limiter, asked) is None for _ in range(4)]
    assert outcomes == [True] * 3 + [False] + [True] * 3 + [False] + [False] * 4
    assert told == ["silent", "answers"], "once each (ASVS 16.3.4)"
    for part in (away, there, store):
        await part.close()


async def test_a_redis_that_is_away_is_not_asked_by_everybody(sqlite_file: Path) -> None:
    """F5: who signs in during an outage does not wait for it."""
    store, away = SqliteStore(sqlite_file, SystemClock()), RedisLimiter(f"redis://127.0.0.1:{free_port()}/0")
    first = Counting(away)
    limiter = standby(first, store, pause=3600)
    for _ in range(5):
        assert await take(limiter, (fresh(), TEN)) is None
    assert first.asked == 1
    await limiter.close()
    await store.close()


async def test_where_neither_counts_nobody_is_let_in() -> None:
    """ASVS 16.5.3."""
    first, second = (RedisLimiter(f"redis://127.0.0.1:{free_port()}/0") for _ in range(2))
    limiter = standby(first, second)
    for _ in range(2):
        with pytest.raises(Unavailable):
            await take(limiter, (fresh(), TEN))
    await limiter.close()
    await second.close()


async def test_a_redis_that_is_not_there_is_unavailable_and_opens_nothing() -> None:
    """ASVS 16.5.3."""
    limiter = RedisLimiter(f"redis://:hunter2@127.0.0.1:{free_port()}/0")
    with pytest.raises(Unavailable):
        await take(limiter, (fresh(), TEN))
    assert "hunter2" not in repr(limiter)
    await limiter.close()
