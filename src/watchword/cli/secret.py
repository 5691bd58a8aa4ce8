"""`watchword secret`: a new root secret, and how it takes another one's place while servers run.

Only the new secret is ever printed, and on standard output alone, where a script captures it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta

import click

from watchword.errors import SettingsError
from watchword.settings import ENV_PREFIX, Algorithm, Settings

NAME = f"{ENV_PREFIX}SECRET"


@click.command()
def secret() -> None:
    """Print a new root secret; on standard error, how to rotate to it."""
    import secrets

    click.echo(secrets.token_urlsafe(48))
    for line in _advice():
        click.echo(line, err=True)


def _advice() -> Iterator[str]:
    try:
        settings = Settings.from_env()
    except SettingsError:  # which may be why a new secret is wanted
        settings = Settings()
    here = len(settings.secret)
    old = "OLD" if here < 2 else ",".join(f"OLD{place}" for place in range(1, here + 1))
    place = os.environ.get(f"{NAME}_FILE", NAME) if here else NAME
    yield f"Keep it out of the repository: as {NAME}, or in a {NAME}_FILE."
    whose = "what is set here" if here else "what servers run with"
    yield f"To rotate from {old}, {whose}, to NEW, the line above, with nobody signed out:"
    yield f"1. {place} becomes {old},NEW on every server: restart one after another."
    published = settings.algorithm in (Algorithm.ES256, Algorithm.EDDSA)
    later = ", and five minutes later if other services verify by the published keys" if published else ""
    yield f"2. When all run with that{later}: {place} becomes NEW,{old}."
    yield f"3. When all have run with that for {_short(settings.refresh_ttl)} (refresh_ttl): {place} becomes NEW."
    if settings.algorithm is Algorithm.RS256:
        yield "Access tokens are signed with rsa_key (RS256), a list of its own, which this leaves as it is."


def _short(span: timedelta) -> str:
    """A span as settings write it, rounded up to seconds."""
    seconds = -(-span // timedelta(seconds=1))
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
