"""`watchword doctor`: what is wrong or unwise about the environment, and how to mend it.

Here is what the machine and the database have to be asked about; what the settings alone show is in `advice`.
docs/production-checklist.md names every check beside what no program can see.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING

import click

from watchword.cli.advice import Check, Finding, advise, database_tls
from watchword.cli.console import as_json, one_line, print_json
from watchword.cli.disks import NETWORK, file_system
from watchword.cli.opened import administer
from watchword.cli.serve import exposure
from watchword.errors import Problem, SettingsError, StaleSchemaError, Unavailable, WatchwordError
from watchword.settings import ENV_PREFIX, Settings, check_production

if TYPE_CHECKING:
    from watchword.auth import Watchword

OLDEST = 1_735_689_600_000_000
"""2025-01-01: no clock of a machine that runs this is behind it."""
MAX_SKEW = 5_000_000
MOUNTS = Path("/proc/self/mountinfo")
REFUSALS = frozenset({Check.SETTINGS, Check.PRODUCTION, Check.DATABASE, Check.SCHEMA})
"""Whatever somebody decides, nothing is served with these."""


@click.command()
@click.option(
    "--workers",
    default=1,
    show_default=True,
    envvar="WEB_CONCURRENCY",
    show_envvar=True,
    type=click.IntRange(1),
    help="Processes that serve.",
)
@click.option(
    "--accept",
    multiple=True,
    metavar="CHECK",
    type=click.Choice([check.value for check in Check if check not in REFUSALS]),
    help="A finding that is meant so; may be repeated.",
)
@as_json
def doctor(workers: int, accept: tuple[str, ...], as_json: bool) -> None:
    """Check settings, secret, clock and database for production use.

    Exit code 1 if there is something to mend.
    """
    findings = [finding for finding in _findings(workers) if finding.check not in accept]
    if as_json:
        print_json({"ok": not findings, "findings": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            click.echo(f"{finding.check}: {one_line(finding.message)}")
        if not findings:
            click.echo("nothing to mend")
    click.get_current_context().exit(1 if findings else 0)


def _findings(workers: int) -> Iterator[Finding]:
    from watchword.drivers.clock import SystemClock

    now = SystemClock().now()
    if now < OLDEST:
        yield Finding(Check.CLOCK, f"this machine's clock says {now // 1_000_000}, before 2025: set it")
    try:
        settings = Settings.from_env()
    except SettingsError as error:
        yield Finding(Check.SETTINGS, str(error))
        return
    try:
        check_production(settings)
    except SettingsError as error:
        yield Finding(Check.PRODUCTION, str(error))
    for setting in fields(Settings):
        file = os.environ.get(f"{ENV_PREFIX}{setting.name.upper()}_FILE")
        if setting.metadata["secret"] and file and _open_to_others(Path(file)):
            yield Finding(Check.SECRET, f"others on this machine may read {file}: chmod 600 {file}")
    yield from advise(settings, workers=workers)
    if settings.events_file:
        yield from _events_file(Path(settings.events_file).absolute())
    if settings.admin_bind:
        yield from _library()
    for advice in exposure(settings):
        yield Finding(Check.PROXY, advice)
    if settings.redis_url:
        yield from _redis(settings)
    if not settings.database_url.startswith("memory:"):  # told by check_production
        yield from _database(settings)


def _library() -> Iterator[Finding]:
    from watchword.drivers.exposition import require_library

    try:
        require_library()
    except SettingsError as error:
        yield Finding(Check.ADMIN, str(error))


def _redis(settings: Settings) -> Iterator[Finding]:
    """Asked for what it is there for: one that answers and may not run a script counts nothing."""
    import asyncio

    from watchword.rates import Rate
    from watchword.spans import SECOND

    async def ask() -> None:
        from watchword.storage.redis import RedisLimiter

        limiter = RedisLimiter(settings.redis_url)
        try:
            await limiter.take([("doctor", Rate(1000, SECOND))], now=0)
        finally:
            await limiter.close()

    try:
        asyncio.run(ask())
    except SettingsError as error:
        yield Finding(Check.REDIS, str(error))
    except Unavailable as error:
        yield Finding(
            Check.REDIS,
            f"Redis does not count limits ({type(error.__cause__).__name__}), the database does instead: start it, or "
            "mend WATCHWORD_REDIS_URL",
        )


def _events_file(path: Path) -> Iterator[Finding]:
    """Nothing is written, nor made: it may be another user who serves."""
    if path.exists() and (path.is_dir() or not os.access(path, os.W_OK)):
        yield Finding(
            Check.EVENTS,
            f"events_file {path} is nothing that this user may write to: chown it, or name another",
        )
    elif not os.access(path.parent, os.W_OK | os.X_OK):
        yield Finding(
            Check.EVENTS,
            f"events_file {path} cannot be made, as {path.parent} is no folder that this user may write to: make one",
        )
    elif path.is_file() and _open_to_others(path, stat.S_IRWXO):
        yield Finding(
            Check.EVENTS, f"others on this machine may read {path}, which holds addresses: chmod o= {path}"
        )


def _database(settings: Settings) -> Iterator[Finding]:
    from watchword.storage.sql.urls import parse

    async def skew(auth: Watchword) -> int:
        page = await auth.world.store.read_revocations(since=auth.world.clock.now())
        return abs(page.now - auth.world.clock.now())

    try:
        database = parse(settings.database_url)
        # Before it is opened, as it may be why it cannot be.
        if database.kind == "sqlite":
            yield from _file(database.path)
        else:
            yield from _way(database.target)
        if administer(skew, settings=settings) > MAX_SKEW:
            yield Finding(
                Check.CLOCK, "the database's clock and this machine's differ by seconds: run NTP on both"
            )
        if database.kind == "sqlite":
            yield from _journal(database.path)
    except StaleSchemaError as error:
        yield Finding(Check.SCHEMA, str(error))
    except WatchwordError as error:
        text = error.detail if isinstance(error, Problem) else str(error)
        yield Finding(Check.DATABASE, text)


def _way(target: str) -> Iterator[Finding]:
    """A driver that is missing and a URL that it cannot read are told when the database is opened."""
    try:
        from psycopg import ProgrammingError, pq
        from psycopg.conninfo import conninfo_to_dict
    except ImportError:
        return
    options = {option.keyword.decode(): option.val for option in pq.Conninfo.get_defaults()}
    environment: dict[str, object] = {
        name: value.decode() for name, value in options.items() if value is not None
    }
    try:
        yield from database_tls(environment | conninfo_to_dict(target))
    except ProgrammingError:
        return


def _file(path: Path) -> Iterator[Finding]:
    if _open_to_others(path):
        yield Finding(Check.FILE, f"others on this machine may read {path}: chmod 600 {path}*")
    if (kind := _file_system(path)) in NETWORK:
        yield Finding(
            Check.DISK,
            f"{path} is on a {kind} file system, where SQLite's locks and shared memory do not hold: put it on a "
            "local disk, or use postgresql://",
        )


def _file_system(path: Path) -> str:
    """Its type where Linux tells it, else an empty text."""
    try:
        return file_system(MOUNTS.read_text(errors="surrogateescape"), str(path.resolve()))
    except OSError:
        return ""


def _journal(path: Path) -> Iterator[Finding]:
    mode = _journal_mode(path)
    if mode != "wal":
        yield Finding(
            Check.DISK,
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


def _open_to_others(path: Path, who: int = stat.S_IRWXG | stat.S_IRWXO) -> bool:
    try:
        return os.name == "posix" and bool(path.stat().st_mode & who)
    except OSError:
        return False
