"""A contestant's server: on the server's core, all of its processes and threads, and ended with everything it began."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

from bench.machine import cores, stay_on
from bench.servers import Spent

START_SECONDS = 120
"""A dozen servers start at once, on one core."""


class Process:
    """It leads a session of its own, by which its children are found: gunicorn works in one, and the time that they
    take counts."""

    def __init__(self, command: list[str], env: dict[str, str], listener: socket.socket, place: Path) -> None:
        self.port: int = listener.getsockname()[1]
        self.loads: list[Spent] = []
        with _on_server_core():
            self._process = subprocess.Popen(
                command,
                cwd=place,
                env=_others() | env,
                pass_fds=[listener.fileno()],
                start_new_session=True,
            )
        listener.close()

    @staticmethod
    def run(command: list[str], env: dict[str, str], place: Path) -> None:
        """Something that is done before the server starts."""
        subprocess.run(command, cwd=place, env=_others() | env, check=True)

    def wait_until_ready(self) -> None:
        """The socket takes connections at once and answers when the server has started; one that fails closes it."""
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

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(START_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def _cpu_seconds(self) -> float:
        ticks = 0
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue  # it has ended meanwhile
            if int(fields[3]) == self._process.pid:  # its session
                ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")


def _others() -> dict[str, str]:
    """This process's environment, of which no server shall read anything that concerns us."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("WATCHWORD_", "PEER_"))}


@contextmanager
def _on_server_core() -> Iterator[None]:
    """A process inherits the core on which its parent is, and all of its threads do."""
    server, load = cores()
    stay_on(server)
    try:
        yield
    finally:
        stay_on(load)
