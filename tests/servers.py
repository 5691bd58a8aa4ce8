"""Real servers and real sockets for tests: `watchword serve` as a process of its own, and a client that keeps a jar."""

import asyncio
import json
import os
import random
import secrets
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import IO, Any

EMAIL = "ada@example.com"
PASSWORD = "correct horse battery staple"
BRISKLY = "from watchword.cli import stopping, main; stopping.NOTICE_SECONDS = 0.0; main()"
"""The command line without the seconds that a server says to a load balancer that it is about to stop: there is none
in front, and tests stop many. What those seconds are for is tests/faults/test_stop.py's."""


_GIVEN: set[int] = set()
_GIVING = threading.Lock()


def free_port() -> int:
    """One that nobody listens on, given once: below those that the system hands to whoever connects, as one of these
    may be taken before a server has started on it."""
    with _GIVING:
        while True:
            port = random.randrange(10_000, 32_000)
            with socket.socket() as probe:
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError:
                    continue
            if port not in _GIVEN:
                _GIVEN.add(port)
                return port


def environment(database_url: str, **settings: str) -> dict[str, str]:
    """The environment of a server process, without whatever WATCHWORD_ settings the caller's has."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("WATCHWORD_")}
    named = {"secret": secrets.token_urlsafe(48), "database_url": database_url, "limits": "off"} | settings
    return inherited | {f"WATCHWORD_{name.upper()}": value for name, value in named.items()}


def watchword(*words: str, env: Mapping[str, str], stdin: str = "", cwd: Path | None = None) -> str:
    """Run a verb to its end; its standard output. Fails with what it said."""
    done = subprocess.run(
        [sys.executable, "-m", "watchword", *words],
        env=env,
        input=stdin,
        capture_output=True,
        text=True,
        cwd=cwd,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@dataclass
class Answer:
    status: int
    body: Any
    headers: list[tuple[str, str]]

    @property
    def code(self) -> str | None:
        return self.body.get("code") if isinstance(self.body, dict) else None

    def cookies(self) -> dict[str, str]:
        lines = [value for name, value in self.headers if name.lower() == "set-cookie"]
        return dict(line.partition(";")[0].split("=", 1) for line in lines)


@dataclass
class Browser:
    """One cookie jar over blocking connections: takes Set-Cookie as a browser would, sends it with its Origin."""

    url: str
    jar: dict[str, str] = field(default_factory=dict)

    def send(
        self, method: str, path: str, body: Any = None, *, to: str | None = None, **headers: str
    ) -> Answer:
        """To `url`, or to another process that serves it at the address `to`.

        Raises OSError or HTTPException when the answer is lost; the jar is then as before.
        """
        connection = HTTPConnection((to or self.url).removeprefix("http://"), timeout=10)
        lines = {"Origin": self.url, "User-Agent": "tests"} | headers
        if self.jar:
            lines["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.jar.items())
        if body is not None:
            lines["Content-Type"] = "application/json"
        try:
            connection.request(method, path, None if body is None else json.dumps(body), lines)
            response = connection.getresponse()
            text = response.read()
        finally:
            connection.close()
        answer = Answer(response.status, _parsed(text), response.getheaders())
        for name, value in answer.cookies().items():
            if value:
                self.jar[name] = value
            else:
                self.jar.pop(name, None)
        return answer

    def sign_in(self, email: str = EMAIL, password: str = PASSWORD) -> Answer:
        answer = self.send("POST", "/auth/login", {"email": email, "password": password})
        assert answer.status == 200, answer.body
        return answer


@dataclass
class Server:
    """A running `watchword serve`. `origin` is the url that it serves: its own address unless several share one. With
    `notice` it stops as it does in production."""

    env: Mapping[str, str]
    origin: str = ""
    workers: int = 1
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None
    notice: bool = False
    _log: IO[bytes] = field(
        default_factory=TemporaryFile
    )  # a pipe that nobody reads would fill and stop the server

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return self.origin or self.address

    def start(self) -> None:
        self.launch()
        self.await_ready()

    def launch(self) -> None:
        """Begin to start, beside others; `await_ready` is the other half."""
        command = ["-m", "watchword"] if self.notice else ["-c", BRISKLY]
        self.process = subprocess.Popen(
            [sys.executable, *command, "serve", f"--port={self.port}", f"--workers={self.workers}"],
            env={**self.env, "WATCHWORD_URL": self.url},
            stdout=subprocess.DEVNULL,
            stderr=self._log,
            start_new_session=True,
        )

    def await_ready(self) -> None:
        assert self.process is not None
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            try:
                if Browser(self.address).send("GET", "/auth/health/ready").status == 200:
                    return
            except (OSError, HTTPException):
                time.sleep(0.02)
            if self.process.poll() is not None:
                break
        raise AssertionError(f"the server did not start: {self.kill()}")

    def kill(self) -> str:
        """SIGKILL, workers and all; what it had said."""
        assert self.process is not None
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        return self.said()

    def stop(self) -> None:
        """SIGTERM; fails unless the server ends in good order."""
        if self.process is not None and self.process.returncode is None:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.kill()
                raise
            assert self.process.returncode == 0, self.said()
        self._log.close()

    def said(self) -> str:
        """What is on its standard error, so far."""
        return os.pread(self._log.fileno(), 2**30, 0).decode()


@contextmanager
def serving(
    env: Mapping[str, str], *, origin: str = "", workers: int = 1, port: int | None = None
) -> Iterator[Server]:
    """A server on a free port, unless one is named, stopped at the end."""
    server = Server(env, origin, workers, port or free_port())
    try:
        server.start()
        yield server
    finally:
        server.stop()


def workers_of(server: Server) -> set[int]:
    """The ids of the processes that serve: of one worker, the server's own."""
    assert server.process is not None
    parent = server.process.pid
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return {int(child) for child in children} if server.workers > 1 else {parent}


def prepared(database_url: str, **settings: str) -> dict[str, str]:
    """A migrated database with one user; the environment that its servers share."""
    env = environment(database_url, **settings)
    if database_url.startswith("sqlite:///"):
        content, mode = _inhabited()
        path = Path(database_url.removeprefix("sqlite:///"))
        path.touch(mode, exist_ok=False)
        path.write_bytes(content)
    else:
        _inhabit(env)
    return env


@cache
def _inhabited() -> tuple[bytes, int]:
    """What such a file holds, and its mode: nothing in it depends on any setting, so it is made once a process."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "watchword.db"
        _inhabit(environment(f"sqlite:///{path}"))
        assert os.listdir(folder) == [path.name], "no write-ahead log is left"
        return path.read_bytes(), stat.S_IMODE(path.stat().st_mode)


def _inhabit(env: Mapping[str, str]) -> None:
    watchword("migrate", env=env)
    watchword("user", "create", EMAIL, "--password-stdin", env=env, stdin=PASSWORD + "\n")


async def post(address: str, path: str, *, origin: str, cookie: str) -> Answer:
    """One POST over a connection of its own, as cheap as Python allows."""
    host, port = address.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(
            f"POST {path} HTTP/1.1\r\nHost: {host}:{port}\r\nOrigin: {origin}\r\nCookie: {cookie}\r\n"
            "User-Agent: tests\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()
        )
        raw = await reader.read(-1)
    finally:
        writer.close()
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    return Answer(int(first.split(" ")[1]), _parsed(body), headers)


def _parsed(text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text.decode("utf-8", "replace")
