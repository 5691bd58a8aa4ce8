"""`watchword events`: what happened, to whom and from where."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from watchword.cli.console import as_json, one_line, print_json
from watchword.cli.opened import administer

if TYPE_CHECKING:
    from collections.abc import Callable

    from watchword.auth import Watchword
    from watchword.core.record import Recorded
    from watchword.flows.activity import Tail

POLL_SECONDS = 1.0


@click.command()
@click.option("--follow", is_flag=True, help="Go on with what happens from now on, until Ctrl+C.")
@click.option("--user", "login", metavar="LOGIN", help="Of this user alone; an id if the user was deleted.")
@click.option(
    "--limit", default=100, show_default=True, type=click.IntRange(1, 10_000), help="The newest so many."
)
@as_json
def events(follow: bool, login: str | None, limit: int, as_json: bool) -> None:
    """What happened, the newest last. With --follow, --json prints one object a line."""

    async def show(auth: Watchword) -> None:
        from watchword.flows import activity

        tail = activity.Tail(auth.world, None if login is None else await activity.whose(auth.world, login))
        rows = await tail.last(limit)
        if as_json and not follow:
            print_json([_shape(row) for row in rows])
            return
        write = _json if as_json else _text
        for row in rows:
            click.echo(write(row))
        if follow:
            await _follow(tail, write)

    administer(show)


async def _follow(tail: Tail, write: Callable[[Recorded], str]) -> None:
    """Until somebody ends it. A database that is away is waited for."""
    import asyncio

    from watchword.errors import Unavailable

    away = False
    while True:
        await asyncio.sleep(POLL_SECONDS)
        try:
            rows = await tail.more()
        except Unavailable as error:
            if not away:
                click.echo(
                    f"watchword: waiting for the database: {one_line(error.__cause__ or error)}", err=True
                )
            away = True
            continue
        away = False
        for row in rows:
            click.echo(write(row))


def _shape(row: Recorded) -> dict[str, Any]:
    """As in `events_file`."""
    from watchword.core.record import json_line

    shape: dict[str, Any] = json.loads(json_line(row))
    return shape


def _json(row: Recorded) -> str:
    from watchword.core.record import json_line

    return json_line(row)


def _text(row: Recorded) -> str:
    """`2026-01-31T12:00:00.123456Z signed_in user=… session=… ip=… detail=…`."""
    from watchword.core.record import exact_instant

    event = row.event
    words = {
        "user": event.user_id,
        "session": event.sid,
        "ip": event.ip,
        "by": event.by,
        "detail": event.detail,
    }
    told = [f"{name}={value}" for name, value in words.items() if value is not None]
    return one_line(" ".join([exact_instant(event.at), event.name, *told]))
