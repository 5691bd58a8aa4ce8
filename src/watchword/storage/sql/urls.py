"""What a database URL means. The only place that takes one apart, so that its password is shown nowhere."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import unquote

from watchword.errors import SettingsError

_SUPPORTED = (
    "sqlite:///watchword.db (relative to the working directory), sqlite:////var/lib/app/watchword.db, "
    "postgresql://user:password@host/database"
)


@dataclass(frozen=True, slots=True)
class DatabaseUrl:
    """`target` is a path for SQLite and a URL that libpq takes for PostgreSQL."""

    kind: Literal["sqlite", "postgresql"]
    target: str = field(repr=False)

    @property
    def path(self) -> Path:
        """SQLite's file."""
        return Path(self.target)


def parse(url: str) -> DatabaseUrl:
    """Take any usual spelling, with or without a driver's name. Raises SettingsError, which never shows the URL."""
    scheme, separator, rest = url.strip().partition("://")
    kind, _, _ = scheme.lower().partition("+")
    if not separator:
        raise SettingsError(f"The database URL has no scheme. Supported are {_SUPPORTED}.")
    if kind == "sqlite":
        return DatabaseUrl("sqlite", _sqlite_path(rest))
    if kind in ("postgresql", "postgres"):
        return DatabaseUrl("postgresql", "postgresql://" + _libpq(rest))
    raise SettingsError(f"“{kind}” is no database that Watchword supports. Supported are {_SUPPORTED}.")


def _sqlite_path(rest: str) -> str:
    host, _, path = rest.partition("/")
    if host:
        raise SettingsError(f"A SQLite URL has three slashes, or four before an absolute path: {_SUPPORTED}.")
    if "?" in path:
        raise SettingsError("A SQLite URL takes no parameters.")
    path = unquote(path)
    if path in ("", ":memory:"):
        raise SettingsError("SQLite in memory is not supported: name a file, or use `memory:`.")
    return path


def _libpq(rest: str) -> str:
    """asyncpg's `ssl` is the one parameter in use that libpq calls by another name."""
    address, mark, query = rest.partition("?")
    pairs = ["sslmode" + pair[3:] if pair.startswith("ssl=") else pair for pair in query.split("&")]
    return address + mark + "&".join(pairs)
