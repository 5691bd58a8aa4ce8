"""The recorder: events reach log, file, sink and table, through outages of each, in bounded memory."""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from tests.databases import migrated_file
from watchword.core.record import REFUSAL_RATE, Recorded
from watchword.drivers import recorder as module
from watchword.drivers.clock import SystemClock
from watchword.drivers.journal import Journal
from watchword.drivers.recorder import BATCH, Recorder
from watchword.errors import Unavailable
from watchword.events import ACCESS_DENIED, CODE_REFUSED, CONTROL_FAILED, SIGN_IN_FAILED, SIGNED_IN, Event
from watchword.ports import EventSink
from watchword.storage.memory import MemoryStore
from watchword.storage.sql.sqlite import SqliteStore
from watchword.testing import TravellingClock


class Shaky(MemoryStore):
    """Does not answer while `away`, answers only after it has written while `deaf`, and takes no event of `refused`."""

    def __init__(self) -> None:
        super().__init__(TravellingClock())
        self.away = self.deaf = False
        self.refused: set[str] = set()
        self.batches: list[int] = []

    async def append_events(self, events: Sequence[Recorded]) -> None:
        if self.away:
            raise Unavailable
        if any(row.event.detail in self.refused for row in events):
            raise ValueError("a value that no table takes")
        await super().append_events(events)
        self.batches.append(len(events))
        if self.deaf:
            raise Unavailable

    def rows(self) -> list[Event]:
        return [row.event for _, row in sorted(self._events.items())]


def recording(
    store: Shaky, *, journal: Journal | None = None, sink: EventSink | None = None, clock: int = 10**15
) -> Recorder:
    return Recorder(store, TravellingClock(micros=clock), journal=journal, sink=sink)


def event(number: int, name: str = SIGNED_IN, detail: str | None = None) -> Event:
    return Event(name, 10**15 + number, detail=str(number) if detail is None else detail)


async def test_an_event_reaches_every_place(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """ASVS 16.2.3: log, file and sink at once, the table with the next flush, under one id."""
    store, told, file = Shaky(), list[Event](), tmp_path / "events.jsonl"
    record = recording(store, journal=Journal(file), sink=told.append)
    with caplog.at_level(logging.INFO, "watchword.events"):
        record(event(1))
    [line] = [json.loads(text) for text in file.read_text().splitlines()]
    [logged] = caplog.records
    assert told == [event(1)]
    assert (store.rows(), record.waiting) == ([], 1)
    await record.flush()
    [row] = await store.list_events(None, before=None, limit=9)
    assert row.event == event(1)
    assert logged.__dict__["event"] == event(1)
    assert line["id"] == row.id == logged.__dict__["event_id"]
    assert record.waiting == 0


async def test_a_sink_that_fails_is_logged_and_costs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    store = Shaky()
    record = recording(store, sink=lambda _: 1 / 0)  # type: ignore[arg-type]
    record(event(1))
    await record.flush()
    assert store.rows() == [event(1)]
    assert "on_event failed for signed_in" in caplog.text


async def test_ids_are_in_the_order_of_events_whatever_the_clock_does() -> None:
    """F8: a clock that stands still, or goes back by an hour."""
    store, clock = Shaky(), TravellingClock()
    record = Recorder(store, clock, journal=None, sink=None)
    for number in range(300):
        if number == 150:
            clock.travel(timedelta(hours=-1))
        record(event(number))
    await record.flush()
    assert [row.detail for row in store.rows()] == [str(number) for number in range(300)]


async def test_rows_are_written_in_batches() -> None:
    store = Shaky()
    record = recording(store)
    for number in range(2 * BATCH + 1):
        record(event(number))
    await record.flush()
    assert store.batches == [BATCH, BATCH, 1]
    await record.flush()
    assert store.batches == [BATCH, BATCH, 1]


async def test_while_the_table_is_away_events_wait_and_come_later_once_each(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """F3: and it is told once that they have to, and that they need not any more (ASVS 16.3.4)."""
    store = Shaky()
    record = recording(store)
    store.away = True
    for number in range(5):
        record(event(number))
        with pytest.raises(Unavailable):
            await record.flush()
    assert caplog.text.count("events have to wait for the database") == 1
    store.away = False
    await record.flush()
    await record.flush()
    names = [row.name for row in store.rows()]
    assert names == ["signed_in", "control_failed", *["signed_in"] * 4, "control_restored"]
    assert [row.detail for row in store.rows() if row.name == "signed_in"] == list("01234")


async def test_an_answer_that_was_lost_makes_no_row_twice() -> None:
    """F4: the table has it, and the recorder does not know."""
    store = Shaky()
    record = recording(store)
    record(event(1))
    store.deaf = True
    with pytest.raises(Unavailable):
        await record.flush()
    store.deaf = False
    await record.flush()
    assert [row.detail for row in store.rows() if row.name == SIGNED_IN] == ["1"]
    assert record.waiting == 0


async def test_two_who_flush_at_once_write_each_row_once_and_leave_none(tmp_path: Path) -> None:
    database = migrated_file(tmp_path / "watchword.db")
    store = SqliteStore(database, SystemClock())
    record = Recorder(store, SystemClock(), journal=None, sink=None)
    try:
        for number in range(1000):
            record(event(number))
        await asyncio.gather(*(record.flush() for _ in range(4)))
        await record.flush()
        rows = await store.list_events(None, before=None, limit=2000)
        assert [row.event for row in reversed(rows)] == [event(number) for number in range(1000)]
    finally:
        await store.close()


async def test_a_flood_is_bounded_and_what_was_given_up_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F15: the oldest go, from the table alone."""
    monkeypatch.setattr(module, "MOST_WAITING", 500)
    store, file = Shaky(), tmp_path / "events.jsonl"
    record = recording(store, journal=Journal(file))
    store.away = True
    record(event(0))
    with pytest.raises(Unavailable):
        await record.flush()  # from here on one is under way, and control_failed waits
    for number in range(1, 2001):
        record(event(number, SIGN_IN_FAILED))
    assert record.waiting == 501
    store.away = False
    await record.drain()
    rows = store.rows()
    assert rows[0] == event(0)
    assert [row.detail for row in rows if row.name == SIGN_IN_FAILED] == [str(n) for n in range(1502, 2001)]
    assert [row.name for row in rows if row.name.startswith("control")] == ["control_restored"]
    lost = sum(int(row.detail or 0) for row in rows if row.name == "events_lost")
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert len(lines) == len(rows) + lost
    assert [line["detail"] for line in lines if line["name"] == SIGN_IN_FAILED] == [
        str(number) for number in range(1, 2001)
    ]


async def test_a_flood_of_refusals_fills_no_disk_and_hides_nothing_else(tmp_path: Path) -> None:
    """F14, F15: a stranger makes them as fast as they are answered; the file has each, the table a
    number."""
    store, clock, file = Shaky(), TravellingClock(), tmp_path / "events.jsonl"
    record = Recorder(store, clock, journal=Journal(file), sink=None)
    for number in range(3 * REFUSAL_RATE.count):
        record(event(number, ACCESS_DENIED))
        if number % 100 == 0:
            record(event(number, SIGN_IN_FAILED))
            await record.flush()
    await record.flush()

    def count(name: str) -> int:
        return sum(row.name == name for row in store.rows())

    assert (count(ACCESS_DENIED), count(SIGN_IN_FAILED)) == (REFUSAL_RATE.count, 30)
    assert count("events_lost") == 1, "no flood of its own"
    clock.travel("1m")
    record(event(0, ACCESS_DENIED))
    await record.drain()
    assert count(ACCESS_DENIED) == REFUSAL_RATE.count + 1
    lost = [int(row.detail or 0) for row in store.rows() if row.name == "events_lost"]
    assert (len(lost), sum(lost)) == (2, 2 * REFUSAL_RATE.count)
    names = [json.loads(line)["name"] for line in file.read_text().splitlines()]
    assert names.count(ACCESS_DENIED) == 3 * REFUSAL_RATE.count + 1


async def test_no_event_hides_behind_the_noise_of_another() -> None:
    """ASVS 16.3.4: forged tokens cost their sender nothing, and must not keep a failing control out of the table."""
    store = Shaky()
    record = Recorder(store, TravellingClock(), journal=None, sink=None)
    for number in range(2 * REFUSAL_RATE.count):
        record(event(number, ACCESS_DENIED))
        record(event(number, CONTROL_FAILED, "limits login"))
    for number, detail in enumerate(("events_file", "revocations")):
        record(event(number, CONTROL_FAILED, detail))
    record(event(0, CODE_REFUSED))
    await record.drain()
    names = [row.name for row in store.rows()]
    assert names.count(ACCESS_DENIED) == REFUSAL_RATE.count
    assert names.count(CONTROL_FAILED) == REFUSAL_RATE.count + 2
    assert names.count(CODE_REFUSED) == 1


async def test_a_log_that_raises_undoes_nothing(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """F12: what an app's handler does with an event is not a reason to answer a sign-in by a failure."""

    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise RuntimeError("the log is full")

    store, handler, log = Shaky(), Broken(), logging.getLogger("watchword.events")
    record = Recorder(store, TravellingClock(), journal=None, sink=None)
    log.addHandler(handler)
    try:
        with caplog.at_level(logging.INFO, "watchword.events"):
            record(event(0, CODE_REFUSED))
    finally:
        log.removeHandler(handler)
    await record.drain()
    assert [row.name for row in store.rows()] == [CODE_REFUSED]
    assert "the log is full" in capsys.readouterr().err


async def test_a_row_that_the_table_refuses_keeps_no_other_out(caplog: pytest.LogCaptureFixture) -> None:
    store = Shaky()
    store.refused = {"3"}
    record = recording(store)
    for number in range(6):
        record(event(number))
    await record.flush()
    await record.flush()
    assert [(row.name, row.detail) for row in store.rows()] == [
        *((SIGNED_IN, text) for text in "01245"),
        ("events_lost", "1"),
    ]
    assert "the table does not take an event signed_in" in caplog.text


async def test_a_table_that_refuses_everything_is_given_up_on_in_the_end() -> None:
    """Else each event about lost events would be lost and make another."""
    store = Shaky()
    store.refused = {"0", "1"}
    record = recording(store)
    record(event(0))
    for _ in range(5):
        await record.flush()
    assert record.waiting == 0
    assert store.rows() == []


@pytest.mark.parametrize("early", [True, False], ids=["at start", "later"])
async def test_a_file_that_cannot_be_written_is_told_once_and_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, early: bool
) -> None:
    """ASVS 16.3.4, 16.5.2."""
    store, folder = Shaky(), tmp_path / "logs"
    record = recording(store, journal=Journal(folder / "events.jsonl"))
    if early:
        record.start()
    for number in range(3):
        record(event(number))
    assert caplog.text.count("cannot be written") == 1
    folder.mkdir()
    record(event(3))
    await record.flush()
    assert "it lacks 4 events" in caplog.text, "three, and the one that says so"
    names = [row.name for row in store.rows()]
    assert sorted(names) == ["control_failed", "control_restored", *["signed_in"] * 4]
    assert {row.detail for row in store.rows() if row.name.startswith("control")} == {"events_file"}
    lines = [json.loads(line)["name"] for line in (folder / "events.jsonl").read_text().splitlines()]
    assert lines == ["signed_in", "control_restored"]


async def test_any_thread_may_tell() -> None:
    """ASVS 15.4.1."""
    store = Shaky()
    record = recording(store)

    def tell() -> None:
        for number in range(200):
            record(event(number))

    threads = [threading.Thread(target=tell) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    await record.flush()
    assert len(store.rows()) == 800


async def test_no_hostile_text_stops_the_table(tmp_path: Path) -> None:
    """Attack 95: what a driver refuses, NUL and half a pair, is not handed to it."""
    database = migrated_file(tmp_path / "watchword.db")
    store = SqliteStore(database, SystemClock())
    record = Recorder(store, SystemClock(), journal=None, sink=None)
    try:
        record(Event(SIGNED_IN, 1, user_id="\x00", sid="\ud800", ip="\x1b", detail="\u202e'; --", by="\n"))
        await record.flush()
        [row] = await store.list_events(None, before=None, limit=9)
        assert row.event.detail == "\N{REPLACEMENT CHARACTER}'; --"
    finally:
        await store.close()


async def until(done: Callable[[], bool]) -> None:
    for _ in range(1000):
        if done():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it did not come to pass")


async def test_a_locked_database_delays_rows_and_nobody_else(tmp_path: Path) -> None:
    """F3, F14: another process holds SQLite's write lock; every row is there when it lets go, once."""
    database = migrated_file(tmp_path / "watchword.db")
    store = SqliteStore(database, SystemClock(), patience=0.05)
    record = Recorder(store, SystemClock(), journal=None, sink=None)
    loop = asyncio.create_task(record.run())
    try:
        with closing(sqlite3.connect(database, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            for number in range(3):
                record(event(number))
            with pytest.raises(Unavailable):
                await record.flush()
            assert await store.list_events(None, before=None, limit=9) == [], "reading goes on"
            other.execute("ROLLBACK")
        await until(lambda: record.waiting == 0)
        rows = await store.list_events(None, before=None, limit=99)
        assert [row.event.detail for row in reversed(rows) if row.event.name == SIGNED_IN] == list("012")
    finally:
        loop.cancel()
        await asyncio.gather(loop, return_exceptions=True)
        await store.close()


async def test_a_process_that_ends_writes_what_waits_and_says_what_it_could_not(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F20: within its time."""
    store = Shaky()
    record = recording(store)
    record(event(1))
    await record.drain()
    assert store.rows() == [event(1)]
    store.away = True
    record(event(2))
    await record.drain()
    assert "events were not written into the table" in caplog.text
