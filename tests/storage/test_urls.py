"""Which database URLs are understood, and that a password in one is shown by nothing."""

from pathlib import Path

import pytest

from watchword.drivers.clock import SystemClock
from watchword.errors import SettingsError
from watchword.storage.sql import open_store
from watchword.storage.sql.postgres import PostgresStore
from watchword.storage.sql.sqlite import SqliteStore
from watchword.storage.sql.urls import DatabaseUrl, parse


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///watchword.db", "watchword.db"),
        ("sqlite:///data/watchword.db", "data/watchword.db"),
        ("sqlite:////var/lib/app/watchword.db", "/var/lib/app/watchword.db"),
        ("sqlite+aiosqlite:////tmp/a.db", "/tmp/a.db"),
        ("SQLite:///with%20space.db", "with space.db"),
    ],
)
def test_sqlite_urls_name_a_file(url: str, path: str) -> None:
    assert parse(url) == DatabaseUrl("sqlite", path)
    assert parse(url).path == Path(path)


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("postgresql://a:b@h:1/d", "postgresql://a:b@h:1/d"),
        ("postgres://h/d", "postgresql://h/d"),
        ("postgresql+asyncpg://h/d?ssl=require", "postgresql://h/d?sslmode=require"),
        ("postgresql+psycopg://h/d?sslmode=verify-full&options=-c%20a%3Db", None),
        ("postgresql:///d?host=/run/postgresql", "postgresql:///d?host=/run/postgresql"),
    ],
)
def test_every_spelling_of_a_postgresql_url_is_one_that_libpq_reads(url: str, target: str | None) -> None:
    assert parse(url) == DatabaseUrl("postgresql", target or url.replace("+psycopg", ""))


@pytest.mark.parametrize(
    "url",
    [
        "",
        "watchword.db",
        "mysql://root:hunter2@h/d",
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite://hunter2/x.db",
        "sqlite:///x.db?mode=hunter2",
        "hunter2",
    ],
)
def test_other_urls_are_refused_with_what_is_supported(url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        open_store(url, SystemClock())
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("password", ["hunter2/x", "hunter2@x:y", "hunter2%zz"])
def test_a_password_that_breaks_the_url_is_not_repeated(password: str) -> None:
    """Attack 96: libpq's own message quotes what it stumbled over."""
    with pytest.raises(SettingsError) as caught:
        open_store(f"postgresql://me:{password}@host:5432/d?nonsense=1", SystemClock())
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_the_url_chooses_the_store() -> None:
    sqlite = open_store("sqlite:////tmp/watchword.db", SystemClock())
    assert isinstance(sqlite, SqliteStore)
    assert repr(sqlite) == "SqliteStore('/tmp/watchword.db')"
    postgres = open_store("postgresql+asyncpg://me:hunter2@db.example:6432/app", SystemClock())
    assert isinstance(postgres, PostgresStore)
    assert repr(postgres) == "PostgresStore('db.example:6432/app')"


def test_a_parsed_url_shows_no_password() -> None:
    assert "hunter2" not in repr(parse("postgresql://me:hunter2@h/d"))
