"""The statements find what they look for by an index, however large the tables are."""

import re
import sqlite3
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest
from sqlalchemy.dialects import sqlite

from tests.storage.samples import raw
from watchword.storage.sql.statements import compose

STATEMENTS = compose(sqlite.dialect(paramstyle="named"))
TEXTS = [
    (field.name, text)
    for those in (STATEMENTS, STATEMENTS.own, STATEMENTS.events)
    for field in fields(those)
    for value in [getattr(those, field.name)]
    if isinstance(value, (str, tuple))
    for text in ([value] if isinstance(value, str) else value)
]


def plan(connection: sqlite3.Connection, text: str) -> str:
    parameters = dict.fromkeys(re.findall(r":(\w+)", text))
    return "\n".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {text}", parameters))


@pytest.fixture
def connection(sqlite_file: Path) -> Iterator[sqlite3.Connection]:
    with raw(sqlite_file) as connection:
        connection.create_function("ww_now", 0, lambda: 0)
        yield connection


@pytest.mark.parametrize(("name", "text"), TEXTS)
def test_no_statement_reads_a_whole_table(connection: sqlite3.Connection, name: str, text: str) -> None:
    scanned = re.findall(r"SCAN (ww_\w+)", plan(connection, text))
    assert scanned == (["ww_schema_version"] if name == "read_version" else [])


def test_the_next_message_is_found_by_the_index_in_its_order(connection: sqlite3.Connection) -> None:
    """F12: a flood of messages does not slow down the sending of each."""
    [lease] = STATEMENTS.lease_mail
    assert "ix_ww_outbox_next_at (next_at<?)" in plan(connection, lease)
    assert "TEMP B-TREE FOR ORDER BY" not in plan(connection, lease), "only those of one instant are sorted"


def test_sweeping_uses_the_indexes_made_for_it(connection: sqlite3.Connection) -> None:
    """Live sessions, which are most, are not looked at."""
    [sweep] = STATEMENTS.sweep_sessions
    assert "ix_ww_session_ended_at (ended_at<?)" in plan(connection, sweep)
    assert "ix_ww_session_idle_day (idle_day<?)" in plan(connection, sweep)
