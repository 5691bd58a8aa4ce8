"""The loops in a thread of their own, for apps that have no event loop: WSGI, scripts, desktop programs.

One thread, one loop: whatever touches the database runs there, so that nothing of ours has to be safe for several
threads but what a guard asks in memory (ASVS 5.0 15.4.1).
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future, wait
from contextlib import AbstractAsyncContextManager, suppress
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar

from watchword.errors import Unavailable

START_SECONDS = 60.0
STOP_SECONDS = 20.0

T = TypeVar("T")


class Background:
    """Runs a `lifespan` from `start` to `stop`, or as a context manager. May be started again.

    Belongs to the process that started it: a server that forks starts one in each worker, after the fork. The thread
    does not keep a process from ending; one that ends without `stop` leaves to the next what a killed one would.
    """

    def __init__(self, lifespan: Callable[[], AbstractAsyncContextManager[None]]) -> None:
        self._lifespan = lifespan
        self._gate = threading.Lock()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._leave: Callable[[], object] | None = None
        """Has the loop's thread end, from the time on when it has a loop: long before `_loop` is for anybody."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Return once revocations have been read and requests can be authenticated. Raises what the lifespan raises,
        Unavailable when that takes longer than START_SECONDS, and RuntimeError when it runs already."""
        with self._gate:
            if self._thread is not None and self._thread.is_alive():
                raise RuntimeError("This runs already.")
            begun: Future[None] = Future()
            self._thread = threading.Thread(
                target=lambda: asyncio.run(self._main(begun)), name="watchword-loops", daemon=True
            )
            self._thread.start()
            try:
                wait([begun], START_SECONDS)
                if not begun.done():
                    raise Unavailable("The loops did not start in time.")
                begun.result()
            except BaseException:
                begun.cancel()  # in case that it has not even got its loop
                self._end()  # so that whoever tries again finds it ended
                raise

    def stop(self) -> None:
        """Write the events that wait, finish the message under way, and end. Nothing to do when it does not run."""
        with self._gate:
            self._end()

    def run(self, work: Coroutine[Any, Any, T], *, timeout: float | None = None) -> T:
        """The result of a coroutine that is run by the loops' thread, for any other thread to wait for:
        `running.run(auth.users.get("ada@example.com"))`. Raises what it raises; TimeoutError after `timeout` seconds,
        and Unavailable when nothing runs."""
        loop, thread = self._loop, self._thread
        if loop is None or thread is None or not thread.is_alive():
            work.close()
            raise Unavailable("The loops do not run.", retry_after=1)
        if thread is threading.current_thread():
            work.close()
            raise RuntimeError("This thread would wait for itself: await it instead.")
        try:
            waiting = asyncio.run_coroutine_threadsafe(work, loop)
        except RuntimeError:  # it has ended just now
            work.close()
            raise Unavailable("The loops do not run.", retry_after=1) from None
        try:
            return waiting.result(timeout)
        except CancelledError:
            raise Unavailable("The loops have been stopped.", retry_after=1) from None
        except TimeoutError:
            waiting.cancel()
            raise

    def _end(self) -> None:
        thread, leave = self._thread, self._leave
        if thread is None or not thread.is_alive():
            return
        if leave is not None:
            with suppress(RuntimeError):  # it has ended just now
                leave()
        thread.join(STOP_SECONDS)

    async def _main(self, begun: Future[None]) -> None:
        loop, task, stop = asyncio.get_running_loop(), asyncio.current_task(), asyncio.Event()

        def leave() -> None:
            stop.set()
            if task is not None and not begun.done():
                task.cancel()

        self._leave = partial(loop.call_soon_threadsafe, leave)
        try:
            if not begun.set_running_or_notify_cancel():
                return
            async with self._lifespan():
                self._loop = loop
                begun.set_result(None)
                await stop.wait()
        except BaseException as error:
            if begun.done():
                raise
            begun.set_exception(error)
        finally:
            self._loop = self._leave = None
