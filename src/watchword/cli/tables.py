"""`watchword migrate` and `watchword cleanup`: what the database itself needs."""

from __future__ import annotations

from functools import partial

import click

from watchword.cli.opened import administer, lasting
from watchword.settings import Settings


@click.command()
@click.option("--sql", "as_sql", is_flag=True, help="Print the SQL instead; the database is not touched.")
def migrate(as_sql: bool) -> None:
    """Make or upgrade the tables. Safe to run twice, and beside running servers."""
    url = lasting(Settings.from_env()).database_url
    from watchword.storage.sql import migrate as migrations

    if as_sql:
        click.echo(migrations.sql(url), nl=False)
    elif applied := migrations.migrate(url):
        click.echo(f"applied {', '.join(applied)}")
    else:
        click.echo("nothing to do: the tables are up to date")


@click.command()
def cleanup() -> None:
    """Delete what expired or ended long ago. Servers do so hourly; this is for cron."""
    from watchword.drivers.sweeper import BRIEF_REST, rest
    from watchword.flows.sweep import sweep

    gone = administer(lambda auth: sweep(auth.world, partial(rest, times=BRIEF_REST)))
    click.echo(f"{gone} rows deleted")
