"""How long importing takes, as the wall time of whole processes: what every script, worker and command line pays."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from functools import partial
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from statistics import median

from bench.databases import Texts, sqlite
from bench.load import WrongAnswerError
from bench.servers import START_SECONDS
from bench.table import Goal, Line, interleaved

NOTHING = "pass"
SERVE = "watchword serve to its first 200 of /health/ready, ms"


def imports(place: Path, rounds: int, seconds: int) -> list[Line]:
    """The package itself, what `Watchword` brings along, the command line's help, and a server until it is ready."""
    most = Goal(150, at_most=True)
    measured = {"import watchword": most, "from watchword import Watchword": None}
    commands = {code: ["-c", code] for code in (NOTHING, *measured)}
    commands["watchword --help"], measured["watchword --help"] = ["-m", "watchword", "--help"], most
    for command in commands.values():
        _millis(command)  # compiles what was not yet
    figures = interleaved(rounds, {name: partial(_millis, command) for name, command in commands.items()})
    nothing = f"of which the interpreter alone {median(figures.pop(NOTHING)):.0f}"
    ready = interleaved(rounds, {SERVE: partial(_ready, sqlite(place))})[SERVE]
    return [
        *(
            Line("import", f"{name}, ms", millis, form="{:.0f}", goal=measured.get(name), beside=nothing)
            for name, millis in figures.items()
        ),
        Line("import", SERVE, ready, form="{:.0f}", goal=Goal(1500, at_most=True)),
    ]


def _ready(texts: Texts) -> float:
    """Milliseconds from the start of the process to the first 200 of /health/ready, asked every 5 ms."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    others = {name: text for name, text in _environment().items() if not name.startswith("WATCHWORD_")}
    named = {f"WATCHWORD_{name.upper()}": text for name, text in texts.items()}
    command = [sys.executable, "-m", "watchword", "serve", "--port", str(port)]
    begun = time.perf_counter()
    process = subprocess.Popen(
        command, env=others | named, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        while not _answers(port):
            if process.poll() is not None or time.perf_counter() - begun > START_SECONDS:
                raise WrongAnswerError("`watchword serve` did not become ready")
            time.sleep(0.005)
        return (time.perf_counter() - begun) * 1e3
    finally:
        process.terminate()
        process.wait(START_SECONDS)


def _answers(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=START_SECONDS)
    try:
        connection.request("GET", "/auth/health/ready")
        return connection.getresponse().status == HTTPStatus.OK
    except OSError:
        return False
    finally:
        connection.close()


def _environment() -> dict[str, str]:
    """With the byte code of a normal installation, whatever this environment says about it."""
    return {name: text for name, text in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def _millis(arguments: list[str]) -> float:
    begun = time.perf_counter()
    subprocess.run([sys.executable, *arguments], env=_environment(), stdout=subprocess.DEVNULL, check=True)
    return (time.perf_counter() - begun) * 1e3
