"""The hub and the lines to it, over a real socket: what several processes' numbers are as one, and what is left of one
that is gone, silent or back again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.http.devices import house, instead
from watchword import meters
from watchword.drivers import metrics
from watchword.errors import Unavailable
from watchword.server import hub as hubs
from watchword.server import link as links
from watchword.server.hub import Hub
from watchword.server.link import linked

ROTATED, HASHING, AGE = meters.REFRESHES.name, meters.HASH_RUNNING.name, meters.FEED_AGE.name


@dataclass
class Process:
    """One that says what it is told to."""

    name: str
    rows: list[Any]
    ready: bool = True
    answers: bool = True
    deaf_to: str = ""
    asked: list[str] = field(default_factory=list)
    writer: asyncio.StreamWriter | None = None

    async def serve(self, path: str) -> None:
        reader, self.writer = await asyncio.open_unix_connection(path)
        self.say({"name": self.name, "rows": self.rows})
        try:
            while line := await reader.readline():
                asked = json.loads(line)
                self.asked.append(asked["ask"])
                if self.answers and asked["ask"] != self.deaf_to:
                    self.say({"id": asked["id"], "ready": self.ready, **self._told(asked["ask"])})
        except OSError:
            pass  # the other end was faster
        finally:
            self.writer.close()

    def _told(self, what: str) -> dict[str, Any]:
        if what == hubs.MAIL:
            return {"of": hubs.MAIL, "rows": [[meters.MAIL_WAITING.name, [], 3]]}
        return {"rows": self.rows}

    def say(self, message: dict[str, Any]) -> None:
        assert self.writer is not None
        self.writer.write(json.dumps(message).encode() + b"\n")

    async def end(self) -> None:
        assert self.writer is not None
        self.writer.close()
        await self.writer.wait_closed()


def process(name: str, rotated: float, *, hashing: float = 0, age: float = 0.1, **options: Any) -> Process:
    rows = [[ROTATED, ["rotate"], rotated], [HASHING, [], hashing], [AGE, [], age]]
    return Process(name, rows, **options)


@asynccontextmanager
async def joined(path: Path, *processes: Process) -> AsyncIterator[Hub]:
    """A hub, and the processes' lines to it."""
    hub = Hub()
    await hub.open(str(path / "hub"))
    lines = [asyncio.create_task(each.serve(str(path / "hub"))) for each in processes]
    try:
        await until(lambda: len(hub._workers) == len(processes) and all(w.rows for w in hub._workers))
        yield hub
    finally:
        for line in lines:
            line.cancel()
        await asyncio.gather(*lines, return_exceptions=True)
        await hub.close()


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.01)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hubs, "ASK_SECONDS", 0.2)


async def test_all_processes_are_one_and_mail_is_counted_once(tmp_path: Path) -> None:
    a, b = process("a", 2, hashing=1, age=0.2), process("b", 3, hashing=2, age=0.7)
    async with joined(tmp_path, a, b) as hub:
        values = await hub.values()
    assert values[ROTATED, ("rotate",)] == 5
    assert values[HASHING, ()] == 3
    assert values[AGE, ()] == 0.7
    assert values[meters.MAIL_WAITING.name, ()] == 3
    assert values[meters.WORKERS.name, ("answering",)] == 2


async def test_of_a_process_that_is_gone_its_counts_stay_and_nothing_else(tmp_path: Path) -> None:
    a, b = process("a", 2, hashing=1), process("b", 3, hashing=2, age=9)
    async with joined(tmp_path, a, b) as hub:
        await b.end()
        await until(lambda: len(hub._workers) == 1)
        values = await hub.values()
    assert values[ROTATED, ("rotate",)] == 5
    assert values[HASHING, ()] == 1
    assert values[AGE, ()] == 0.1
    assert values[meters.WORKERS.name, ("answering",)] == 1
    assert values[meters.WORKERS.name, ("silent",)] == 0


async def test_counts_that_were_told_unasked_are_not_lost_with_their_process(tmp_path: Path) -> None:
    a = process("a", 2)
    async with joined(tmp_path, a) as hub:
        a.say({"rows": [[ROTATED, ["rotate"], 7]]})
        await a.end()
        await until(lambda: not hub._workers)
        assert (await hub.values())[ROTATED, ("rotate",)] == 7


async def test_who_comes_back_is_not_counted_twice(tmp_path: Path) -> None:
    a, again = process("a", 2), process("a", 4)
    async with joined(tmp_path, a) as hub:
        await a.end()
        await until(lambda: not hub._workers)
        line = asyncio.create_task(again.serve(str(tmp_path / "hub")))
        await until(lambda: any(worker.rows for worker in hub._workers))
        assert (await hub.values())[ROTATED, ("rotate",)] == 4
        line.cancel()


async def test_a_silent_process_is_told_and_its_feed_grows_older(tmp_path: Path, hasty: None) -> None:
    a, b = process("a", 2, hashing=1), process("b", 3, hashing=2, age=5, answers=False)
    async with joined(tmp_path, a, b) as hub:
        values = await hub.values()
        assert values[ROTATED, ("rotate",)] == 5
        assert values[HASHING, ()] == 1
        assert values[AGE, ()] >= 5.2
        assert values[meters.WORKERS.name, ("silent",)] == 1
        assert await hub.live()
        assert await hub.ready()


async def test_all_are_asked_about_the_database_at_once_and_without_an_answer_it_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F3: one after the other would take longer than who scrapes waits, and no number is no alert."""
    assert 2 * metrics.ASK_SECONDS <= hubs.ASK_SECONDS
    monkeypatch.setattr(hubs, "ASK_SECONDS", 60)
    a, b = process("a", 2, deaf_to=hubs.MAIL), process("b", 3, deaf_to=hubs.MAIL)
    async with joined(tmp_path, a, b) as hub:
        scrape = asyncio.create_task(hub.values())
        await until(lambda: hubs.MAIL in a.asked and hubs.MAIL in b.asked)
        await a.end()
        await b.end()
        values = await scrape
    assert values[meters.DATABASE_UP.name, ()] == 0
    assert (meters.MAIL_WAITING.name, ()) not in values


async def test_who_answers_first_about_the_database_is_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hubs, "ASK_SECONDS", 60)
    deaf = [process(name, 1, deaf_to=hubs.MAIL) for name in "abc"]
    async with joined(tmp_path, *deaf, process("d", 1)) as hub:
        async with asyncio.timeout(20):
            values = await hub.values()
    assert values[meters.MAIL_WAITING.name, ()] == 3


async def test_a_database_that_hangs_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """F3: by the whole way, from the store to the scrape."""
    monkeypatch.setattr(metrics, "ASK_SECONDS", 0.05)
    home = await house()
    async with joined(tmp_path) as hub, home.auth.lifespan(), linked(home.auth, str(tmp_path / "hub")):
        await until(lambda: len(hub._workers) == 1)
        instead(home.auth.world.store, "count_mail", asyncio.Event().wait)
        values = await hub.values()
    assert values[meters.DATABASE_UP.name, ()] == 0
    assert values[meters.WORKERS.name, ("answering",)] == 1


async def test_readiness_is_that_of_all_who_answer(tmp_path: Path) -> None:
    a, b = process("a", 0), process("b", 0, ready=False)
    async with joined(tmp_path, a, b) as hub:
        assert await hub.live()
        assert not await hub.ready()
        b.ready = True
        assert await hub.ready()


async def test_without_any_process_nobody_is_alive_and_no_number_is_made_up(tmp_path: Path) -> None:
    async with joined(tmp_path) as hub:
        assert not await hub.live()
        assert not await hub.ready()
        assert await hub.values() == {
            (meters.WORKERS.name, ("answering",)): 0,
            (meters.WORKERS.name, ("silent",)): 0,
        }


async def test_however_many_are_gone_little_of_them_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F15."""
    monkeypatch.setattr(hubs, "MOST_GONE", 3)
    async with joined(tmp_path) as hub:
        for number in range(8):
            each = process(f"p{number}", 1)
            line = asyncio.create_task(each.serve(str(tmp_path / "hub")))
            await until(lambda: any(worker.rows for worker in hub._workers))
            await each.end()
            await until(lambda: not hub._workers)
            line.cancel()
        assert (await hub.values())[ROTATED, ("rotate",)] == 8
        assert len(hub._gone) == 3


async def test_what_is_no_message_ends_its_line_alone(tmp_path: Path) -> None:
    a = process("a", 2)
    async with joined(tmp_path, a) as hub:
        _, stranger = await asyncio.open_unix_connection(str(tmp_path / "hub"))
        stranger.write(b"GET / HTTP/1.1\r\n")
        await stranger.drain()
        await until(lambda: len(hub._workers) == 1)
        assert (await hub.values())[ROTATED, ("rotate",)] == 2
        stranger.close()
        await stranger.wait_closed()


async def test_a_watchword_answers_by_its_line_and_tells_its_last_counts(tmp_path: Path) -> None:
    home = await house()
    async with joined(tmp_path) as hub:
        async with home.auth.lifespan(), linked(home.auth, str(tmp_path / "hub")):
            await until(lambda: len(hub._workers) == 1)
            await home.signed_in()
            assert await hub.ready()
            values = await hub.values()
            assert values[meters.LOGINS.name, ("password", "signed_in")] == 1
            assert values[meters.DATABASE_UP.name, ()] == 1

            async def away() -> None:
                raise Unavailable

            home.auth.world.store.check = away  # type: ignore[method-assign]
            assert not await hub.ready()
            await home.device().sign_in()
        await until(lambda: not hub._workers)
        assert (await hub.values())[meters.LOGINS.name, ("password", "signed_in")] == 2


async def test_who_waits_for_the_database_is_alive_and_shows_its_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F3: a probe that restarts processes for a database that hangs would only make it worse."""
    monkeypatch.setattr(links, "READY_SECONDS", 60)
    monkeypatch.setattr(hubs, "ASK_SECONDS", 5)
    home = await house()
    async with joined(tmp_path) as hub, home.auth.lifespan(), linked(home.auth, str(tmp_path / "hub")):
        await until(lambda: len(hub._workers) == 1)
        asked, answer = asyncio.Event(), asyncio.Event()

        async def slow() -> None:
            asked.set()
            await answer.wait()

        instead(home.auth.site.readiness, "check", slow)
        ready = asyncio.create_task(hub.ready())
        await asked.wait()
        assert await hub.live()
        assert (await hub.values())[meters.WORKERS.name, ("answering",)] == 1
        answer.set()
        assert await ready


async def test_who_waits_too_long_for_the_database_says_so_before_it_seems_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F3."""
    assert links.READY_SECONDS < hubs.ASK_SECONDS
    monkeypatch.setattr(links, "READY_SECONDS", 0.05)
    home = await house()
    async with joined(tmp_path) as hub, home.auth.lifespan(), linked(home.auth, str(tmp_path / "hub")):
        await until(lambda: len(hub._workers) == 1)
        instead(home.auth.site.readiness, "check", asyncio.Event().wait)
        answers = await hub._all(hubs.READY)
    assert [answer and answer["ready"] for answer in answers] == [False]


async def test_a_line_is_taken_up_again_when_the_hub_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("watchword.server.link.TELL_SECONDS", 0.05)
    home = await house()
    async with linked(home.auth, str(tmp_path / "hub")), joined(tmp_path) as hub:
        await until(lambda: any(worker.rows for worker in hub._workers))
