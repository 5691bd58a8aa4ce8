"""Server processes, one an app, all started before the first round. One at a time is under load.

The others idle meanwhile, at well under a hundredth of the core each: stopping them would stop their feeds of
revocations, and a guard whose feed has fallen silent asks the database instead.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from statistics import median

from bench.machine import cores

START_SECONDS = 60


class Server:
    """An app of `bench.apps` on a port of its own and the server's core, or on that and the load's, `anywhere`."""

    def __init__(self, app: str, settings: Mapping[str, str], *, anywhere: bool = False) -> None:
        core, load = cores()
        listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = listener.getsockname()[1]
        self.loads: list[Spent] = []
        others = {name: value for name, value in os.environ.items() if not name.startswith("WATCHWORD_")}
        named = {f"WATCHWORD_{name.upper()}": value for name, value in settings.items()}
        descriptor = str(listener.fileno())
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "bench.apps",
                app,
                "" if core is None or anywhere else str(core),
                descriptor,
            ],
            env=others | named,
            pass_fds=[listener.fileno()],
        )
        listener.close()
        if anywhere and core is not None and load is not None:
            os.sched_setaffinity(self._process.pid, {core, load})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def wait_until_ready(self) -> None:
        """The socket takes connections at once and answers when the app has started; a process that fails closes it."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=START_SECONDS)
        connection.request("GET", "/")
        connection.getresponse().read()
        connection.close()

    @contextmanager
    def under_load(self) -> Iterator[Spent]:
        """What is spent while inside, filled in at the end."""
        spent = Spent()
        begun, cpu = time.monotonic(), self._cpu_seconds()
        yield spent
        spent.seconds, spent.cpu_seconds = time.monotonic() - begun, self._cpu_seconds() - cpu
        self.loads.append(spent)

    def megabytes(self) -> float:
        """Its resident memory; nan where the system does not tell."""
        try:
            status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="ascii")
        except FileNotFoundError:
            return float("nan")
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(START_SECONDS)

    def _cpu_seconds(self) -> float:
        """Of all its threads; where the system does not tell, as if it never waited."""
        try:
            stat = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="ascii")
        except FileNotFoundError:
            return time.monotonic()
        user, system = stat.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


@dataclass
class Spent:
    """Wall time, and the server's processor time in it."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0


def busy(*servers: Server) -> str:
    """How much of its core a server had: well under 100 % says that something else was the limit."""
    share = median([load.cpu_seconds / load.seconds for server in servers for load in server.loads])
    return f"core {share:.0%}"


@contextmanager
def serving(
    apps: Mapping[str, tuple[str, Mapping[str, str]]], *, anywhere: bool = False
) -> Iterator[dict[str, Server]]:
    """Servers by a name of the caller's choice, each given as an app and its settings."""
    servers = {name: Server(app, settings, anywhere=anywhere) for name, (app, settings) in apps.items()}
    try:
        for server in servers.values():
            server.wait_until_ready()
        yield servers
    finally:
        for server in servers.values():
            server.stop()
