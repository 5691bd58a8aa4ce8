"""`watchword migrate` and `watchword cleanup`."""

import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.programs import Run, refusal, run, spoken
from watchword.storage.sql.migrations import HEAD


def test_migrating_twice_does_it_once(tmp_path: Path) -> None:
    """F18: safe to run again."""
    url = f"sqlite:///{tmp_path}/new.db"
    assert spoken(run("migrate", database_url=url)).endswith(f"{HEAD}\n")
    assert spoken(run("migrate", database_url=url)) == "nothing to do: the tables are up to date\n"


def test_a_new_database_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    """ASVS 13.4.1: it holds digests of passwords."""
    spoken(run("migrate", database_url=f"sqlite:///{tmp_path}/new.db"))
    assert stat.S_IMODE((tmp_path / "new.db").stat().st_mode) == 0o600


def test_the_printed_sql_makes_the_same_tables_and_touches_nothing(tmp_path: Path, database: str) -> None:
    text = spoken(run("migrate", "--sql", database_url=f"sqlite:///{tmp_path}/new.db"))
    assert not (tmp_path / "new.db").exists()
    with closing(sqlite3.connect(tmp_path / "by-hand.db")) as connection:
        connection.executescript(text)
    by_hand = f"sqlite:///{tmp_path}/by-hand.db"
    assert spoken(run("migrate", database_url=by_hand)) == "nothing to do: the tables are up to date\n"


def test_sql_for_postgresql_needs_no_postgresql() -> None:
    text = spoken(run("migrate", "--sql", database_url="postgresql://nobody:canary@127.0.0.1:1/none"))
    assert "CREATE TABLE ww_user" in text
    assert "canary" not in text


def test_tables_of_a_newer_version_are_left_alone(tmp_path: Path, database: str) -> None:
    with closing(sqlite3.connect(tmp_path / "watchword.db")) as connection, connection:
        connection.execute("UPDATE ww_schema_version SET version_num = '9999'")
    assert "newer" in refusal(run("migrate", database_url=database))


@pytest.mark.parametrize("words", [["migrate"], ["migrate", "--sql"], ["cleanup"], ["user", "list"]])
def test_a_memory_store_has_nothing_to_administer(words: list[str]) -> None:
    assert "memory store" in refusal(run(*words, database_url="memory:"))


@pytest.mark.parametrize("words", [["cleanup"], ["user", "list"], ["session", "list", "ada"]])
def test_a_database_without_tables_is_refused_and_not_made(tmp_path: Path, words: list[str]) -> None:
    assert "watchword migrate" in refusal(run(*words, database_url=f"sqlite:///{tmp_path}/none.db"))
    assert not (tmp_path / "none.db").exists()


def test_cleanup_deletes_what_ended_long_ago_and_nothing_else(tmp_path: Path, verb: Run) -> None:
    """R41, ASVS 14.2.7."""
    with closing(sqlite3.connect(tmp_path / "watchword.db")) as connection, connection:
        connection.execute("INSERT INTO ww_revocation (sid, created_at) VALUES ('old', 1)")
    assert spoken(verb("cleanup")) == "1 rows deleted\n"
    assert spoken(verb("cleanup")) == "0 rows deleted\n"
    spoken(verb("user", "show", "ada"))


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("postgresql://nobody:canary@127.0.0.1:1/none", "does not answer"),
        ("mysql://nobody:canary@127.0.0.1/none", "no database that Watchword supports"),
        ("sqlite:////proc/none/watchword.db", "watchword migrate"),
    ],
)
def test_a_database_that_cannot_be_used_is_one_line_without_its_password(url: str, reason: str) -> None:
    """Attack 96."""
    line = refusal(run("user", "list", database_url=url))
    assert reason in line
    assert "canary" not in line


@pytest.mark.parametrize("url", ["postgresql://nobody:canary@127.0.0.1:1/none", "sqlite:////proc/none.db"])
def test_a_database_that_cannot_be_migrated_is_one_line_without_its_password(url: str) -> None:
    line = refusal(run("migrate", database_url=url))
    assert "canary" not in line


def test_a_file_that_is_no_database_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("This is no database at all. " * 40)
    assert "not a database" in refusal(run("user", "list", database_url=f"sqlite:///{tmp_path}/text.db"))
