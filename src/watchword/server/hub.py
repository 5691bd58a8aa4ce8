"""Where the processes that serve report to: what answers on the admin listener keeps a line to each of them.

A line is a connection of a Unix socket in a folder that only our user may enter, and each message a line of JSON.
Numbers are read when somebody asks; besides, each process tells its counts once a second if they have changed, so that
one which is killed takes no more than that second with it. A connection that ends is a process that is gone: its gauges
go with it at once, and its counts stay, as what has happened has happened.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Iterable, Sequence
from typing import Any

from watchword.drivers.exposition import METERS, Values, merged
from watchword.meters import DATABASE_UP, FEED_AGE, WORKERS
from watchword.ports import Row

ASK_SECONDS = 2.0
"""How long a process has for an answer, before it is silent."""
LINE_BYTES = 1 << 20
MOST_GONE = 64
"""Processes that are gone and still known one by one; the counts of older ones are kept as one."""
METRICS, MAIL, LIVE, READY = "metrics", "mail", "live", "ready"
"""What is asked: by `MAIL` and `READY` the database, which may take its time; what the others ask is in memory."""

log = logging.getLogger("watchword.admin")


class Worker:
    """One process, at the other end of a line."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._asked: dict[int, asyncio.Future[dict[str, Any] | None]] = {}
        self._last = 0
        self.name = ""
        """By which it is known again if its line breaks and it comes back."""
        self.rows: Sequence[Row] = ()
        self.told_at = time.monotonic()

    async def ask(self, what: str) -> dict[str, Any] | None:
        """Its answer; None when there is none."""
        self._last += 1
        number = self._last
        answer: asyncio.Future[dict[str, Any] | None] = asyncio.get_running_loop().create_future()
        self._asked[number] = answer
        try:
            self._writer.write(json.dumps({"id": number, "ask": what}).encode() + b"\n")
            async with asyncio.timeout(ASK_SECONDS):
                return await answer
        except (TimeoutError, OSError):
            return None
        finally:
            del self._asked[number]

    def heard(self, message: dict[str, Any]) -> None:
        """Take in what it says, asked or not."""
        self.name = message.get("name", self.name)
        if (rows := message.get("rows")) is not None and message.get("of") != MAIL:
            self.rows, self.told_at = rows_of(rows), time.monotonic()
        waiting = self._asked.get(message.get("id", 0))
        if waiting is not None and not waiting.done():
            waiting.set_result(message)

    def hang_up(self) -> None:
        self._writer.close()

    def left(self) -> None:
        """Nobody will answer any more."""
        for waiting in self._asked.values():
            if not waiting.done():
                waiting.set_result(None)

    def counted(self) -> list[Row]:
        """What it last told that only grows."""
        return [row for row in self.rows if row[0] in METERS and METERS[row[0]].counts]

    def silent_rows(self) -> list[Row]:
        """What is still true of one that does not answer: what it has counted, and that its feed is no younger."""
        since = time.monotonic() - self.told_at
        ages = [(name, labels, age + since) for name, labels, age in self.rows if name == FEED_AGE.name]
        return [*self.counted(), *ages]


class Hub:
    """Of all processes that serve together. Belongs to the loop that it is opened in."""

    def __init__(self) -> None:
        self._workers: set[Worker] = set()
        self._gone: dict[str, list[Row]] = {}
        self._server: asyncio.Server | None = None
        self._lines: set[asyncio.Task[None]] = set()

    async def open(self, path: str) -> None:
        self._server = await asyncio.start_unix_server(self._answered, path, limit=LINE_BYTES)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for worker in self._workers:
            worker.hang_up()
        if self._lines:
            await asyncio.wait(self._lines, timeout=ASK_SECONDS)

    async def values(self) -> Values:
        """The numbers of all processes as one, read now."""
        workers = list(self._workers)
        answers = await asyncio.gather(*(worker.ask(METRICS) for worker in workers))
        # Whoever went away meanwhile is among the gone by now.
        here = [(w, answer) for w, answer in zip(workers, answers, strict=True) if w in self._workers]
        answering = [worker for worker, answer in here if answer is not None]
        silent = [worker for worker, answer in here if answer is None]
        rows: list[Row] = [row for worker in answering for row in worker.rows]
        rows += [row for worker in silent for row in worker.silent_rows()]
        rows += [row for gone in self._gone.values() for row in gone]
        rows += [
            (WORKERS.name, ("answering",), float(len(answering))),
            (WORKERS.name, ("silent",), float(len(silent))),
        ]
        return merged([*rows, *await self._mail(answering)])

    async def live(self) -> bool:
        """Whether any process answers at all, however the database does."""
        return any(answer is not None for answer in await self._all(LIVE))

    async def ready(self) -> bool:
        """Whether any process answers, and all that do say that they may be sent requests."""
        answers = [answer for answer in await self._all(READY) if answer is not None]
        return bool(answers) and all(answer.get("ready") is True for answer in answers)

    async def _all(self, what: str) -> Sequence[dict[str, Any] | None]:
        return await asyncio.gather(*(worker.ask(what) for worker in list(self._workers)))

    async def _mail(self, answering: Iterable[Worker]) -> list[Row]:
        """What the database tells whichever process hears it first; if none hears anything, that it is away."""
        asking = [asyncio.create_task(worker.ask(MAIL)) for worker in answering]
        try:
            for first in asyncio.as_completed(asking):
                if (answer := await first) is not None:
                    return rows_of(answer.get("rows", ()))
        finally:
            for task in asking:
                task.cancel()
        return [(DATABASE_UP.name, (), 0.0)] if asking else []

    def _answered(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = asyncio.create_task(self._line(reader, writer))
        self._lines.add(line)
        line.add_done_callback(self._lines.discard)

    async def _line(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        worker = Worker(writer)
        self._workers.add(worker)
        try:
            while line := await reader.readline():
                worker.heard(json.loads(line))
                self._gone.pop(worker.name, None)
        except (OSError, ValueError) as error:
            log.warning("a process that serves was not understood: %s", type(error).__name__)
        finally:
            self._workers.discard(worker)
            worker.left()
            if worker.name:
                self._remember(worker)
            writer.close()

    def _remember(self, worker: Worker) -> None:
        self._gone[worker.name] = worker.counted()
        if len(self._gone) > MOST_GONE:
            first, second = list(self._gone)[:2]
            known = merged([*self._gone.pop(first), *self._gone.pop(second)])
            rows = [(name, labels, value) for (name, labels), value in known.items()]
            self._gone = {"": rows} | self._gone  # which is no process's name


def rows_of(told: Iterable[Any]) -> list[Row]:
    """As they were before they became JSON."""
    return [(str(name), tuple(map(str, labels)), float(value)) for name, labels, value in told]
