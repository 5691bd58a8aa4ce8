"""Several processes that serve one socket, and the one that watches over them.

uvicorn has a supervisor of its own, which takes all workers down when one cannot be started again, replaces a dying one
without a pause, and keeps the socket open while they stop, so that who connects then is reset (decision 22). This one
replaces workers that die, each time after a longer pause, and leads all of them through the steps of a stop.
"""

from __future__ import annotations

import logging
import multiprocessing
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import FrameType
from typing import Protocol

from watchword.cli.console import Refused
from watchword.cli.stopping import refuse_new

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds behind the death of a worker before it is replaced: doubled whenever the next dies soon."""
SOON_SECONDS = 30.0
"""Who has served for so long died of something else than the one before."""
START_SECONDS = 60.0
LAST_SECONDS = 9.8
"""Behind the first signal: whoever has not ended by then is killed."""
HURRY_SECONDS = 1.0
"""The same behind the second."""
_TICK = 0.1
_READY, _STOP, _CLOSE, _INSIST = b"ready", b"stop", b"close", b"insist"
_SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP") if hasattr(signal, name)]

log = logging.getLogger("watchword.server")

Serve = Callable[[socket.socket, Connection], None]
"""What a worker does in its own process: serve the socket, and tell `ready` and `follow` what the line is. To be
pickled."""


class Led(Protocol):
    """What a worker's server can be told (see cli.stopping)."""

    def stop(self) -> None: ...

    def close(self) -> None: ...

    def insist(self) -> None: ...


def ready(line: Connection) -> None:
    """Tell the one who watches that this worker answers."""
    with suppress(OSError):
        line.send_bytes(_READY)


def follow(line: Connection, server: Led) -> None:
    """Hand on to the server what the one who watches says; without anybody who watches, stop."""
    told = {_STOP: server.stop, _CLOSE: server.close, _INSIST: server.insist}

    def listen() -> None:
        with suppress(EOFError, OSError):
            while True:
                told[line.recv_bytes()]()
        server.stop()
        server.close()

    threading.Thread(target=listen, name="watchword-line", daemon=True).start()


@contextmanager
def _ctrl_c_kept_away() -> Iterator[None]:
    """From a process that is started meanwhile, for good: a terminal sends it to all of them, and it is the watching
    one's to lead the others."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Worker:
    """One of the places: the process that has it, or when the next one is due."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.process: SpawnProcess | None = None
        self.line: Connection | None = None
        self.began_at = self.due_at = 0.0
        self.ready = False
        self._pause = FIRST_PAUSE / 2

    def start(self, serve: Serve, listener: socket.socket) -> None:
        """Raises OSError when the system has no process, memory or descriptor left."""
        context = multiprocessing.get_context("spawn")
        line, theirs = context.Pipe()
        try:
            process = context.Process(target=serve, args=(listener, theirs))
            with _ctrl_c_kept_away():
                process.start()
        except BaseException:
            line.close()
            raise
        finally:
            theirs.close()
        self.process, self.line = process, line
        self.began_at, self.ready = time.monotonic(), False

    def start_again(self, serve: Serve, listener: socket.socket) -> None:
        """Start, or be due later."""
        try:
            self.start(serve, listener)
        except OSError as error:
            self._put_off(lived=0.0)
            log.error(
                "worker %d cannot be started (%s); tried again in %.1f s",
                self.number,
                error.strerror,
                self._pause,
            )

    def look(self) -> None:
        """Take in what the process says, or that it has died."""
        if self.line is not None and not self.ready:
            with suppress(EOFError, OSError):
                self.ready = self.line.poll() and self.line.recv_bytes() == _READY
        if self.process is None or self.process.is_alive():
            return
        self._put_off(lived=time.monotonic() - self.began_at)
        log.error(
            "worker %d has ended with %s; another starts in %.1f s",
            self.number,
            self.process.exitcode,
            self._pause,
        )
        self.clear()

    def _put_off(self, *, lived: float) -> None:
        self._pause = FIRST_PAUSE if lived >= SOON_SECONDS else min(LONGEST_PAUSE, 2 * self._pause)
        self.due_at = time.monotonic() + self._pause

    def clear(self) -> None:
        process, line, self.process, self.line = self.process, self.line, None, None
        if line is not None:
            line.close()
        if process is not None:
            process.kill()
            process.join()
            process.close()

    def tell(self, word: bytes) -> None:
        if self.line is not None:
            with suppress(OSError):
                self.line.send_bytes(word)


class Workers:
    """`count` processes that `serve` a socket."""

    def __init__(self, serve: Serve, listener: socket.socket, *, count: int, notice: float) -> None:
        self._serve, self._listener, self._notice = serve, listener, notice
        self._places = [_Worker(number + 1) for number in range(count)]
        self._signals = 0

    def run(self, ready: Callable[[], None]) -> int:
        """Until a signal; the exit code, 1 if a second signal cut answers off or a worker had to be killed, or failed
        as it stopped. `ready` is called once all answer. Raises Refused when one of the first cannot start."""
        wanted = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
        with ExitStack() as behind:  # all of it, whatever of it fails
            for number in wanted:
                behind.callback(signal.signal, number, signal.signal(number, self._noted))
            for worker in self._places:
                behind.callback(worker.clear)
            if self._all_started():
                ready()
                while not self._signals:
                    self._watch()
            return self._stopped()

    def _noted(self, number: int, frame: FrameType | None) -> None:
        self._signals += 1

    def _all_started(self) -> bool:
        """False if a signal came first."""
        for worker in self._places:
            try:
                worker.start(self._serve, self._listener)
            except OSError as error:
                raise Refused(f"worker {worker.number} cannot be started: {error.strerror}") from None
        deadline = time.monotonic() + START_SECONDS
        while not self._signals:
            self._pause()
            for worker in self._places:
                if not worker.process or not worker.process.is_alive():
                    raise Refused("the server could not start: the lines above say why")
                worker.look()
            if all(worker.ready for worker in self._places):
                return True
            if time.monotonic() > deadline:
                raise Refused(f"the server did not start within {START_SECONDS:.0f} s")
        return False

    def _watch(self) -> None:
        self._pause()
        for worker in self._places:
            worker.look()
            if worker.process is None and time.monotonic() >= worker.due_at:
                worker.start_again(self._serve, self._listener)

    def _stopped(self) -> int:
        """Lead the workers through their stop: all say that they are not ready, then nobody new comes, then each
        answers whom it has."""
        begun, asked = time.monotonic(), 1
        closed, last = False, begun + LAST_SECONDS
        self._tell(_STOP)
        while alive := [w for w in self._places if w.process is not None and w.process.is_alive()]:
            if not closed and time.monotonic() >= begun + self._notice:
                closed = True
                refuse_new([self._listener])
                self._listener.close()
                self._tell(_CLOSE)
            if self._signals > asked:
                asked, last = self._signals, min(last, time.monotonic() + HURRY_SECONDS)
                self._tell(_INSIST)
            if time.monotonic() >= last:
                log.error("stopping took too long: %d workers are killed", len(alive))
                return int(any(worker.ready for worker in alive))
            self._pause()
        return int(any(w.process.exitcode for w in self._places if w.ready and w.process is not None))

    def _tell(self, word: bytes) -> None:
        for worker in self._places:
            worker.tell(word)

    def _pause(self) -> None:
        """Until a worker ends, or a moment has passed."""
        wait(
            [w.process.sentinel for w in self._places if w.process is not None and w.process.is_alive()],
            _TICK,
        )
