"""The loops in a thread of their own, asked from others."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext

import pytest

from tests.drivers.neighbours import session_of
from watchword.auth import Watchword
from watchword.core import access_token
from watchword.core.session import Principal
from watchword.drivers import background
from watchword.drivers.background import Background
from watchword.drivers.hasher import Argon2Hasher
from watchword.errors import NotFound, SessionEnded, Unavailable
from watchword.ports import RevocationPage
from watchword.settings import Settings
from watchword.storage.memory import MemoryStore
from watchword.testing import TravellingClock

EMAIL = "ada@example.com"
THREADS = 8


class Silenced(MemoryStore):
    """Answers nothing about revocations while it is silent. Implements `ports.Store`."""

    silent = False

    async def read_revocations(self, *, since: int) -> RevocationPage:
        if self.silent:
            raise Unavailable
        return await super().read_revocations(since=since)


class Home:
    """A Watchword over such a store, and what signs in to it."""

    def __init__(self) -> None:
        self.clock = TravellingClock()
        self.store = Silenced(self.clock)
        settings = Settings.parse(
            {
                "secret": "kX3vQz8LmN1pR6tYw0aBcDeFgHiJk-test-secret",
                "database_url": "memory:",
                "mode": "bearer",
            }
        )
        hasher = Argon2Hasher(threads=1, memory=8, passes=1)
        self.auth = Watchword(settings, store=self.store, hasher=hasher, clock=self.clock)

    def headers(self, principal: Principal) -> list[tuple[bytes, bytes]]:
        token = self.auth.world.access_tokens.issue(
            user_id=principal.id,
            sid=principal.sid,
            jti=principal.sid,
            roles=(),
            amr=("pwd",),
            auth_time=principal.auth_time,
            issued_at=principal.issued_at,
            ends_at=principal.expires_at,
        )
        return [(b"authorization", f"Bearer {token}".encode())]


@pytest.fixture
def home() -> Home:
    return Home()


def test_between_start_and_stop_headers_are_judged_in_any_thread(home: Home) -> None:
    """DESIGN §4.3: and nowhere else is anybody let through."""
    with home.auth.running() as running:
        principal, other = (running.run(session_of(home.auth, EMAIL)) for _ in range(2))
        headers = home.headers(principal)
        with ThreadPoolExecutor(THREADS) as pool:
            found = list(pool.map(lambda _: home.auth.authenticate(headers), range(THREADS)))
        assert {one.sid for one in found if one} == {principal.sid}
        running.run(home.auth.sessions.revoke(principal.sid))
        with pytest.raises(SessionEnded):
            home.auth.authenticate(headers)
    home.clock.travel("4s")
    with pytest.raises(Unavailable):
        home.auth.authenticate(home.headers(other))


def test_revocations_that_are_not_read_any_more_are_unavailable(home: Home) -> None:
    """I6; ASVS 16.5.3: 503, and never a pass; and soon well again."""
    with home.auth.running() as running:
        headers = home.headers(running.run(session_of(home.auth, EMAIL)))
        home.store.silent = True
        home.clock.travel("4s")
        with pytest.raises(Unavailable) as refused:
            home.auth.authenticate(headers)
        assert (refused.value.status, refused.value.retry_after) == (503, 1)
        home.store.silent = False
        deadline = time.monotonic() + 30
        while True:
            try:
                assert home.auth.authenticate(headers) is not None
                break
            except Unavailable:
                assert time.monotonic() < deadline
                time.sleep(0.02)


def test_many_threads_share_a_cache_that_is_full_while_sessions_end(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ASVS 15.4.1, F13: no request fails by what another thread does to the same maps."""
    monkeypatch.setattr(access_token, "CACHE_SIZE", 3)
    with home.auth.running() as running:
        people = [running.run(session_of(home.auth, EMAIL)) for _ in range(12)]
        headers = [home.headers(principal) for principal in people]
        live, stop = set(range(6)), threading.Event()

        def ask(number: int) -> int:
            asked = 0
            while not stop.is_set():
                which = (number + asked) % len(people)
                try:
                    assert home.auth.authenticate(headers[which]) is not None
                except SessionEnded:
                    assert which not in live
                asked += 1
            return asked

        with ThreadPoolExecutor(THREADS) as pool:
            asking = [pool.submit(ask, number) for number in range(THREADS)]
            for principal in people[6:]:
                running.run(home.auth.sessions.revoke(principal.sid))
            stop.set()
            assert all(job.result(60) >= 0 for job in asking)
        for number, header in enumerate(headers):
            if number in live:
                assert home.auth.authenticate(header) is not None
            else:
                with pytest.raises(SessionEnded):
                    home.auth.authenticate(header)


def test_what_a_coroutine_raises_reaches_who_waits_for_it(home: Home) -> None:
    with home.auth.running() as running:
        with pytest.raises(NotFound):
            running.run(home.auth.users.get("nobody"))
        with pytest.raises(TimeoutError):
            running.run(asyncio.sleep(60), timeout=0.01)


def test_who_asks_before_or_behind_is_told_that_nothing_runs(home: Home) -> None:
    running = home.auth.running()
    with pytest.raises(Unavailable):
        running.run(home.auth.users.get("nobody"))
    running.start()
    with pytest.raises(RuntimeError):
        running.start()
    running.stop()
    running.stop()
    with pytest.raises(Unavailable):
        running.run(home.auth.users.get("nobody"))
    with running:
        assert running.run(home.auth.users.list()) == []


def test_who_waits_when_it_is_stopped_is_told(home: Home) -> None:
    with ThreadPoolExecutor(1) as pool, home.auth.running() as running:
        begun = threading.Event()

        async def wait() -> None:
            begun.set()
            await asyncio.sleep(60)

        waiting = pool.submit(lambda: running.run(wait()))
        assert begun.wait(30)
        running.stop()
        with pytest.raises(Unavailable):
            waiting.result(30)


def test_the_thread_of_the_loops_does_not_wait_for_itself(home: Home) -> None:
    with home.auth.running() as running:

        async def ask() -> object:
            return running.run(home.auth.users.list())

        with pytest.raises(RuntimeError):
            running.run(ask())


def test_what_keeps_it_from_starting_is_raised_where_it_was_started() -> None:
    """I6: a database that is not there is no reason to begin without it."""

    class Failing(nullcontext[None]):
        async def __aenter__(self) -> None:
            raise Unavailable("no database")

    running = Background(Failing)
    with pytest.raises(Unavailable, match="no database"):
        running.start()
    with pytest.raises(Unavailable, match="no database"):
        running.start()


def test_a_start_that_takes_too_long_is_undone_and_can_be_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """F3: nothing of the first try is left, neither its thread nor what its lifespan holds."""
    entered, left = threading.Event(), []

    class Hanging(nullcontext[None]):
        async def __aenter__(self) -> None:
            entered.set()
            try:
                await asyncio.Event().wait()
            finally:
                left.append(self)

    def patience(futures: list[Future[None]], timeout: float) -> None:
        assert entered.wait(30)

    lifespans = iter([Hanging(), nullcontext()])
    running = Background(lambda: next(lifespans))
    with monkeypatch.context() as hasty:
        hasty.setattr(background, "wait", patience)
        with pytest.raises(Unavailable, match="did not start in time"):
            running.start()
    assert len(left) == 1
    assert running._thread is not None
    assert not running._thread.is_alive()
    with running:
        assert running.run(asyncio.sleep(0, "well")) == "well"


def test_a_start_that_is_given_up_before_it_has_a_loop_enters_no_lifespan(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given_up, entered = threading.Event(), []

    class Late(Future[None]):
        def set_running_or_notify_cancel(self) -> bool:
            assert given_up.wait(30)
            return super().set_running_or_notify_cancel()

        def cancel(self) -> bool:
            cancelled = super().cancel()
            given_up.set()
            return cancelled

    def lifespan() -> nullcontext[None]:
        entered.append(True)
        return nullcontext()

    monkeypatch.setattr(background, "START_SECONDS", 0)
    monkeypatch.setattr(background, "Future", Late)
    running = Background(lifespan)
    with pytest.raises(Unavailable, match="did not start in time"):
        running.start()
    assert not entered
    assert running._thread is not None
    assert not running._thread.is_alive()


def test_a_timeout_of_the_lifespan_itself_is_told_as_that() -> None:
    class Failing(nullcontext[None]):
        async def __aenter__(self) -> None:
            raise TimeoutError("of the app")

    with pytest.raises(TimeoutError, match="of the app"):
        Background(Failing).start()
