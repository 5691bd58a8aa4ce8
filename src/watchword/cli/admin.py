"""The admin listener of `watchword serve`: where it is bound and what is refused before anything is served."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import click

from watchword.cli import listen
from watchword.cli.advice import admin
from watchword.cli.console import Refused
from watchword.settings import Settings
from watchword.texts import host_and_port


@contextmanager
def admin_listener(settings: Settings) -> Iterator[str | None]:
    """Serve it while inside; its address, or None where `admin_bind` is not set. Raises Refused, SettingsError."""
    if not settings.admin_bind:
        yield None
        return
    from watchword.drivers.exposition import require_library

    require_library()
    if not hasattr(socket, "AF_UNIX"):
        raise Refused(
            "admin_bind: the processes that serve report by Unix sockets, which this system has not"
        )
    from watchword.cli.protocol import BoundedProtocol
    from watchword.server.admin import administered

    host, port = host_and_port(settings.admin_bind)
    with listen.bind(host, port, mend="name another in WATCHWORD_ADMIN_BIND") as listener:
        for finding in admin(settings):
            click.echo(f"watchword: {finding.message}", err=True)
        address = listen.shown(host, listener.getsockname()[1])
        with administered(settings, listener, protocol=BoundedProtocol):
            yield address
