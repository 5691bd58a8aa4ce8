"""The file of events: whole lines, for the owner alone, through rotations, and what it cannot be written to."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from watchword.drivers.journal import Journal

ROOT = Path(__file__).parents[2]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


def test_lines_are_appended_to_a_file_of_the_owners_alone(file: Path) -> None:
    """ASVS 16.4.2."""
    before = os.umask(0)
    try:
        Journal(file).write("one")
    finally:
        os.umask(before)
    Journal(file).write("two")
    assert file.read_text() == "one\ntwo\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_file_that_was_made_by_hand_keeps_its_mode_and_lines(file: Path) -> None:
    file.write_text("zero\n")
    file.chmod(0o640)
    Journal(file).write("one")
    assert file.read_text() == "zero\none\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


def test_a_file_that_was_moved_away_is_made_anew(file: Path) -> None:
    """As logrotate does, with no signal."""
    journal = Journal(file)
    journal.write("one")
    file.rename(file.with_suffix(".1"))
    journal.write("two")
    assert (file.with_suffix(".1").read_text(), file.read_text()) == ("one\n", "two\n")


def test_checking_makes_the_file_and_writes_nothing(file: Path) -> None:
    Journal(file).check()
    assert file.read_bytes() == b""


@pytest.mark.parametrize("place", ["folder", "none/events.jsonl", "pipe"])
def test_what_cannot_be_written_to_is_an_error_and_no_wait(tmp_path: Path, place: str) -> None:
    """A pipe that nobody reads would hold up whoever opens it."""
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="Errno"):
        Journal(tmp_path / place).write("one")
    with pytest.raises(OSError, match="Errno"):
        Journal(tmp_path / place).check()


def test_a_line_that_was_cut_off_spoils_no_other(tmp_path: Path) -> None:
    """F14: a full disk takes a part of a line; the next one begins a line of its own."""
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        journal = Journal(tmp_path / "pipe")
        long = "x" * 2_000_000  # more than any pipe holds
        with pytest.raises(OSError, match="only a part"):
            journal.write(long)
        taken = drained(reader)
        assert 0 < len(taken) < len(long)
        journal.write("next")
        assert drained(reader) == b"\nnext\n"
        journal.write("another")
        assert drained(reader) == b"another\n"
    finally:
        os.close(reader)


def drained(reader: int) -> bytes:
    taken = b""
    while True:
        try:
            part = os.read(reader, 1 << 20)
        except BlockingIOError:
            return taken
        if not part:
            return taken
        taken += part


WRITE = """
import json, sys
from watchword.drivers.journal import Journal
journal = Journal(sys.argv[1])
for number in range(300):
    journal.write(json.dumps({"who": sys.argv[2], "number": number, "long": sys.argv[2] * 700}))
"""


def test_lines_of_several_processes_stay_whole(file: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITE, str(file), who], env=environment) for who in "abcd"
    ]
    assert [writer.wait(30) for writer in writers] == [0] * 4
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    for who in "abcd":
        assert [row["number"] for row in rows if row["who"] == who] == list(range(300))
