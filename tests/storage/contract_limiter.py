"""What a Limiter is. A test class inherits from this and offers the fixture `limiters`: two of them over one memory,
as two processes have, which know nothing of the keys that a test makes up.
"""

import asyncio
import secrets

import pytest

from watchword.drivers.clock import SystemClock
from watchword.ports import Limiter
from watchword.rates import Rate
from watchword.spans import HOUR, SECOND

Pair = tuple[Limiter, Limiter]
TEN = Rate(10, HOUR)


def fresh() -> str:
    return secrets.token_hex(16)


async def take(limiter: Limiter, *asked: tuple[str, Rate]) -> int | None:
    return await limiter.take(asked, now=SystemClock().now())


class LimiterContract:
    async def test_what_was_never_asked_for_has_a_whole_budget(self, limiters: Pair) -> None:
        assert [await take(limiters[0], (fresh(), TEN)) for _ in range(3)] == [None] * 3

    async def test_a_spent_budget_says_how_long_until_one_more(self, limiters: Pair) -> None:
        key = fresh()
        assert [await take(limiters[0], (key, TEN)) for _ in range(10)] == [None] * 10
        wait = await take(limiters[0], (key, TEN))
        assert wait is not None
        assert TEN.step - 60 * SECOND < wait <= TEN.step

    async def test_it_is_one_budget_for_all_processes(self, limiters: Pair) -> None:
        one, other = limiters
        key = fresh()
        for _ in range(5):
            assert await take(one, (key, TEN)) is None
            assert await take(other, (key, TEN)) is None
        assert await take(one, (key, TEN)) is not None
        assert await take(other, (key, TEN)) is not None

    async def test_of_a_hundred_at_once_ten_are_let_through(self, limiters: Pair) -> None:
        """Attack 68; ASVS 15.4.3: in both orders, and none waits for ever."""
        few, many = (fresh(), TEN), (fresh(), Rate(1000, HOUR))
        orders = (few, many), (many, few)
        waits = await asyncio.gather(*(take(limiters[n % 2], *orders[n // 2 % 2]) for n in range(100)))
        assert waits.count(None) == 10

    async def test_what_one_budget_refuses_is_taken_from_none(self, limiters: Pair) -> None:
        spent, whole = fresh(), fresh()
        for _ in range(10):
            await take(limiters[0], (spent, TEN))
        for _ in range(50):
            assert await take(limiters[0], (whole, TEN), (spent, TEN)) is not None
        assert [await take(limiters[1], (whole, TEN)) for _ in range(11)].count(None) == 10

    async def test_the_longest_wait_of_several_is_told(self, limiters: Pair) -> None:
        short, long = (fresh(), Rate(1, 60 * SECOND)), (fresh(), Rate(1, HOUR))
        third = fresh(), TEN
        assert await take(limiters[0], short, long, third) is None
        wait = await take(limiters[0], third, short, long)
        assert wait is not None
        assert 3500 * SECOND < wait <= HOUR

    async def test_a_step_later_there_is_one_more(self, limiters: Pair) -> None:
        asked = (fresh(), Rate(2, 2 * SECOND))
        assert [await take(limiters[0], asked) for _ in range(2)] == [None, None]
        wait = await take(limiters[0], asked)
        assert wait is not None
        await asyncio.sleep(wait / SECOND + 0.01)
        assert await take(limiters[0], asked) is None

    async def test_nothing_asked_is_nothing_refused(self, limiters: Pair) -> None:
        assert await take(limiters[0]) is None

    @pytest.mark.parametrize(
        "key", ["a:b", "*", "'; DROP TABLE ww_throttle; --", "%", "\r\nFLUSHALL\r\n", "é"]
    )
    async def test_whatever_is_in_a_key_is_data(self, limiters: Pair, key: str) -> None:
        """Attack 94: though none of ours holds anything but digits."""
        mine, other = key + fresh(), fresh() + key
        for _ in range(10):
            assert await take(limiters[0], (mine, TEN)) is None
        assert await take(limiters[1], (mine, TEN)) is not None
        assert await take(limiters[1], (other, TEN)) is None
