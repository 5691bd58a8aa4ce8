"""Databases with tables and nothing in them, one a test: what the steps of migration make is made once a process and
copied. The steps themselves are the subject of tests/storage/test_migrate.py.
"""

import stat
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg

from watchword.storage.sql.migrate import migrate
from watchword.storage.sql.tables import metadata

_DELETIONS = [f"DELETE FROM {table.name}" for table in reversed(metadata.sorted_tables)]


def migrated_file(path: Path) -> Path:
    """Make `path` a migrated SQLite file, with the mode that `migrate` gives one."""
    content, mode = _tables()
    path.touch(mode, exist_ok=False)
    path.write_bytes(content)
    return path


@cache
def _tables() -> tuple[bytes, int]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "watchword.db"
        migrate(f"sqlite:///{path}")
        return path.read_bytes(), stat.S_IMODE(path.stat().st_mode)


def emptied(url: str) -> str:
    """Delete every row of a migrated PostgreSQL database, in one transaction.

    TRUNCATE makes each table and index a new file, which takes a disk ten times as long as deleting a test's rows.
    """
    with psycopg.connect(url) as connection:
        for deletion in _DELETIONS:
            connection.execute(deletion.encode())
    return url
