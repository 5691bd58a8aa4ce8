"""`watchword doctor`: what is wrong or unwise about the environment, and how to mend it."""

from __future__ import annotations

import math
import os
import stat
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from watchword.cli.console import as_json, one_line, print_json
from watchword.cli.opened import administer
from watchword.cli.serve import exposure
from watchword.errors import Problem, SettingsError, WatchwordError
from watchword.settings import ENV_PREFIX, Settings, check_production

if TYPE_CHECKING:
    from watchword.auth import Watchword

MIN_BITS = 85
"""A generated secret of the least length, 32 hexadecimal digits, shows more than this."""
OLDEST = 1_735_689_600_000_000
"""2025-01-01: no clock of a machine that runs this is behind it."""
MAX_SKEW = 5_000_000


@dataclass(frozen=True)
class Finding:
    """`message` says what is wrong and what to do."""

    check: str
    message: str


@click.command()
@as_json
def doctor(as_json: bool) -> None:
    """Check settings, secret, clock and database for production use.

    Exit code 1 if there is something to mend.
    """
    findings = list(_findings())
    if as_json:
        print_json({"ok": not findings, "findings": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            click.echo(f"{finding.check}: {one_line(finding.message)}")
        if not findings:
            click.echo("nothing to mend")
    click.get_current_context().exit(1 if findings else 0)


def _findings() -> Iterator[Finding]:
    from watchword.drivers.clock import SystemClock

    now = SystemClock().now()
    if now < OLDEST:
        yield Finding("clock", f"this machine's clock says {now // 1_000_000}, before 2025: set it")
    try:
        settings = Settings.from_env()
    except SettingsError as error:
        yield Finding("settings", str(error))
        return
    try:
        check_production(settings)
    except SettingsError as error:
        yield Finding("production", str(error))
    yield from _secrets(settings)
    for advice in exposure(settings):
        yield Finding("proxy", advice)
    if not settings.database_url.startswith("memory:"):  # told by check_production
        yield from _database(settings)


def _secrets(settings: Settings) -> Iterator[Finding]:
    for place, secret in enumerate(settings.secret, 1):
        if secret in (secret * 2)[1:-1] or _bits(secret) < MIN_BITS:
            yield Finding(
                "secret",
                f"secret number {place} looks made up by hand or repeats: `watchword secret` makes one",
            )
    file = os.environ.get(f"{ENV_PREFIX}SECRET_FILE")
    if file and _open_to_others(Path(file)):
        yield Finding("secret", f"others on this machine may read {file}: chmod 600 {file}")


def _bits(secret: str) -> float:
    """How surprising its characters are, were they drawn one by one: an upper limit of what it is worth."""
    size = len(secret)
    return sum(-count * math.log2(count / size) for count in Counter(secret).values())


def _database(settings: Settings) -> Iterator[Finding]:
    from watchword.storage.sql.urls import parse

    async def skew(auth: Watchword) -> int:
        page = await auth.world.store.read_revocations(since=auth.world.clock.now())
        return abs(page.now - auth.world.clock.now())

    try:
        if administer(skew, settings=settings) > MAX_SKEW:
            yield Finding(
                "clock", "the database's clock and this machine's differ by seconds: run NTP on both"
            )
    except WatchwordError as error:
        text = error.detail if isinstance(error, Problem) else str(error)
        yield Finding("database", text)
        return
    database = parse(settings.database_url)
    if database.kind == "sqlite":
        yield from _file(database.path)


def _file(path: Path) -> Iterator[Finding]:
    if _open_to_others(path):
        yield Finding("file", f"others on this machine may read {path}: chmod 600 {path}*")
    mode = _journal_mode(path)
    if mode != "wal":
        yield Finding(
            "file",
            f"{path} stays in journal mode {mode}, so readers wait for writers: put it on a local disk",
        )


def _journal_mode(path: Path) -> str:
    """What SQLite answers when it is asked for WAL, as every server asks at its first write."""
    import sqlite3

    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)) as connection:
            [mode] = connection.execute("PRAGMA journal_mode=WAL").fetchone()
    except sqlite3.Error as error:
        return f"unknown ({error})"
    return str(mode)


def _open_to_others(path: Path) -> bool:
    try:
        return os.name == "posix" and bool(stat.S_IMODE(path.stat().st_mode) & 0o077)
    except OSError:
        return False
