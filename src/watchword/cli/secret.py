"""`watchword secret`."""

from __future__ import annotations

import sys

import click


@click.command()
def secret() -> None:
    """Print a new root secret."""
    import secrets

    click.echo(secrets.token_urlsafe(48))
    if sys.stderr.isatty():
        click.echo(
            "Keep it out of the repository: as WATCHWORD_SECRET, or in a WATCHWORD_SECRET_FILE.", err=True
        )
