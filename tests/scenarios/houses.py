"""Where a browser's story takes place: `watchword dev` with our own pages, or an app with a page of its own.

A house is started at once and ready later, so that many of them can start side by side.
"""

import re
import subprocess
import sys
import time
from http.client import HTTPException
from pathlib import Path
from typing import Any, Protocol

from tests.servers import EMAIL, PASSWORD, Browser, environment, free_port

ROOT = Path(__file__).parents[2]
START_SECONDS = 150


class House(Protocol):
    """A server, and whom it knows: an address and a password."""

    url: str
    process: subprocess.Popen[Any]

    @property
    def login(self) -> tuple[str, str]: ...
    def ready(self) -> None: ...
    def stop(self) -> None:
        """Wait for its end, which it has been asked for."""


class Dev:
    """A running `watchword dev` and what it printed."""

    def __init__(self, folder: Path, **settings: str) -> None:
        port = free_port()
        env = environment("", **settings)
        del env["WATCHWORD_SECRET"], env["WATCHWORD_DATABASE_URL"]  # it makes its own
        self.url = f"http://127.0.0.1:{port}"
        self.banner = ""
        self.process: subprocess.Popen[Any] = subprocess.Popen(
            [sys.executable, "-m", "watchword", "dev", f"--port={port}"],
            cwd=folder,
            env=env | {"PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while "Ctrl+C" not in self.banner:
            assert self.process.stdout is not None
            line = self.process.stdout.readline()
            assert line, self.banner
            assert time.monotonic() < deadline, self.banner
            self.banner += line

    @property
    def login(self) -> tuple[str, str]:
        """The demo user's address and password, as printed."""
        found = re.search(r"(\S+@example\.com)\W+(?:password\W+)?(\S+)", self.banner, re.I)
        assert found, self.banner
        return found[1], found[2]

    def stop(self) -> None:
        self.process.wait(15)
        if self.process.stdout is not None:
            self.process.stdout.close()


class Own:
    """The app of `own_page`, or of another file here, behind uvicorn."""

    login = EMAIL, PASSWORD

    def __init__(self, app: str = "own_page", **settings: str) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        uvicorn = [sys.executable, "-m", "uvicorn", "--log-level=error", f"--port={port}"]
        self.process: subprocess.Popen[Any] = subprocess.Popen(
            [*uvicorn, "--factory", f"tests.scenarios.{app}:create_app"],
            cwd=ROOT,
            env=environment("memory:", url=self.url, pages="off", **settings),
        )

    def ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            try:
                if Browser(self.url).send("GET", "/").status == 200:
                    return
            except (OSError, HTTPException):
                time.sleep(0.05)
            assert self.process.poll() is None
        raise AssertionError("the app did not start")

    def stop(self) -> None:
        self.process.wait(15)
