"""The migrations make the tables that `tables` declares, once, whoever runs them and however often."""

import asyncio
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from tests.storage.samples import fresh_database, new_user, rotated, stored_session, stored_user
from watchword.drivers.clock import SystemClock
from watchword.errors import StaleSchemaError, Unavailable
from watchword.storage.sql import migrate as migrations
from watchword.storage.sql import open_store
from watchword.storage.sql.migrate import current, migrate, sql
from watchword.storage.sql.migrations import HEAD
from watchword.storage.sql.tables import metadata, ww_schema_version
from watchword.storage.sql.urls import parse

ROOT = Path(__file__).parents[2]
VERSIONS = Path(migrations.__file__).parent / "migrations" / "versions"
ALL = [f"{number:04}" for number in range(1, int(HEAD) + 1)]


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without tables."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'watchword.db'}"
    else:
        with fresh_database() as url:
            yield url


@pytest.fixture
def another(empty: str, tmp_path: Path) -> Iterator[str]:
    """A second one of the same kind."""
    if empty.startswith("sqlite"):
        yield f"sqlite:///{tmp_path / 'another.db'}"
    else:
        with fresh_database() as url:
            yield url


def execute(url: str, script: str) -> None:
    """Run SQL as somebody would by hand."""
    database = parse(url)
    if database.kind == "sqlite":
        with sqlite3.connect(database.path, isolation_level=None) as connection:
            connection.executescript(script)
        connection.close()
    else:
        with psycopg.connect(database.target, autocommit=True) as other:
            other.execute(script.encode())


def engine(url: str) -> sqlalchemy.Engine:
    return migrations._engine(parse(url))


def described(url: str) -> dict[str, Any]:
    """All that a database says of its tables."""
    inspector = sqlalchemy.inspect(engine(url))
    return {
        table: {
            "columns": [
                (column["name"], str(column["type"]), column["nullable"], column["default"])
                for column in inspector.get_columns(table)
            ],
            "key": inspector.get_pk_constraint(table),
            "foreign": inspector.get_foreign_keys(table),
            "unique": sorted(str(each) for each in inspector.get_unique_constraints(table)),
            "indexes": sorted(str(each) for each in inspector.get_indexes(table)),
            "checks": sorted(str(each) for each in inspector.get_check_constraints(table)),
            "options": inspector.get_table_options(table),
        }
        for table in inspector.get_table_names()
        if table != ww_schema_version.name
    }


def test_the_migrations_make_the_declared_tables(empty: str) -> None:
    migrate(empty)
    with engine(empty).connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": ww_schema_version.name})
        assert compare_metadata(context, metadata) == []


def test_the_migrations_make_also_what_alembic_does_not_compare(empty: str, another: str) -> None:
    """Checks, collations, what happens on deletion."""
    migrate(empty)
    if another.startswith("sqlite"):
        parse(another).path.touch()
    metadata.create_all(engine(another))
    assert described(empty) == described(another)


def test_the_text_of_a_migration_run_by_hand_makes_the_same(empty: str, another: str) -> None:
    migrate(empty)
    execute(another, sql(another))
    assert described(another) == described(empty)
    assert current(another) == HEAD
    assert migrate(another) == []


def test_the_text_from_the_newest_revision_on_is_empty(empty: str) -> None:
    assert "CREATE" in sql(empty)
    assert "CREATE" not in sql(empty, since=HEAD)


def test_the_newest_file_is_the_revision_that_servers_ask_for() -> None:
    numbers = sorted(path.name[:4] for path in VERSIONS.glob("[0-9]*.py"))
    assert numbers == [f"{number:04}" for number in range(1, len(numbers) + 1)]
    assert numbers[-1] == HEAD


def test_a_second_run_finds_nothing_to_do(empty: str) -> None:
    assert current(empty) is None
    assert migrate(empty)[-1] == HEAD
    assert current(empty) == HEAD
    assert migrate(empty) == []


def test_a_database_of_the_first_release_is_brought_up_and_keeps_its_rows(empty: str) -> None:
    migrate(empty)
    execute(
        empty,
        "DROP TABLE ww_event; DROP TABLE ww_throttle; DROP TABLE ww_challenge; DROP TABLE ww_factor; "
        "ALTER TABLE ww_user DROP COLUMN two_factor; "
        "DROP TABLE ww_outbox; DROP TABLE ww_lease; UPDATE ww_schema_version SET version_num = '0001'",
    )
    row = "'1', 'ada@example.org', true, 'active', '[]', 0, 0"
    execute(
        empty,
        f"INSERT INTO ww_user (id, email, email_verified, status, roles, tokens_from, created_at) VALUES ({row})",
    )
    assert migrate(empty) == ALL[1:]
    with engine(empty).connect() as connection:
        assert connection.execute(sqlalchemy.text("SELECT email FROM ww_user")).scalar() == "ada@example.org"


def test_asking_for_the_revision_makes_no_file(tmp_path: Path) -> None:
    assert current(f"sqlite:///{tmp_path / 'mistyped.db'}") is None
    assert list(tmp_path.iterdir()) == []


MIGRATE = """
import sys
from watchword.storage.sql.migrate import migrate
print(migrate(sys.argv[1]))
"""


def test_of_several_runs_at_once_one_does_it(empty: str) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-c", MIGRATE, empty]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) for _ in range(4)]
    outputs = sorted(run.communicate()[0].strip() for run in runs)
    assert [run.returncode for run in runs] == [0] * 4
    assert outputs == [str(ALL), "[]", "[]", "[]"]


async def test_running_servers_do_not_notice(empty: str) -> None:
    """F18."""
    migrate(empty)
    store = open_store(empty, SystemClock())
    session = await stored_session(store, await stored_user(store))

    async def rotate() -> None:
        row = session
        for _ in range(50):
            after = rotated(row)
            assert await store.swap_session(row, after)
            row = after

    await asyncio.gather(rotate(), asyncio.to_thread(migrate, empty))
    await store.check()
    await store.close()


async def test_a_database_without_tables_is_stale(empty: str) -> None:
    if empty.startswith("sqlite"):
        parse(empty).path.touch()
    store = open_store(empty, SystemClock())
    with pytest.raises(StaleSchemaError, match="watchword migrate"):
        await store.check()
    with pytest.raises(StaleSchemaError, match="watchword migrate"):
        await store.create_user(new_user())
    with pytest.raises(StaleSchemaError, match="watchword migrate"):
        await store.load_user("somebody")
    migrate(empty)
    await store.check()
    await store.close()


async def test_a_database_of_an_older_revision_is_stale(empty: str) -> None:
    migrate(empty)
    execute(empty, "UPDATE ww_schema_version SET version_num = '0000'")
    store = open_store(empty, SystemClock())
    with pytest.raises(StaleSchemaError, match="watchword migrate"):
        await store.check()
    await store.close()


async def test_workers_run_on_over_a_database_that_a_newer_version_has_migrated(empty: str) -> None:
    """F18: migrations only add, so that workers are replaced one by one."""
    migrate(empty)
    execute(empty, "UPDATE ww_schema_version SET version_num = '9999'")
    store = open_store(empty, SystemClock())
    await store.check()
    await store.close()


async def test_a_database_whose_revision_was_lost_is_stale(empty: str) -> None:
    migrate(empty)
    execute(empty, "DELETE FROM ww_schema_version")
    store = open_store(empty, SystemClock())
    with pytest.raises(StaleSchemaError, match="watchword migrate"):
        await store.check()
    await store.close()


def test_a_newer_database_is_left_alone(empty: str) -> None:
    migrate(empty)
    execute(empty, "UPDATE ww_schema_version SET version_num = '9999'")
    with pytest.raises(StaleSchemaError, match="newer"):
        migrate(empty)


def test_a_database_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        migrate(f"sqlite:///{tmp_path / 'no' / 'such' / 'folder.db'}")
    for asked in (migrate, current):
        with pytest.raises(Unavailable) as caught:
            asked("postgresql://me:hunter2@127.0.0.1:1/d")
        assert "hunter2" not in str(caught.value)


def test_an_interrupted_migration_leaves_nothing(empty: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """F18: all steps are one transaction, and running it again works."""

    def fail(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("alembic.op.create_index", fail)
        with pytest.raises(KeyboardInterrupt):
            migrate(empty)
    assert described(empty) == {}
    assert current(empty) is None
    assert migrate(empty) == ALL


def test_watchword_is_imported_without_a_database_library() -> None:
    imported = "import sys, watchword, watchword.storage.sql"
    code = f"{imported}; print({{'sqlalchemy', 'alembic', 'psycopg', 'sqlite3'}} & set(sys.modules))"
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    assert run.stdout.strip() == "set()"
