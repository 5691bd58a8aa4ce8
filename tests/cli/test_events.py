"""`watchword events`: what is listed, what is followed, and that every verb leaves a trail."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.cli.programs import Run, program, refusal, run, spoken
from watchword.auth import Watchword
from watchword.cli.opened import administer
from watchword.events import SIGN_IN_FAILED, Event
from watchword.settings import Settings


def listed(verb: Run, *words: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(spoken(verb("events", "--json", *words)))
    return rows


def tell(*events: Event) -> None:
    """As a server of the same database."""

    async def emit(auth: Watchword) -> None:
        for event in events:
            auth.world.emit(event)

    administer(emit, settings=Settings.parse({"database_url": "sqlite:///watchword.db"}))


@pytest.mark.parametrize(
    ("words", "name", "detail"),
    [
        (["user", "create", "bob@example.com", "--password-stdin"], "user_created", None),
        (["user", "disable", "ada"], "status_changed", "disabled"),
        (["user", "enable", "ada"], "status_changed", "active"),
        (["user", "password", "ada", "--password-stdin"], "password_changed", None),
        (["user", "role", "ada", "editor", "owner"], "roles_changed", "editor,owner"),
        (["user", "delete", "ada", "--yes"], "user_deleted", None),
    ],
)
def test_every_verb_that_changes_somebody_leaves_one_event(
    verb: Run, words: list[str], name: str, detail: str | None
) -> None:
    """ASVS 16.3.1: written before the verb ends, with who did it."""
    [created] = listed(verb)
    assert (created["name"], created["by"]) == ("user_created", "cli")
    spoken(verb(*words, stdin="correct horse battery staple, indeed\n"))
    [_, event] = listed(verb)
    assert (event["name"], event["detail"], event["by"]) == (name, detail, "cli")
    assert len(event["user_id"]) == 36


def test_events_go_to_the_file_as_well(verb: Run, tmp_path: Path) -> None:
    """DESIGN §4.8: the same line, under the same id."""
    spoken(verb("user", "disable", "ada", events_file=str(tmp_path / "events.jsonl")))
    [line] = (tmp_path / "events.jsonl").read_text().splitlines()
    assert json.loads(line) == listed(verb)[-1]


def test_a_verb_over_a_file_that_cannot_be_written_does_its_work(verb: Run, tmp_path: Path) -> None:
    """ASVS 16.5.2."""
    assert verb("user", "disable", "ada", events_file=str(tmp_path)).exit_code == 0
    assert sorted(row["name"] for row in listed(verb)) == ["control_failed", "status_changed", "user_created"]


def test_the_newest_are_listed_last_one_line_each(verb: Run) -> None:
    for role in "abcde":
        spoken(verb("user", "role", "ada", role))
    assert [row["detail"] for row in listed(verb, "--limit", "2")] == ["d", "e"]
    lines = spoken(verb("events", "--limit", "2")).splitlines()
    assert len(lines) == 2
    at, name, user, by, detail = lines[1].split()
    assert (name, by, detail) == ("roles_changed", "by=cli", "detail=e")
    assert (len(at), user[:5]) == (len("2026-01-31T12:00:00.123456Z"), "user=")


def test_one_users_are_listed_even_when_they_are_gone(verb: Run) -> None:
    spoken(verb("user", "create", "bob@example.com", "--password-stdin", stdin="a much better password\n"))
    [created] = listed(verb, "--user", "ada")
    spoken(verb("user", "delete", "ada", "--yes"))
    assert "no such user" in refusal(verb("events", "--user", "ada"))
    rows = listed(verb, "--user", created["user_id"])
    assert [row["name"] for row in rows] == ["user_created", "user_deleted"]
    assert len(listed(verb)) == 3


@pytest.mark.parametrize("words", [["--limit=0"], ["--limit=x"], ["--limit=99999"], ["ada"]])
def test_what_cannot_be_read_is_wrong_usage(verb: Run, words: list[str]) -> None:
    assert verb("events", *words).exit_code == 2


def test_no_text_of_a_row_steers_the_terminal(verb: Run, tmp_path: Path) -> None:
    """Attack 95: not even one that was written past us."""
    with closing(sqlite3.connect(tmp_path / "watchword.db")) as connection, connection:
        connection.execute("UPDATE ww_event SET detail = ?", ("\x1b[2J\n\u202e\u2028forged",))
    for words in ([], ["--json"]):
        text = spoken(verb("events", *words))
        assert not {"\x1b", "\u202e", "\u2028"} & set(text)
    assert len(spoken(verb("events")).splitlines()) == 1


def test_a_database_without_tables_is_refused(tmp_path: Path) -> None:
    assert "watchword migrate" in refusal(run("events", database_url=f"sqlite:///{tmp_path}/none.db"))
    assert "memory store" in refusal(run("events", database_url="memory:"))


@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
def test_following_tells_what_comes_until_it_is_stopped(verb: Run, tmp_path: Path, as_json: bool) -> None:
    """DESIGN §9: and waits for a database that is locked or slow; Ctrl+C ends it with 130."""
    spoken(verb("user", "role", "ada", "one"))
    env = os.environ | {"WATCHWORD_DATABASE_URL": f"sqlite:///{tmp_path}/watchword.db"}
    words = ["--json"] if as_json else []
    with program("events", "--follow", "--limit", "1", *words, env=env, cwd=tmp_path) as follower:
        said = follower.said_until("one")
        assert "user_created" not in said
        tell(Event(SIGN_IN_FAILED, 10**15, ip="192.0.2.7", detail="two"))
        spoken(verb("user", "role", "ada", "three"))
        more = follower.said_until("three").splitlines()
        assert len(more) == 2
        assert "two" in more[0]
        if as_json:
            assert [json.loads(line)["name"] for line in more] == ["sign_in_failed", "roles_changed"]
        assert follower.stop(signal.SIGINT) == 130
        assert follower.complaints() == ""
