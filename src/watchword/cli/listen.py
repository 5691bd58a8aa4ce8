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
from functools import partial
from typing import TYPE_CHECKING

from watchword.cli.console import Refused

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection
    from types import FrameType

    import uvicorn

BACKLOG = 2048
KEEP_ALIVE_SECONDS = 65
"""Longer than the minute after which proxies let an idle connection go: the one who might still send closes first."""
_LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(levelname)s %(name)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
}


def bind(host: str, port: int, *, mend: str = "choose another with --port") -> socket.socket:
    """A listening socket; port 0 is any that is free. `mend` is what to do when the port is taken. Raises Refused."""
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
            raise Refused(f"port {port} on {host} is taken: stop what listens there, or {mend}") from None
        raise Refused(f"cannot listen on port {port} of {host}: {error.strerror}") from None
    return listener


def shown(host: str, port: int) -> str:
    """The address of a listener, as one would type it."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def run(
    factory: str,
    listener: socket.socket,
    *,
    ready: Callable[[], None],
    workers: int = 1,
    log_level: str = "info",
    notice: float = 0.0,
) -> None:
    """Serve the app that `factory` makes until SIGTERM or SIGINT; then say for `notice` seconds that it is not ready,
    finish what is under way and return; what takes longer than GRACE_SECONDS is cut off. Exits with 1 if a second
    signal cut it off at once, or if one of several workers had to be killed. `ready` is called when requests are
    answered. Raises Refused."""
    if workers > 1:
        import logging.config

        from watchword.cli.workers import Workers

        logging.config.dictConfig(_LOGGING)
        serve = partial(_work, factory, log_level, notice)
        if code := Workers(serve, listener, count=workers, notice=notice).run(ready):
            raise SystemExit(code)
        return

    from watchword.cli.stopping import StoppingServer

    with _signals_are_no_failure():
        server = StoppingServer(_config(factory, log_level), ready=ready, notice=notice)
        try:
            server.run([listener])
        except SystemExit as stop:
            raise _refusal(stop) from None
        if server.force_exit:
            raise SystemExit(1)


def _work(factory: str, log_level: str, notice: float, listener: socket.socket, line: Connection) -> None:
    """One of several, in a process of its own."""
    from watchword.cli.stopping import StoppingServer
    from watchword.cli.workers import follow, ready

    server = StoppingServer(
        _config(factory, log_level), ready=lambda: ready(line), notice=notice, shared=True
    )
    follow(line, server)
    server.run([listener])
    if server.force_exit:
        raise SystemExit(1)


def _config(factory: str, log_level: str) -> uvicorn.Config:
    import uvicorn

    from watchword.cli.stopping import GRACE_SECONDS

    return uvicorn.Config(
        factory,
        factory=True,
        lifespan="on",
        ws="none",
        # Who the client is behind a proxy is ours to tell, from `trusted_proxies`.
        proxy_headers=False,
        server_header=False,
        date_header=True,
        # Until the app configures logging. Requests are logged by the proxy in front, which sees all of them.
        log_config=_LOGGING,
        log_level=log_level,
        access_log=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=GRACE_SECONDS,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        http="watchword.cli.protocol:BoundedProtocol",
    )


def _refusal(stop: SystemExit) -> BaseException:
    """What a server that could not start is told as; any other exit is what it is."""
    from uvicorn.config import STARTUP_FAILURE

    if stop.code == STARTUP_FAILURE:
        return Refused("the server could not start: the lines above say why")
    return stop


@contextmanager
def _signals_are_no_failure() -> Iterator[None]:
    """Exit with 0 on a signal that comes before uvicorn listens for it: the default would be to die of it."""

    def leave(signal_number: int, frame: FrameType | None) -> None:
        raise SystemExit(0)

    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
