"""Events of a real server: through SIGKILL, an orderly end, and a database that takes no writes."""

import json
import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.servers import EMAIL, Browser, Server, prepared, serving

GUESSES = 20


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A database with one user, to be copied, and its environment."""
    path = tmp_path_factory.mktemp("made") / "watchword.db"
    return path, prepared(f"sqlite:///{path}")


@pytest.fixture
def env(tmp_path: Path, made: tuple[Path, dict[str, str]]) -> dict[str, str]:
    path, settings = made
    own = {
        "WATCHWORD_DATABASE_URL": f"sqlite:///{shutil.copy(path, tmp_path)}",
        "WATCHWORD_EVENTS_FILE": f"{tmp_path}/events.jsonl",
    }
    return settings | own


def guess(server: Server, number: int) -> None:
    body = {"email": EMAIL, "password": f"guess number {number}"}
    assert Browser(server.url).send("POST", "/auth/login", body).code == "invalid_credentials"


def in_file(tmp_path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]


def in_table(tmp_path: Path) -> list[str]:
    """The ids of what came after the user, past the store: a server that is asked writes what waits first."""
    with closing(sqlite3.connect(tmp_path / "watchword.db")) as connection:
        rows = connection.execute("SELECT id FROM ww_event WHERE name <> 'user_created' ORDER BY id")
        return [row for (row,) in rows]


def until_in_table(tmp_path: Path, ids: set[str]) -> None:
    deadline = time.monotonic() + 20
    while not ids <= set(in_table(tmp_path)):
        assert time.monotonic() < deadline, "they never came"
        time.sleep(0.02)


def test_what_was_answered_before_kill_9_is_in_the_file(tmp_path: Path, env: dict[str, str]) -> None:
    """F1: every one of them, whole; the table lacks the last moment at most, and goes on afterwards."""
    server = Server(env)
    server.start()
    for number in range(GUESSES):
        guess(server, number)
    server.kill()
    lines = in_file(tmp_path)
    assert [line["name"] for line in lines] == ["sign_in_failed"] * GUESSES
    ids = [line["id"] for line in lines]
    assert in_table(tmp_path) == ids[: len(in_table(tmp_path))], "what it lacks are the last ones"
    server.start()
    guess(server, GUESSES)
    until_in_table(tmp_path, {in_file(tmp_path)[-1]["id"]})
    server.stop()


def test_a_database_that_takes_no_writes_holds_up_no_answer(tmp_path: Path, env: dict[str, str]) -> None:
    """F3, F14, F20: guesses are refused as ever; their rows come later, once each; an orderly end
    leaves none."""
    with serving(env) as server:
        with closing(sqlite3.connect(tmp_path / "watchword.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            for number in range(GUESSES):
                guess(server, number)
            assert Browser(server.url).send("GET", "/auth/health/live").status == 200
            assert in_table(tmp_path) == []
            other.execute("ROLLBACK")
        lines = in_file(tmp_path)
        assert len(lines) == GUESSES
        until_in_table(tmp_path, {line["id"] for line in lines})
        assert in_table(tmp_path) == [line["id"] for line in lines]
        guess(server, GUESSES)
    assert in_table(tmp_path) == [line["id"] for line in in_file(tmp_path)]
