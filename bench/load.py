"""Making load: wrk for plain GETs where it is installed, else our own client; our own for whatever talks back.

Our client is an asyncio protocol on raw bytes over keep-alive connections: it costs a fraction of what a server spends
on the same request, so that the load's core does not become the limit. wrk costs less still.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import cast
from urllib.parse import urlsplit

import uvloop

CONNECTIONS = 8
USER_AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
OF_A_PAGE = ("origin: http://127.0.0.1:8000", "sec-fetch-site: same-origin", f"user-agent: {USER_AGENT}")
"""What a browser says of a request that a page of ours makes."""
WRK = shutil.which("wrk")
_TURN = Path(__file__).with_name("turn.lua")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.I)

Follow = Callable[[bytes], bytes | None]
"""Takes an answer, head and body, and returns the next request of that connection; None ends it."""


class WrongAnswerError(Exception):
    """A server answered something else than what is measured: no figure of it would mean anything."""


def tool() -> str:
    """What makes the load of plain GETs, for the lines over the table."""
    if WRK is None:
        return "our own Python client, as there is no wrk (it may be the limit: fast servers look slower than they are)"
    told = subprocess.run([WRK, "--version"], capture_output=True, text=True, check=False).stdout
    return "wrk " + told.partition(" ")[2].partition(" ")[0].rpartition("/")[2]


def request(method: str, path: str, *headers: str, body: bytes = b"") -> bytes:
    """The bytes of one request."""
    length = () if method == "GET" else (f"content-length: {len(body)}",)
    return (
        "\r\n".join((f"{method} {path} HTTP/1.1", "host: 127.0.0.1", *headers, *length, "", "")).encode()
        + body
    )


def whole(received: bytes) -> bool:
    """Whether an answer has arrived to its end."""
    end = received.find(b"\r\n\r\n")
    length = _LENGTH.search(received, 0, end) if end >= 0 else None
    return length is not None and len(received) >= end + 4 + int(length[1])


async def answer_of(reader: asyncio.StreamReader) -> bytes:
    """The next answer on a connection, for who sends at a pace of their own."""
    answer = b""
    while not whole(answer):
        read = await reader.read(65_536)
        if not read:
            raise WrongAnswerError("the server closed the connection")
        answer += read
    return answer


def exchange(connection: socket.socket, sent: bytes) -> bytes:
    """One request and its answer, for who has nothing else to do meanwhile."""
    connection.sendall(sent)
    answer = b""
    while not whole(answer):
        read = connection.recv(65_536)
        if not read:
            raise WrongAnswerError("the server closed the connection")
        answer += read
    return answer


def asking(path: str, body: Mapping[str, str]) -> bytes:
    """A POST of JSON as a page of ours sends it."""
    return request("POST", path, "content-type: application/json", *OF_A_PAGE, body=json.dumps(body).encode())


def checked(answer: bytes) -> bytes:
    """The same answer if it is a 200. Raises WrongAnswerError."""
    if not answer.startswith(b"HTTP/1.1 200 "):
        raise WrongAnswerError(answer.decode("latin-1"))
    return answer


def gets(url: str, header_lines: Sequence[str], seconds: int) -> int:
    """How many GETs are answered by 200, each sent one of the header lines in turn."""
    if WRK is None:
        return _by_our_client(url, header_lines, seconds)
    with NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(header_lines))
        file.flush()
        how = ["--threads", "1", "--connections", str(CONNECTIONS), "--duration", f"{seconds}s"]
        told = subprocess.run(
            [WRK, *how, "--script", str(_TURN), url, "--", file.name],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    answered = re.search(r"(\d+) requests in ", told)
    if answered is None or "Non-2xx" in told or "Socket errors" in told:
        raise WrongAnswerError(told)
    return int(answered[1])


def converse(port: int | Sequence[int], talks: Sequence[tuple[bytes, Follow]]) -> None:
    """Hold several talks at once, each on a connection of its own: a first request, and what follows each answer. With
    one server, or each with the one at its place."""
    uvloop.run(_converse([port] * len(talks) if isinstance(port, int) else port, talks))


async def _converse(ports: Sequence[int], talks: Sequence[tuple[bytes, Follow]]) -> None:
    loop = asyncio.get_running_loop()
    connections = [_Connection(*talk) for talk in talks]
    for port, connection in zip(ports, connections, strict=True):
        await loop.create_connection(lambda c=connection: c, "127.0.0.1", port)  # type: ignore[misc]
    await asyncio.gather(*(connection.done for connection in connections))


class _Connection(asyncio.Protocol):
    def __init__(self, first: bytes, follow: Follow) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._first = first
        self._follow = follow
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._first)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not whole(self._received):
            return
        answer, self._received = self._received, b""
        try:
            following = self._follow(answer)
        except Exception as error:  # noqa: BLE001 - raised where the talk is waited for
            self._end(error)
            return
        if following is None:
            self._end(None)
        else:
            self._transport.write(following)

    def connection_lost(self, error: Exception | None) -> None:
        self._end(error or WrongAnswerError("the server closed the connection"))

    def _end(self, error: Exception | None) -> None:
        if self.done.done():
            return
        if error is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(error)
        self._transport.close()


def _by_our_client(url: str, header_lines: Sequence[str], seconds: int) -> int:
    parts = urlsplit(url)
    requests = cycle([request("GET", parts.path, line) for line in header_lines])
    answered = 0
    begun = time.perf_counter()

    def follow(answer: bytes) -> bytes | None:
        nonlocal answered
        checked(answer)
        answered += 1
        return next(requests) if time.perf_counter() - begun < seconds else None

    converse(parts.port or 80, [(next(requests), follow) for _ in range(CONNECTIONS)])
    return answered
