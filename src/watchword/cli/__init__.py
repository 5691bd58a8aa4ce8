"""The command line: a few lines a verb over the facade and the flows that apps use too. No rule about logins here.

What a verb needs is imported inside it, so that `watchword --help` answers at once. Exit codes: 0 done; 1 refused or
failed, with a line on standard error that says why; 2 wrong usage.
"""

from __future__ import annotations

import click

from watchword import __version__
from watchword.cli import dev, doctor, events, mail, restore, secret, serve, session, surface, tables, user
from watchword.cli.console import Root


@click.group(cls=Root, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="watchword", message="%(prog)s %(version)s")
def cli() -> None:
    """Login for Python web apps. Settings come from WATCHWORD_* in the environment."""


for verb in (
    dev.dev,
    serve.serve,
    tables.migrate,
    secret.secret,
    user.user,
    session.session,
    events.events,
    mail.mail,
    surface.openapi,
    surface.routes,
    doctor.doctor,
    tables.cleanup,
    restore.restore,
):
    cli.add_command(verb)


def main() -> None:
    """The entry point. Never returns: it exits."""
    cli(prog_name="watchword")
