"""How much memory a worker of a real `watchword serve` takes: when it has started, and at most while people sign in."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from http.client import HTTPConnection
from pathlib import Path

from bench.databases import Texts, sqlite, within
from bench.table import Line
from watchword import Watchword

WORKERS = 2
SIGN_INS = 64
EMAIL, PASSWORD = "ada@example.com", "correct horse battery staple"


def memory(place: Path, rounds: int, seconds: int) -> list[Line]:
    """On SQLite, resident memory as Linux counts it: pages that workers share count in each."""
    begun: list[float] = []
    most: list[float] = []
    for _ in range(rounds):
        settings = sqlite(place)
        within(settings, _user)
        with _serving(settings) as (parent, port):
            begun.append(max(_mebibytes(parent, "VmRSS")))
            with ThreadPoolExecutor(8) as many:
                list(many.map(partial(_sign_in, port), range(SIGN_INS)))
            most.append(max(_mebibytes(parent, "VmHWM")))
    return [
        Line(
            "memory", "a worker when it has started, MiB", begun, form="{:.0f}", beside=f"{WORKERS} workers"
        ),
        Line("memory", f"at most, {SIGN_INS} sign-ins, 8 at once, MiB", most, form="{:.0f}"),
    ]


async def _user(auth: Watchword) -> None:
    await auth.users.create(EMAIL, PASSWORD)


@contextmanager
def _serving(settings: Texts) -> Iterator[tuple[int, int]]:
    """The process that watches over the workers, and the port."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("WATCHWORD_")}
    named = {f"WATCHWORD_{name.upper()}": value for name, value in settings.items()}
    with subprocess.Popen(
        [sys.executable, "-m", "watchword", "serve", "--port=0", f"--workers={WORKERS}"],
        env=others | named,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().split(" on ")[1].partition(",")[0]
            yield process.pid, int(address.rpartition(":")[2])
        finally:
            process.terminate()
            process.wait(30)


def _sign_in(port: int, number: int) -> None:
    body = json.dumps({"email": EMAIL, "password": PASSWORD})
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    lines = {"Content-Type": "application/json", "User-Agent": secrets.token_hex(4)}
    connection.request("POST", "/auth/login", body, lines)
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    connection.close()


def _mebibytes(parent: int, what: str) -> list[float]:
    """Of each worker."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text(encoding="ascii").split()
    found = []
    for child in children:
        if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
            lines = Path(f"/proc/{child}/status").read_text(encoding="ascii", errors="replace").splitlines()
            [line] = [line for line in lines if line.startswith(f"{what}:")]
            found.append(int(line.split()[1]) / 1024)
    return found
