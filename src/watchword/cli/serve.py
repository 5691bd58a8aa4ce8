"""`watchword serve`: the standalone app, for production. Refuses before it listens."""

from __future__ import annotations

import os

import click

from watchword.cli import listen
from watchword.cli.admin import admin_listener
from watchword.cli.advice import is_local, mail
from watchword.cli.opened import administer
from watchword.settings import ENV_PREFIX, Settings, check_production

THREADS = f"{ENV_PREFIX}HASH_THREADS"


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535))
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 256), help="Processes.")
def serve(host: str, port: int, workers: int) -> None:
    """Serve for production, behind a proxy that speaks https."""
    settings = Settings.from_env()
    check_production(settings)
    administer(_nothing, settings=settings)
    with listen.bind(host, port) as listener, admin_listener(settings) as admin:
        for advice in [*exposure(settings, host), *(finding.message for finding in mail(settings))]:
            click.echo(f"watchword: {advice}", err=True)
        if workers > 1 and THREADS not in os.environ:
            from watchword.drivers.hasher import available_cores

            # The workers share the cores: as many hashing threads in each would only fight over them.
            os.environ[THREADS] = str(max(1, available_cores() // workers))
        bound = listener.getsockname()[1]
        address = listen.shown(host, bound)
        told = f"; admin listener on {admin}" if admin else ""
        line = f"serving {settings.url} on {address}, workers: {workers}{told}"
        app = "watchword.server.app:create_app"

        from watchword.cli.stopping import NOTICE_SECONDS

        listen.run(app, listener, ready=lambda: click.echo(line), workers=workers, notice=NOTICE_SECONDS)


def exposure(settings: Settings, host: str | None = None) -> list[str]:
    """What works, and is hardly what was wanted, about how the server is reached."""
    found = []
    if host is not None and settings.loopback and not is_local(host):
        found.append(
            f"{host} can be reached from other machines, but WATCHWORD_URL is {settings.url}: "
            "set it to the address that browsers use"
        )
    if settings.https and not settings.trusted_proxies:
        found.append(
            "WATCHWORD_URL is https, so a proxy is in front, but WATCHWORD_TRUSTED_PROXIES is empty: "
            "every client seems to have the proxy's address"
        )
    return found


async def _nothing(_: object) -> None:
    """That the database is there and its tables are right was seen on the way."""
