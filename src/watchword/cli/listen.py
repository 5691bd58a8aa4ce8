"""A socket of our own and uvicorn over it: what `serve` and `dev` have in common.

The socket is bound here and not by uvicorn, so that a taken port is told before anything else happens, and so that
any number of workers can share it.
"""

from __future__ import annotations

import errno
import os
import signal
import socket
from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING

from watchword.cli.console import Refused

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

BACKLOG = 2048
GRACE_SECONDS = 10
"""How long answers under way may take when a server is asked to stop."""
KEEP_ALIVE_SECONDS = 65
"""Longer than the minute after which proxies let an idle connection go: the one who might still send closes first."""
START_SECONDS = 60
_LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(levelname)s %(name)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
}


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 is any that is free. Raises Refused."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError):
        raise Refused(f"{host} is no address of this machine that could be listened on") from None
    family, kind, protocol, _, address = found[0]
    listener = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":  # elsewhere it means that two may listen at once
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)  # at once: two that are merely bound would not notice each other
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise Refused(
                f"port {port} on {host} is taken: stop what listens there, or choose another with --port"
            ) from None
        raise Refused(f"cannot listen on port {port} of {host}: {error.strerror}") from None
    return listener


def run(
    factory: str,
    listener: socket.socket,
    *,
    ready: Callable[[], None],
    workers: int = 1,
    log_level: str = "info",
) -> None:
    """Serve the app that `factory` makes until SIGTERM or SIGINT, then finish what is under way and return or exit
    with 0. `ready` is called when requests are answered. Raises Refused."""
    import uvicorn
    from uvicorn.config import STARTUP_FAILURE
    from uvicorn.supervisors import Multiprocess

    config = uvicorn.Config(
        factory,
        factory=True,
        workers=workers,
        lifespan="on",
        ws="none",
        # Who the client is behind a proxy is ours to tell, from `trusted_proxies`.
        proxy_headers=False,
        server_header=False,
        date_header=True,
        # Until the app configures logging, and for the process that watches over the workers. Requests are logged by
        # the proxy in front, which sees all of them.
        log_config=_LOGGING,
        log_level=log_level,
        access_log=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=GRACE_SECONDS,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        http="watchword.cli.protocol:BoundedProtocol",
    )
    failed = Refused("the server could not start: the lines above say why")

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                ready()

    class Workers(Multiprocess):
        def init_processes(self) -> None:
            super().init_processes()
            if all(worker.wait_until_ready(START_SECONDS, self.should_exit) for worker in self.processes):
                ready()

    if workers > 1:
        supervisor = Workers(config, [listener])
        supervisor.run()
        if any(worker.exitcode == STARTUP_FAILURE for worker in supervisor.processes):
            raise failed
        return
    with _signals_are_no_failure():
        try:
            Server(config).run([listener])
        except SystemExit as stop:
            if stop.code == STARTUP_FAILURE:
                raise failed from None
            raise


@contextmanager
def _signals_are_no_failure() -> Iterator[None]:
    """Exit with 0 on a signal. uvicorn stops gracefully, then raises the signal once more for whoever listened before
    it, and the default there would be to die of it."""

    def leave(signal_number: int, frame: FrameType | None) -> None:
        raise SystemExit(0)

    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
