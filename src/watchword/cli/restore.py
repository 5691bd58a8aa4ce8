"""`watchword restore`: after the database came back from a backup that lacks its last commits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from watchword.cli.console import Refused, as_json, confirm, one_line, print_json, yes
from watchword.cli.opened import administer
from watchword.errors import SettingsError
from watchword.settings import Settings

if TYPE_CHECKING:
    from watchword.auth import Watchword
    from watchword.core.record import Recorded
    from watchword.core.restoration import Lost
    from watchword.flows.restore import Restored

LONGEST_LINE = 65_536
"""In bytes: an event's is far shorter."""
SHOWN = 20
"""Lines that cannot be read, of which each is told."""


class Instant(click.ParamType[int]):
    """RFC 3339 with its offset; in µs."""

    name = "instant"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        from watchword.core.record import read_instant

        try:
            return read_instant(value)
        except ValueError:
            self.fail(f"{value!r} is no instant such as 2026-01-31T12:00:00Z", param, ctx)


@dataclass
class _Read:
    """What a file holds: the events of the span, how many lines there were, and where one could not be read."""

    rows: list[Recorded] = field(default_factory=list)
    lines: int = 0
    unreadable: list[tuple[str, int, str]] = field(default_factory=list)
    earliest: int | None = None


@click.command()
@click.option(
    "--since",
    type=Instant(),
    metavar="T",
    help="From when on commits may be lost, as 2026-01-31T12:00:00Z: when the backup was begun.",
)
@click.option(
    "--events",
    "files",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
    multiple=True,
    metavar="FILE",
    help="The file that WATCHWORD_EVENTS_FILE named, or a copy. May be given again.",
)
@click.option("--end-all", is_flag=True, help="Without such a file: end all sessions of everybody.")
@yes
@as_json
def restore(since: int | None, files: tuple[Path, ...], end_all: bool, yes: bool, as_json: bool) -> None:
    """Do again what a restored database has lost.

    Ends of sessions, disablings, changes of passwords and deletions.

    Stop the servers first. May be run twice.
    """
    if end_all == bool(files):
        raise click.UsageError("Name the file of events by --events, or say --end-all if there is none.")
    if end_all:
        _end_all(yes=yes, as_json=as_json)
        return
    if since is None:
        raise click.UsageError("Say by --since from when on commits may be lost.")
    _judge(since)
    if not Settings.from_env().secret:
        raise SettingsError(
            "WATCHWORD_SECRET is missing: mail to those whose passwords are lost is sealed under it"
        )
    read = _read(files, since)
    for path, number, why in read.unreadable[:SHOWN]:
        click.echo(f"watchword: {path}, line {number}: {why}", err=True)
    if (more := len(read.unreadable) - SHOWN) > 0:
        click.echo(f"watchword: and {more} more lines that cannot be read", err=True)
    if read.earliest is None or read.earliest > since:
        click.echo(
            "watchword: no event is older than --since: is there an older file that was rotated away?",
            err=True,
        )
    what = administer(lambda auth: _missing(auth, read.rows, since))
    _preview(what, as_json=as_json)
    if what.rows:
        confirm(
            f"Delete {len(what.deleted)} users, disable {len(what.disabled)}, drop {len(what.passwords)} passwords, "
            f"take roles from {len(what.roles)} users and end up to {len(what.ended)} sessions?",
            yes=yes,
        )
    done = administer(lambda auth: _reapply(auth, what))
    _say(read, what, done, as_json=as_json)


def _judge(since: int) -> None:
    """Raises UsageError for an instant of which the table could not tell what was lost."""
    from watchword.core.record import KEPT
    from watchword.spans import DAY

    now = datetime.now(UTC).timestamp() * 1_000_000
    if since > now:
        raise click.UsageError("--since is in the future.")
    if since < now - KEPT:
        raise click.UsageError(
            f"--since is more than {KEPT // DAY} days ago: older events are swept from the table, and would be taken "
            "for lost. Name a later instant, or say --end-all."
        )


def _preview(what: Lost, *, as_json: bool) -> None:
    """Who will be deleted and what is left to somebody, before anything is done: a second run tells neither."""
    from watchword.core.record import exact_instant

    for user_id in sorted(what.deleted):
        click.echo(one_line(f"to be deleted: {user_id}"), err=as_json)
    for row in what.by_hand:
        event = row.event
        words = [exact_instant(event.at), event.name, str(event.user_id), event.detail or ""]
        click.echo(one_line(f"by hand: {' '.join(words)}"), err=as_json)


async def _missing(auth: Watchword, rows: Sequence[Recorded], since: int) -> Lost:
    from watchword.flows import restore as flow

    return await flow.missing(auth.world, rows, since=since)


async def _reapply(auth: Watchword, what: Lost) -> Restored:
    from watchword.flows import restore as flow
    from watchword.flows.activity import done_by

    return await flow.reapply(done_by(auth.world, "cli"), what)


def _end_all(*, yes: bool, as_json: bool) -> None:
    from watchword.flows import restore as flow
    from watchword.flows.activity import done_by

    confirm("End all sessions of everybody?", yes=yes)
    count = administer(lambda auth: flow.end_everything(done_by(auth.world, "cli")))
    if as_json:
        print_json({"sessions": count})
        return
    click.echo(f"{count} sessions have ended")
    click.echo(
        "Not known without the events: whom the lost span disabled or deleted, and whose old password counts again"
    )


def _read(files: Sequence[Path], since: int) -> _Read:
    """Of refusals, of which there may be millions and nothing to be done, none."""
    from watchword.core.record import budget_of, read_line

    read = _Read()
    for path in files:
        try:
            with click.open_file(str(path), "rb") as file:
                for number, line in enumerate(file, 1):
                    read.lines += 1
                    try:
                        if len(line) > LONGEST_LINE:
                            raise ValueError("it is too long")
                        row = read_line(line.decode("utf-8", "strict"))
                    except ValueError as error:
                        why = "it is no UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
                        read.unreadable.append((str(path), number, why))
                        continue
                    at = row.event.at
                    read.earliest = at if read.earliest is None else min(at, read.earliest)
                    if at >= since and budget_of(row.event) is None:
                        read.rows.append(row)
        except OSError as error:
            raise Refused(f"{path} cannot be read: {error.strerror}") from None
    return read


def _say(read: _Read, what: Lost, done: Restored, *, as_json: bool) -> None:
    """The summary. Raises Refused when something is left that ought to have been done."""
    from watchword.core.record import exact_instant

    if as_json:
        print_json(
            {
                "lines": read.lines,
                "unreadable": [
                    {"file": path, "line": number, "why": why} for path, number, why in read.unreadable
                ],
                "lost": len(what.rows),
                "sessions": done.sessions,
                "sessions_known": done.known,
                "sessions_unknown": done.unknown,
                "disabled": done.disabled,
                "passwords": done.passwords,
                "roles": done.roles,
                "deleted": done.deleted,
                "by_hand": [
                    {"at": exact_instant(row.event.at), "name": row.event.name, "user_id": row.event.user_id}
                    | ({"detail": row.event.detail} if row.event.detail else {})
                    for row in done.by_hand
                ],
                "failed": [{"user_id": user_id, "why": why} for user_id, why in done.failed],
            }
        )
    else:
        click.echo(f"{read.lines} lines read, {len(what.rows)} events were lost and are in the table again")
        click.echo(
            f"{done.sessions} sessions ended; {done.known} had ended, {done.unknown} are not in this database"
        )
        click.echo(f"{len(done.disabled)} users disabled, {len(done.deleted)} deleted")
        click.echo(f"{len(done.passwords)} users must set their password again; mail tells them")
        click.echo(f"{len(done.roles)} users lost roles")
    failures = [f"{user_id}: {why}" for user_id, why in done.failed]
    if read.unreadable:
        failures.append(f"{len(read.unreadable)} lines could not be read; all others count")
    if failures:
        raise Refused(*failures)
