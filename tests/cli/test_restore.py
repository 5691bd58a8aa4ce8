"""`watchword restore`: a file of SQLite set back to its copy, and what the verb makes of the events since."""

from __future__ import annotations

import json
import secrets
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from tests.cli.programs import PASSWORD, Run, spoken
from tests.cli.test_session import sids
from watchword.core.record import KEPT, exact_instant
from watchword.drivers.clock import SystemClock
from watchword.spans import HOUR, MINUTE

__all__ = ["sids"]  # a fixture

SECRET = secrets.token_urlsafe(48)
NEW = "difference engine, second part"


class Machine:
    """A database of one user with two sessions, and the file of its events."""

    def __init__(self, verb: Run, folder: Path) -> None:
        self._verb, self._folder = verb, folder
        self.since = ""

    def run(self, *words: str, stdin: str = "", **settings: str) -> Result:
        return self._verb(
            *words, stdin=stdin, **({"secret": SECRET, "events_file": "events.jsonl"} | settings)
        )

    def backup(self) -> None:
        shutil.copy(self._folder / "watchword.db", self._folder / "backup.db")
        self.since = exact_instant(SystemClock().now())

    def restore(self) -> None:
        for name in ("watchword.db-wal", "watchword.db-shm"):
            (self._folder / name).unlink(missing_ok=True)
        shutil.copy(self._folder / "backup.db", self._folder / "watchword.db")

    def again(self, *words: str) -> Result:
        return self.run("restore", "--since", self.since, "--events", "events.jsonl", "--yes", *words)

    def users(self) -> dict[str, Any]:
        return {row["username"]: row for row in json.loads(spoken(self.run("user", "list", "--json")))}


@pytest.fixture
def machine(verb: Run, tmp_path: Path, sids: list[str]) -> Machine:
    """Backed up, after an event so that the file reaches back far enough."""
    made = Machine(verb, tmp_path)
    create = ("user", "create", "eve@example.com", "--username=eve", "--password-stdin")
    spoken(made.run(*create, stdin=PASSWORD))
    made.backup()
    return made


def test_what_was_lost_is_done_again_once(machine: Machine, sids: list[str]) -> None:
    """F7: an end, a disabling, a password; the second run finds nothing to do."""
    spoken(machine.run("session", "revoke", sids[0]))
    spoken(machine.run("user", "disable", "eve"))
    spoken(machine.run("user", "password", "ada", "--password-stdin", stdin=NEW))
    machine.restore()
    assert machine.users()["eve"]["status"] == "active"
    done = json.loads(spoken(machine.again("--json")))
    users = machine.users()
    assert done["sessions"] == 2
    assert done["disabled"] == [users["eve"]["id"]]
    assert done["passwords"] == [users["ada"]["id"]]
    assert (done["unreadable"], done["failed"], done["by_hand"]) == ([], [], [])
    assert users["eve"]["status"] == "disabled"
    assert json.loads(spoken(machine.run("session", "list", "ada", "--json"))) == []
    told = json.loads(spoken(machine.run("events", "--user", "eve", "--json")))
    assert [(row["name"], row["by"]) for row in told][-2:] == [("status_changed", "cli")] * 2
    again = json.loads(spoken(machine.again("--json")))
    assert (again["lost"], again["sessions"], again["disabled"], again["passwords"]) == (0, 0, [], [])


def test_it_says_what_it_did_in_words(machine: Machine, sids: list[str]) -> None:
    eve = machine.users()["eve"]["id"]
    spoken(machine.run("session", "revoke", sids[0]))
    spoken(machine.run("user", "delete", "eve", "--yes"))
    machine.restore()
    said = spoken(machine.again())
    assert "2 events were lost" in said
    assert "1 sessions ended" in said
    assert "0 users disabled, 1 deleted" in said
    assert said.startswith(f"to be deleted: {eve}\n")
    assert list(machine.users()) == ["ada"]


def test_a_line_that_cannot_be_read_is_told_by_its_number_and_holds_up_no_other(
    machine: Machine, sids: list[str], tmp_path: Path
) -> None:
    """F7: exit code 1, as what stood there is unknown."""
    file = tmp_path / "events.jsonl"
    with file.open("a") as lines:
        lines.write('{"id": "0199", "name": "session_en\n')
    spoken(machine.run("session", "revoke", sids[0]))
    count = len(file.read_text().splitlines())
    machine.restore()
    done = machine.again("--json")
    assert done.exit_code == 1
    assert f"events.jsonl, line {count - 1}: it is no JSON" in done.stderr
    assert "1 lines could not be read; all others count" in done.stderr
    summary = json.loads(done.stdout)
    assert (summary["sessions"], [row["line"] for row in summary["unreadable"]]) == (1, [count - 1])


def test_a_file_that_begins_too_late_is_noticed(machine: Machine, sids: list[str], tmp_path: Path) -> None:
    """F7: logrotate moved the older one away; both may be given."""
    spoken(machine.run("session", "revoke", sids[0]))
    (tmp_path / "events.jsonl").rename(tmp_path / "events.jsonl.1")
    spoken(machine.run("session", "revoke", sids[1]))
    machine.restore()
    half = machine.again("--json")
    assert half.exit_code == 0
    assert "is there an older file" in half.stderr
    assert json.loads(half.stdout)["sessions"] == 1
    both = json.loads(spoken(machine.again("--json", "--events", "events.jsonl.1")))
    assert both["sessions"] == 1


def test_without_the_file_everybody_is_signed_out(machine: Machine, sids: list[str]) -> None:
    """F7."""
    assert "2 sessions have ended" in spoken(machine.run("restore", "--end-all", "--yes"))
    again = machine.run("restore", "--since", machine.since, "--end-all", "--yes", "--json")
    assert json.loads(spoken(again)) == {"sessions": 0}


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--end-all", "--events", "events.jsonl"],
        ["--events", "events.jsonl"],
        ["--since", "2026-01-31T12:00:00Z"],
        ["--since", "2026-01-31T12:00:00", "--events", "events.jsonl"],
        ["--since", "yesterday", "--events", "events.jsonl"],
        ["--since", "2999-01-31T12:00:00Z", "--events", "events.jsonl"],
        ["--since", "2026-01-31T12:00:00Z", "--events", "none.jsonl"],
        ["--since", "2026-01-31T12:00:00Z", "--events", "."],
        ["--end-all"],
    ],
)
def test_what_is_not_said_clearly_is_wrong_usage(verb: Run, tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "events.jsonl").touch()
    done = verb("restore", *words, secret=SECRET)
    assert (done.exit_code, done.stdout) == (2, "")


def test_a_span_of_which_the_table_was_swept_is_refused(verb: Run, tmp_path: Path) -> None:
    """F7: each password that was last changed before that would be taken for lost."""
    (tmp_path / "events.jsonl").touch()
    now = SystemClock().now()
    for since, code in ((now - KEPT - MINUTE, 2), (now - KEPT + HOUR, 0)):
        words = ("restore", "--since", exact_instant(since), "--events", "events.jsonl", "--yes")
        done = verb(*words, secret=SECRET)
        assert (done.exit_code, "more than 90 days ago" in done.stderr) == (code, code == 2)


def test_who_is_asked_knows_whom_it_concerns_and_what_is_left_to_them(
    machine: Machine, sids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """F7: one line in the file can delete anybody; and a second run tells nothing of what is by hand."""
    eve = machine.users()["eve"]["id"]
    spoken(machine.run("session", "revoke", sids[0]))
    spoken(machine.run("user", "role", "ada", "owner", "writer"))
    spoken(machine.run("user", "delete", "eve", "--yes"))
    machine.restore()
    monkeypatch.setattr("watchword.cli.console.asks_a_person", lambda: True)
    words = ("restore", "--since", machine.since, "--events", "events.jsonl")
    done = machine.run(*words, stdin="n\n")
    assert (done.exit_code, sorted(machine.users())) == (1, ["ada", "eve"])
    assert f"to be deleted: {eve}" in done.stdout
    assert "by hand: " in done.stdout
    assert "Delete 1 users, disable 0, drop 0 passwords" in done.stderr
    assert "end up to 1 sessions?" in done.stderr
    asjson = machine.run(*words, "--yes", "--json")
    assert "by hand: " in asjson.stderr
    assert json.loads(asjson.stdout)["deleted"] == [eve]


def test_nobody_who_does_not_confirm_changes_anything(machine: Machine, sids: list[str]) -> None:
    spoken(machine.run("session", "revoke", sids[0]))
    machine.restore()
    done = machine.run("restore", "--since", machine.since, "--events", "events.jsonl")
    assert (done.exit_code, "--yes" in done.stderr) == (2, True)
    assert len(json.loads(spoken(machine.run("session", "list", "ada", "--json")))) == 2


def test_mail_to_those_concerned_needs_the_secret(verb: Run, tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").touch()
    since = exact_instant(SystemClock().now())
    done = verb("restore", "--since", since, "--events", "events.jsonl", "--yes")
    assert (done.exit_code, "WATCHWORD_SECRET is missing" in done.stderr) == (1, True)
