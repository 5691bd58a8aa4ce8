"""One thread that serves an event loop in batches: what waits is taken together and answered together.

Waking a thread and waking a loop cost more than most statements do, so both happen once a batch. Nothing about SQL
here; what a batch means is the function that is given.
"""

from __future__ import annotations

import asyncio
import threading
from asyncio import AbstractEventLoop, Future
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from time import monotonic
from typing import Any, Generic, TypeVar

from watchword.errors import Unavailable

Job = TypeVar("Job")
Result = TypeVar("Result")

QUEUE = 4096
"""Jobs that may wait: about a second's work. Beyond it waiting would be longer than a client's patience."""


_Asked = tuple[Job, float, AbstractEventLoop, Future[Any]]
"""A job, when it was asked for, in which loop, and who waits for it."""


class BatchThread(Generic[Job, Result]):
    """`serve(jobs, asked_at)` runs in the thread and returns one outcome a job, an exception being one that the asker
    shall see; `asked_at` is when the first of them was asked for, by the monotonic clock. `stop()` runs there last.

    The thread starts with the first job, so that an object made before a fork works after it. Any loop may ask.
    """

    def __init__(
        self,
        name: str,
        serve: Callable[[Sequence[Job], float], Sequence[Result | Exception]],
        stop: Callable[[], None],
        *,
        most: int,
    ) -> None:
        self._serve = serve
        self._stop = stop
        self._most = most
        self._queue: SimpleQueue[_Asked[Job] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        # Held for an instant, so that nothing is queued behind the mark that ends the thread.
        self._gate = threading.Lock()
        self._started = False
        self._closed = False
        self.batches = 0
        self.jobs = 0
        """How many it has served, and in how many batches."""

    @property
    def waiting(self) -> int:
        """How many jobs the thread has not begun."""
        return self._queue.qsize()

    async def ask(self, job: Job) -> Result:
        """The job's result. A job whose asker is cancelled is done all the same. Raises Unavailable when closed or
        when too many wait."""
        loop = asyncio.get_running_loop()
        future: Future[Result] = loop.create_future()
        with self._gate:
            if self._closed or self._queue.qsize() >= QUEUE:
                raise Unavailable(retry_after=1)
            if not self._started:
                self._started = True
                self._thread.start()
            self._queue.put((job, monotonic(), loop, future))
        return await future

    async def close(self) -> None:
        """Let everything that was asked be answered, then end the thread."""
        with self._gate:
            first, self._closed = not self._closed, True
            if first and self._started:
                self._queue.put(None)
        if self._started:
            await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        while batch := self._next():
            jobs = [asked[0] for asked in batch]
            self.batches += 1
            self.jobs += len(jobs)
            outcomes: Sequence[Result | Exception]
            try:
                outcomes = self._serve(jobs, batch[0][1])
            except Exception as error:  # noqa: BLE001 - a thread that died would leave every later asker waiting
                outcomes = [error] * len(jobs)
            _answer(batch, outcomes)
        self._stop()

    def _next(self) -> list[_Asked[Job]]:
        """What waits now, at least one; nothing at the end."""
        first = self._queue.get()
        batch = [] if first is None else [first]
        # This thread alone takes out of the queue: what is counted is there.
        for _ in range(min(self._queue.qsize(), self._most - 1)):
            asked = self._queue.get()
            if asked is None:
                self._queue.put(None)
                break
            batch.append(asked)
        return batch


def _answer(batch: Sequence[_Asked[Any]], outcomes: Sequence[Any]) -> None:
    by_loop: dict[AbstractEventLoop, list[tuple[Future[Any], Any]]] = {}
    for (_, _, loop, future), outcome in zip(batch, outcomes, strict=True):
        by_loop.setdefault(loop, []).append((future, outcome))
    for loop, answers in by_loop.items():
        try:
            loop.call_soon_threadsafe(_settle, answers)
        except RuntimeError:
            pass  # that loop is closed: nobody waits there any more


def _settle(answers: Sequence[tuple[Future[Any], Any]]) -> None:
    for future, outcome in answers:
        if future.done():
            continue  # its asker was cancelled
        if isinstance(outcome, Exception):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)
