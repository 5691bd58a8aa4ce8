"""Watching a session: it ends with the session, however that ends, and never stays open when nobody can tell.

The ticks of the loop are shortened, the clock of sessions is moved; the database is one that a test can silence.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from watchword.auth import Watchword
from watchword.core.revocation import Revoked
from watchword.core.session import End, Principal
from watchword.drivers import watch
from watchword.drivers.hasher import Argon2Hasher
from watchword.drivers.watch import Watchers
from watchword.errors import Unavailable
from watchword.flows.follow import poll
from watchword.ports import LoadedSession, RevocationPage
from watchword.settings import Settings
from watchword.storage.memory import MemoryStore
from watchword.testing import TravellingClock, sign_in_as

EMAIL = "ada@example.com"
TICK = 0.01


class Silenced(MemoryStore):
    """Counts what it is asked, and answers nothing while it is silent. Implements `ports.Store`."""

    silent = False
    asked = 0

    async def load_session(self, sid: str) -> LoadedSession | None:
        self.asked += 1
        if self.silent:
            raise Unavailable
        return await super().load_session(sid)

    async def read_revocations(self, *, since: int) -> RevocationPage:
        if self.silent:
            raise Unavailable
        return await super().read_revocations(since=since)


class Home:
    """A Watchword whose revocations are read when the test says so."""

    def __init__(self) -> None:
        self.clock = TravellingClock()
        self.store = Silenced(self.clock)
        texts = {
            "secret": "kX3vQz8LmN1pR6tYw0aBcDeFgHiJk-test-secret",
            "database_url": "memory:",
            "limits": "off",
        }
        hasher = Argon2Hasher(threads=1, memory=8, passes=1)
        self.auth = Watchword(Settings.parse(texts), store=self.store, hasher=hasher, clock=self.clock)
        self.watchers = Watchers(self.auth.world)

    async def signed_in(self) -> Principal:
        _, headers = await sign_in_as(self.auth, EMAIL)
        await poll(self.auth.world, None)
        principal = self.auth.authenticate([(b"cookie", headers["cookie"].encode())], method="GET")
        assert principal is not None
        return principal

    async def read(self) -> None:
        await poll(self.auth.world, None)

    def travel(self, span: str) -> None:
        self.clock.travel(span)


@pytest.fixture
async def home(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Home]:
    monkeypatch.setattr(watch, "TICK_SECONDS", TICK)
    monkeypatch.setattr(watch, "ASK_SECONDS", 3 * TICK)
    monkeypatch.setattr(watch, "PATIENCE_SECONDS", 20 * TICK)
    home = Home()
    home.watchers.open()
    following = asyncio.create_task(home.watchers.follow())
    await asyncio.sleep(0)
    yield home
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)


async def begun(home: Home, principal: Principal) -> asyncio.Task[str]:
    watching = asyncio.create_task(home.watchers.wait(principal))
    await asyncio.sleep(0)
    return watching


async def said(watching: asyncio.Task[str]) -> str:
    async with asyncio.timeout(5):
        return await watching


async def some_ticks(count: int = 5) -> None:
    await asyncio.sleep(count * TICK)


async def test_it_returns_when_the_session_is_ended_here(home: Home) -> None:
    """ASVS 7.4.1."""
    principal = await home.signed_in()
    watching = await begun(home, principal)
    await home.auth.sessions.revoke(principal.sid)
    assert await said(watching) == "session_ended"


async def test_it_returns_when_another_process_is_heard_to_have_ended_it(home: Home) -> None:
    watching = await begun(home, principal := await home.signed_in())
    home.auth.world.revocations.add([Revoked(principal.sid, home.clock.now())])
    assert await said(watching) == "session_ended"


async def test_it_returns_when_a_thread_takes_the_end_in(home: Home) -> None:
    watching = await begun(home, principal := await home.signed_in())
    ended = [Revoked(principal.sid, home.clock.now())]
    await asyncio.to_thread(home.auth.world.revocations.add, ended)
    assert await said(watching) == "session_ended"


async def test_what_was_revoked_between_the_guard_and_the_handler_counts(home: Home) -> None:
    """Attack 21: no race between check and act."""
    principal = await home.signed_in()
    await home.auth.sessions.revoke(principal.sid)
    assert await said(await begun(home, principal)) == "session_ended"


async def test_other_sessions_of_the_user_go_on(home: Home) -> None:
    mine, other = await home.signed_in(), await home.signed_in()
    watching = await begun(home, mine)
    await home.auth.sessions.revoke(other.sid)
    await some_ticks()
    assert not watching.done()
    watching.cancel()


async def test_new_roles_end_it_and_later_tokens_are_not_concerned(home: Home) -> None:
    """ASVS 8.3.2: who holds a newer token watches on."""
    principal = await home.signed_in()
    newer = replace(principal, issued_at=principal.issued_at + 10)
    before, after = await begun(home, principal), await begun(home, newer)
    await home.auth.users.set_roles(EMAIL, ["owner"])
    assert await said(before) == "token_expired"
    assert not after.done()
    after.cancel()


async def test_a_session_that_goes_on_outlives_its_access_token(home: Home) -> None:
    """Looked up once, when the token expires; then not before the session's own end."""
    watching = await begun(home, await home.signed_in())
    home.store.asked = 0
    await some_ticks()
    assert home.store.asked == 0
    home.travel("16m")
    await home.read()
    await some_ticks(10)
    assert not watching.done()
    assert home.store.asked == 1
    watching.cancel()


@pytest.mark.parametrize("span", ["8d", "31d"])
async def test_it_returns_when_the_sessions_time_is_over(home: Home, span: str) -> None:
    """ASVS 7.3.1, 7.3.2: idle for a week, or as old as a session may be."""
    watching = await begun(home, await home.signed_in())
    home.travel("16m")
    await home.read()
    await some_ticks()
    assert not watching.done()
    home.travel(span)
    await home.read()
    assert await said(watching) == "session_ended"


async def test_while_revocations_are_not_read_sessions_are_looked_up(home: Home) -> None:
    """I6: what the feed would have told is found all the same."""
    principal, other = await home.signed_in(), await home.signed_in()
    watching, living = await begun(home, principal), await begun(home, other)
    home.travel("4s")
    assert home.auth.world.revocations.stale(home.clock.now())
    await MemoryStore.end_session(home.store, principal.sid, End.LOGOUT, now=home.clock.now())
    assert await said(watching) == "session_ended"
    await asyncio.sleep(2 * watch.PATIENCE_SECONDS)
    assert not living.done(), "it is live, and the database says so"
    living.cancel()


async def test_it_ends_when_nobody_can_tell_for_too_long(home: Home) -> None:
    """I6: neither the feed nor the database; not before its patience ends, as a restart must not close everything."""
    watching = await begun(home, await home.signed_in())
    home.store.silent = True
    home.travel("4s")
    since = time.monotonic()
    assert await said(watching) == "unavailable"
    assert time.monotonic() - since >= watch.PATIENCE_SECONDS


async def test_a_database_that_comes_back_in_time_ends_nothing(home: Home) -> None:
    watching = await begun(home, await home.signed_in())
    home.store.silent = True
    home.travel("4s")
    await some_ticks(10)
    home.store.silent = False
    await home.read()
    await asyncio.sleep(2 * watch.PATIENCE_SECONDS)
    assert not watching.done()
    watching.cancel()


async def test_a_token_that_has_expired_meanwhile_needs_the_database_even_if_the_feed_is_read(
    home: Home,
) -> None:
    watching = await begun(home, await home.signed_in())
    home.travel("16m")
    await home.read()
    home.store.silent = True
    assert await said(watching) == "unavailable"


async def test_watchers_that_are_cancelled_leave_nothing_behind(home: Home) -> None:
    principal = await home.signed_in()
    watching = [await begun(home, principal) for _ in range(3)]
    assert len(home.watchers) == 3
    for task in watching:
        task.cancel()
    await asyncio.gather(*watching, return_exceptions=True)
    assert len(home.watchers) == 0
    assert home.watchers._watched.by_user == {}


async def test_ten_thousand_watchers_cost_no_task_and_no_question(home: Home) -> None:
    """And the end of one session wakes its own alone."""
    principal = await home.signed_in()
    home.store.asked = 0
    tasks = len(asyncio.all_tasks())
    waiting = [home.watchers.wait(replace(principal, sid=str(number))) for number in range(10_000)]
    for one in waiting:
        one.send(None)  # a coroutine that somebody awaits; no task
    assert len(home.watchers) == 10_000
    gc.collect()
    began = time.perf_counter()
    assert home.watchers._doubtful() == []
    took = time.perf_counter() - began
    assert len(asyncio.all_tasks()) == tasks
    assert home.store.asked == 0
    assert took < 0.5
    home.auth.world.revocations.add([Revoked("7", home.clock.now())])
    await some_ticks()
    woken = [watcher.principal.sid for watcher in home.watchers._watched.all() if watcher.told.done()]
    assert woken == ["7"]
    for one in waiting:
        one.close()
    assert len(home.watchers) == 0


async def test_it_takes_a_running_lifespan_and_ends_with_it(tmp_path: Path) -> None:
    home = Home()
    principal = await home.signed_in()
    with pytest.raises(Unavailable):
        await home.auth.watch(principal)
    async with home.auth.lifespan():
        watching = asyncio.create_task(home.auth.watch(principal))
        await asyncio.sleep(0)
    assert await said(watching) == "unavailable"


async def test_a_server_that_stops_lets_watchers_go_before_its_lifespan_ends() -> None:
    """F16: their sockets are what it would wait for."""
    home = Home()
    principal = await home.signed_in()
    async with home.auth.lifespan():
        watching = asyncio.create_task(home.auth.watch(principal))
        await asyncio.sleep(0)
        home.auth.site.readiness.leave()
        await asyncio.sleep(0)
        assert not watching.done(), "its socket would only be opened again, and here"
        home.auth.site.readiness.close()
        assert await said(watching) == "unavailable"
