"""A server that is asked to stop while 200 requests a second come: nobody who was let in goes without an answer.

`FAULTS=full` does it ten times for each number of workers. The figures are printed.
"""

import asyncio
import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.servers import EMAIL, PASSWORD, Browser, Server, prepared
from watchword.cli.stopping import NOTICE_SECONDS

FULL = os.environ.get("FAULTS") == "full"
TIMES = 10 if FULL else 1
RATE = 200
BEFORE_SECONDS = 1.0
MOST_WAITING = 40
"""Requests under way: a machine that is too busy for the rate is asked for less, as a stop has seconds for all."""
KEPT = 24
"""Connections that are kept open; each second request has one of its own."""
FEED_TOKEN = "feed-token-of-the-stopping-test-0123456789"
CUT_OFF = ("timeout graceful shutdown exceeded", "stopping took too long")
"""What a server says that cut somebody off, as its time was over."""
HOLD_UP = 10.0 if FULL else 20.0
"""Seconds within which a server has stopped (F16): by its own timers, of which a busy machine makes more."""


@dataclass
class Seen:
    """What came of the requests; instants by the monotonic clock."""

    outcomes: Counter[str] = field(default_factory=Counter)
    dropped: list[str] = field(default_factory=list)
    answered_at: list[float] = field(default_factory=list)
    refused_at: list[float] = field(default_factory=list)
    not_ready_at: list[float] = field(default_factory=list)
    kept_alive: int = 0


class Refused(Exception):
    """There was nobody to connect to."""


class Line:
    """A connection over which requests are sent one after another, as HTTP/1.1 says."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, seen: Seen, request: bytes, *, keep: bool) -> bytes:
        """The answer's body. Raises Refused, and whatever says that an answer was lost."""
        if self._streams is None or self._streams[0].at_eof():
            self.close()
            try:
                self._streams = await asyncio.open_connection("127.0.0.1", self._port)
            except OSError as error:
                raise Refused from error
        else:
            seen.kept_alive += 1
        reader, writer = self._streams
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        lines = [line.partition(b":") for line in head.lower().split(b"\r\n")[1:]]
        headers = {name.strip(): value.strip() for name, _, value in lines}
        body = await reader.readexactly(int(headers[b"content-length"]))
        if not keep or headers.get(b"connection") == b"close":
            self.close()
        if head.startswith(b"HTTP/1.1 5"):
            seen.outcomes["5xx"] += 1
        return body

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


@pytest.fixture(params=[1, 2], ids=["one worker", "two workers"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Server]]:
    """Starts one after another over the same database."""
    env = prepared(f"sqlite:///{tmp_path}/watchword.db", feed_token=FEED_TOKEN)
    started: list[Server] = []

    def start() -> Server:
        started.append(Server(env, workers=request.param, notice=True))
        started[-1].start()
        return started[-1]

    yield start
    for each in started:
        each.stop()


async def test_a_server_that_stops_under_load_drops_no_answer_and_says_so_before(
    server: Callable[[], Server], measured: Callable[[str], None]
) -> None:
    """F16: 200 requests a second of fast and slow kinds, on kept and on new connections; a long poll is answered."""
    for _ in range(TIMES):
        seen, took, news = await _stopped_in_time(server)
        measured(
            f"{dict(seen.outcomes)}, stopped in {took:.1f} s, not ready {seen.refused_at[0] - seen.not_ready_at[0]:.1f}"
            f" s before the first was refused"
        )
        assert seen.dropped == []
        assert seen.outcomes["5xx"] == 0
        assert seen.kept_alive > RATE * BEFORE_SECONDS / 4, "connections were kept before the end"
        assert took < HOLD_UP
        assert seen.refused_at[0] - seen.not_ready_at[0] > NOTICE_SECONDS * 0.5
        assert max(seen.answered_at) > seen.not_ready_at[0] + NOTICE_SECONDS * 0.5
        assert json.loads(news)["ended"] == [], "a poll that waits for news hears that there is none so far"


async def _stopped_in_time(start: Callable[[], Server]) -> tuple[Seen, float, bytes]:
    """What `_stopped_under_load` saw; again if the machine was too busy for what a stop has seconds for."""
    tries = 1 if FULL else 3
    while True:
        server = start()
        found = await _stopped_under_load(server)
        tries -= 1
        if not tries or not any(word in server.said() for word in CUT_OFF):
            return found


async def _stopped_under_load(server: Server) -> tuple[Seen, float, bytes]:
    """What was seen, how long the server took to stop, and what a long poll was answered."""
    assert server.process is not None
    seen, stop_at = Seen(), time.monotonic() + BEFORE_SECONDS
    browser = Browser(server.address)
    browser.sign_in()
    cookie = "; ".join(f"{name}={value}" for name, value in browser.jar.items())
    requests = _requests(server.address, cookie)
    idle = [Line(server.port) for _ in range(KEPT)]
    jobs: list[asyncio.Task[None]] = []
    poll = asyncio.create_task(_polled(server.port))
    probes = asyncio.create_task(_probed(server.port, seen))
    signalled_at, number = 0.0, 0
    began = time.monotonic()
    while server.process.poll() is None:
        if not signalled_at and time.monotonic() >= stop_at:
            signalled_at = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
        jobs = [job for job in jobs if not job.done()]
        if len(jobs) >= MOST_WAITING:
            await asyncio.sleep(0.01)
            continue
        keep = number % 2 == 0 and bool(idle)
        line = idle.pop(0) if keep else Line(server.port)
        jobs.append(
            asyncio.create_task(_asked(seen, line, requests[number % len(requests)], idle if keep else None))
        )
        number += 1
        await asyncio.sleep(max(0.0, began + number / RATE - time.monotonic()))
        assert time.monotonic() < began + 60
    took = time.monotonic() - signalled_at
    await asyncio.gather(*jobs)
    probes.cancel()
    for line in idle:
        line.close()
    return seen, took, await poll


async def _asked(seen: Seen, line: Line, request: bytes, idle: list[Line] | None) -> None:
    try:
        await line.ask(seen, request, keep=idle is not None)
    except Refused:
        seen.outcomes["refused"] += 1
        seen.refused_at.append(time.monotonic())
    except (OSError, asyncio.IncompleteReadError) as error:
        seen.dropped.append(f"{error!r} of {request[:40]!r}, kept: {idle is not None}")
        line.close()
    else:
        seen.outcomes["answered"] += 1
        seen.answered_at.append(time.monotonic())
    if idle is not None:
        idle.append(line)
    else:
        line.close()


async def _probed(port: int, seen: Seen) -> None:
    """As a load balancer does, more often."""
    request = b"GET /auth/health/ready HTTP/1.1\r\nHost: balancer\r\n\r\n"
    while True:
        line, asked = Line(port), Seen()
        with suppress(Refused, OSError, asyncio.IncompleteReadError):
            await line.ask(asked, request, keep=False)
            if asked.outcomes["5xx"]:
                seen.not_ready_at.append(time.monotonic())
        line.close()
        await asyncio.sleep(0.05)


async def _polled(port: int) -> bytes:
    """A poll for revocations that begins before the stop and has nothing to wait for."""
    head = f"Host: service\r\nAuthorization: Bearer {FEED_TOKEN}\r\n\r\n"
    line = Line(port)
    first = await line.ask(Seen(), f"GET /auth/revocations?wait=0 HTTP/1.1\r\n{head}".encode(), keep=True)
    after = json.loads(first)["after"]
    try:
        return await line.ask(
            Seen(), f"GET /auth/revocations?after={after}&wait=25 HTTP/1.1\r\n{head}".encode(), keep=True
        )
    finally:
        line.close()


def _requests(origin: str, cookie: str) -> list[bytes]:
    """A look at memory, one at the database, a rotation or its repetition, a sign-in that hashes."""
    head = f"HTTP/1.1\r\nHost: tests\r\nOrigin: {origin}\r\nUser-Agent: tests\r\n"
    signed_in = f"{head}Cookie: {cookie}\r\n"
    body = json.dumps({"email": EMAIL, "password": PASSWORD})
    login = (
        f"POST /auth/login {head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    )
    cheap = [
        f"GET /nowhere {signed_in}\r\n",
        f"GET /auth/me {signed_in}\r\n",
        f"POST /auth/refresh {signed_in}Content-Length: 0\r\n\r\n",
    ]
    return [text.encode() for text in [*cheap * 16, login]]
