"""The feed tells that revocations cannot be read, once, and that they can be again."""

import asyncio

import pytest

from tests.http.devices import house, instead
from watchword.drivers import feed as module
from watchword.drivers.feed import Feed
from watchword.errors import Unavailable
from watchword.storage.memory import MemoryStore


class AtOnce:
    """Implements `Hints`; counts the looks."""

    def __init__(self) -> None:
        self.looks = 0

    async def wait(self, seconds: float) -> None:
        self.looks += 1
        await asyncio.sleep(0)


@pytest.mark.parametrize("error", [Unavailable, ValueError])
async def test_an_outage_is_told_once_and_its_end_too(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    """ASVS 16.3.4."""
    monkeypatch.setattr(module, "POLL_SECONDS", 0.0)
    home, hints = await house(), AtOnce()
    store = home.auth.world.store
    assert isinstance(store, MemoryStore)

    async def silent(*, since: int) -> None:
        raise error("silent")

    async def looks(more: int) -> None:
        target = hints.looks + more
        for _ in range(1000):
            if hints.looks >= target:
                return
            await asyncio.sleep(0)
        raise AssertionError("it looks no more")

    following = asyncio.create_task(Feed(home.auth.world, hints).follow())
    try:
        await looks(3)
        instead(store, "read_revocations", silent)
        await looks(5)
        del store.__dict__["read_revocations"]
        await looks(5)
        told = [(event.name, event.detail) for event in home.events[1:]]
        assert told == [("control_failed", "revocations"), ("control_restored", "revocations")]
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
