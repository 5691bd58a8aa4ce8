"""SQLite on a disk that is full (F9), and beside a writer that does not let go (F10): 503 for what must be written, and
all that is read goes on."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.drivers.neighbours import jars
from tests.faults.refusals import NOWHERE
from tests.needs import small_disk
from tests.servers import Answer, Browser, Server, prepared, serving, workers_of

HOLD = 3.0 if os.environ.get("FAULTS") == "full" else 1.5
MEGABYTES = 8
CLIENTS = 8


@pytest.fixture
def disk() -> Iterator[Path]:
    with small_disk(MEGABYTES) as folder:
        yield folder


def fill(disk: Path) -> Path:
    """With a file, to the last byte."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (65_536, 4096, 1):
            try:
                while file.write(b"\0" * size):
                    pass
            except OSError:
                continue
    return filler


def is_unavailable(answer: Answer) -> bool:
    again = dict(answer.headers).get("retry-after", "")
    return (answer.status, answer.code, again.isdigit()) == (503, "unavailable", True)


def test_a_full_disk_refuses_what_is_written_and_nothing_else_until_there_is_room(
    disk: Path, measured: Callable[[str], None]
) -> None:
    """F9, I4, I6: the database, its log and the file of events are all on it; no restart is needed afterwards."""
    events = disk / "events.jsonl"
    env = prepared(f"sqlite:///{disk}/watchword.db", events_file=str(events), rotation_window="1ms")
    with serving(env) as server:
        processes = workers_of(server)
        browsers = [Browser(server.url, jar) for jar in jars(env, server.url, CLIENTS)]
        assert browsers[0].send("POST", "/auth/refresh").status == 200
        filler = fill(disk)
        refused = 0
        since = time.monotonic()
        while time.monotonic() - since < 4:  # longer than what was read of revocations is believed
            for browser in browsers:
                assert browser.send("GET", NOWHERE).status == 404
                assert browser.send("GET", "/auth/me").status == 200
                answer = browser.send("POST", "/auth/refresh")
                assert is_unavailable(answer), answer.body
                refused += 1
            login = {"email": "ada@example.com", "password": "correct horse battery staple"}
            assert is_unavailable(Browser(server.url).send("POST", "/auth/login", login))
        filler.unlink()
        for browser in browsers:
            assert browser.send("POST", "/auth/refresh").status == 200
        Browser(server.url).sign_in()
        assert browsers[0].send("POST", "/auth/logout").status == 200
        assert browsers[0].send("GET", NOWHERE).status == 401
        assert workers_of(server) == processes
        said = server.said()
    assert "disk is full" in said, "whoever is woken is told what it is"
    assert len(said.splitlines()) < 60 + 3 * refused, "and not by a flood"
    with closing(sqlite3.connect(disk / "watchword.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        told = {row[0] for row in connection.execute("SELECT name FROM ww_event")}
    assert "session_ended" in told, "the table is written again"
    lines = [json.loads(line) for line in events.read_text().splitlines() if line.startswith("{")]
    assert lines[-1]["name"] == "session_ended", "and so is the file"
    measured(f"{refused} refreshes refused with a full disk, {len(said.splitlines())} lines in the log")


def test_a_writer_of_seconds_delays_and_one_that_does_not_end_is_unavailable(
    tmp_path: Path, measured: Callable[[str], None]
) -> None:
    """F10, I4: nobody waits for much longer than 5 s, and no rotation is lost or counted twice."""
    path = tmp_path / "watchword.db"
    env = prepared(f"sqlite:///{path}", rotation_window="1ms")
    with serving(env) as server:
        browsers = [Browser(server.url, jar) for jar in jars(env, server.url, CLIENTS)]
        answers, waited = _behind_a_writer(path, browsers, server, HOLD)
        assert {answer.status for answer in answers} == {200}
        first = max(waited)
        answers, waited = _behind_a_writer(path, browsers, server, None)
        assert all(is_unavailable(answer) for answer in answers), [answer.status for answer in answers]
        for browser in browsers:
            assert browser.send("POST", "/auth/refresh").status == 200
    with closing(sqlite3.connect(path)) as connection:
        newest = connection.execute("SELECT newest FROM ww_session").fetchall()
    assert newest == [(3,)] * CLIENTS, "one rotation for each success, and none for a refusal"
    measured(
        f"held for {HOLD:.1f} s: answered after {first:.1f} s; held for longer: refused after {max(waited):.1f} s"
    )
    assert max(waited) < 20


def _behind_a_writer(
    path: Path, browsers: list[Browser], server: Server, seconds: float | None
) -> tuple[list[Answer], list[float]]:
    """What refreshes are answered, and after how many seconds, while another process holds the write lock for so long,
    or until all are answered."""
    answers, waited = list[Answer](), list[float]()

    def ask(browser: Browser) -> None:
        since = time.monotonic()
        answers.append(browser.send("POST", "/auth/refresh"))
        waited.append(time.monotonic() - since)

    with closing(sqlite3.connect(path, isolation_level=None, timeout=10)) as other:
        other.execute("BEGIN IMMEDIATE")
        asking = [threading.Thread(target=ask, args=[browser]) for browser in browsers]
        for thread in asking:
            thread.start()
        since = time.monotonic()
        while time.monotonic() - since < seconds if seconds else any(thread.is_alive() for thread in asking):
            assert Browser(server.url, dict(browsers[0].jar)).send("GET", NOWHERE).status == 404
            assert Browser(server.url, dict(browsers[0].jar)).send("GET", "/auth/me").status == 200
            time.sleep(0.05)
        assert seconds is None or answers == [], "somebody wrote beside the lock"
        other.execute("ROLLBACK")
    for thread in asking:
        thread.join()
    assert len(answers) == len(browsers), "an answer was lost"
    return answers, waited
