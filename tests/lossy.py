"""A reverse proxy for HTTP that loses requests and answers, delays them and so changes their order, in a thread of its
own.

It takes one request a connection, so that what it loses is one request or one answer. Files of its own make pages for a
browser, on the origin of what is behind it.
"""

from __future__ import annotations

import asyncio
import random
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

Files = Mapping[str, tuple[str, bytes]]
"""By path: a content type, and what is in it."""


@dataclass
class Weather:
    """What becomes of the calls of one path, as chance has it: `lost` of all requests never arrive, `unheard` of all
    answers do not, and a call takes up to `slow` seconds more, before the server sees it or after it has answered."""

    lost: float = 0
    unheard: float = 0
    slow: float = 0


@dataclass
class Seen:
    """The calls of one path so far."""

    calls: int = 0
    lost: int = 0
    unheard: int = 0


@dataclass
class LossyProxy:
    """In front of the server at port `to`, or of another one for some paths (`apart`). What its attributes say may be
    changed from any thread."""

    seed: int
    files: Files = field(default_factory=dict)
    weather: dict[str, Weather] = field(default_factory=dict)
    seen: dict[str, Seen] = field(default_factory=dict)
    port: int = 0
    to: int = 0
    apart: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._held: dict[str, asyncio.Event] = {}
        # The loop holds tasks weakly, and nobody else holds that of a connection which its client has given up.
        self._under_way: set[asyncio.Task[None] | None] = set()
        self._chance = random.Random(self.seed)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def hold(self, path: str) -> None:
        """Answers of this path wait from now on, until they are let go."""
        self._held[path] = asyncio.Event()

    def let_go(self, path: str) -> None:
        self._loop.call_soon_threadsafe(self._held.pop(path).set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._open(), self._loop).result(10)

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _open(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        self._server.close()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self._under_way.add(task)
        try:
            answer = await self._answer(reader)
            if answer:
                writer.write(answer)
                await writer.drain()
                writer.close()
        except (OSError, asyncio.IncompleteReadError):
            pass  # somebody has hung up
        finally:
            self._under_way.discard(task)
            if not writer.is_closing():
                writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader) -> bytes:
        """What comes back for one request; nothing for one that is lost."""
        head = await reader.readuntil(b"\r\n\r\n")
        path = head.split(b" ", 2)[1].decode("latin-1").partition("?")[0]
        if path in self.files:
            kind, text = self.files[path]
            lines = f"Content-Type: {kind}\r\nContent-Length: {len(text)}\r\nConnection: close\r\n\r\n"
            return b"HTTP/1.1 200 OK\r\n" + lines.encode() + text
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        body = await reader.readexactly(int(length[1])) if length else b""
        weather, seen, chance = (
            self.weather.get(path, Weather()),
            self.seen.setdefault(path, Seen()),
            self._chance,
        )
        seen.calls += 1
        span = chance.random() * weather.slow
        before = span * chance.choice((0, 0.5, 1))
        lost, unheard = chance.random() < weather.lost, chance.random() < weather.unheard
        await asyncio.sleep(before)
        if lost or reader.at_eof():  # or its client has given it up by now
            seen.lost += 1
            return b""
        answer = await self._ask(self.apart.get(path, self.to), head, body)
        await asyncio.sleep(span - before)
        if path in self._held:
            await self._held[path].wait()
        if unheard:
            seen.unheard += 1
            return b""
        return answer

    async def _ask(self, port: int, head: bytes, body: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            head = re.sub(rb"(?i)\r\nconnection: [^\r]*", b"", head)
            writer.write(head[:-2] + b"Connection: close\r\n\r\n" + body)
            return await reader.read(-1)
        finally:
            writer.close()


@contextmanager
def losing(files: Files, *, seed: int = 1) -> Iterator[LossyProxy]:
    """A proxy whose `url` is known before there is anything behind it: `to` names the port."""
    proxy = LossyProxy(seed, files)
    proxy.start()
    try:
        yield proxy
    finally:
        proxy.stop()
