"""What the tests of stores share: databases of their own, thrown away afterwards."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.databases import migrated_file
from tests.storage.samples import fresh_database
from watchword.storage.sql.migrate import migrate

pytest.register_assert_rewrite(
    *(
        f"tests.storage.contract_{half}"
        for half in (
            "users",
            "sessions",
            "arrivals",
            "outbox",
            "challenges",
            "registrations",
            "limiter",
            "own",
            "events",
        )
    )
)


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """The URL of a migrated database, one a module."""
    with fresh_database() as url:
        migrate(url)
        yield url


@pytest.fixture
def sqlite_file(tmp_path: Path) -> Path:
    """A migrated database file."""
    return migrated_file(tmp_path / "watchword.db")
