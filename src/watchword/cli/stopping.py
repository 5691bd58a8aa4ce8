"""uvicorn's server, which stops in an order that no client loses an answer by (SECURITY-TARGET F16, decision 22).

Asked to stop, it says for a while that it is not ready and closes each connection behind an answer that announces it;
then it lets nobody new in, takes those who had come already, answers everybody, and ends the app's lifespan. Nothing
here knows what the app does: it hears of the steps by `readiness` in the state of its lifespan.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Protocol

import uvicorn

from watchword.cli.protocol import BoundedProtocol, State, arrived

NOTICE_SECONDS = 3.0
"""How long `/health/ready` says 503 while everything is answered still: longer than balancers that look each second or
two need to notice, and short enough for the rest to fit into ten seconds."""
LINGER_SECONDS = 0.25
LONGEST_LINGER_SECONDS = 1.0
"""How long those are let in who had begun to connect when nobody new was: at least, and at most while some wait."""
GRACE_SECONDS = 4
"""How long answers under way may take from then on."""
WHOLE_SECONDS = 9.3
"""After so long in all, what the app's lifespan has not finished is left to the next process."""
_STEP_SECONDS = 0.05

_SO_ATTACH_FILTER = 26
# A packet filter on the socket, socket(7): drop SYN without ACK, pass everything else.
_NO_SYN = [
    (0x30, 0, 0, 13),  # load the flags of the TCP header
    (0x54, 0, 0, 0x12),  # keep SYN and ACK
    (0x15, 0, 1, 0x02),  # SYN alone?
    (0x06, 0, 0, 0),  # drop
    (0x06, 0, 0, 0xFFFFFFFF),  # pass
]

log = logging.getLogger("watchword.server")


class Readiness(Protocol):
    """What an app may put into the state of its lifespan, as `readiness`."""

    def leave(self) -> None: ...

    def close(self) -> None: ...


class StoppingServer(uvicorn.Server):
    """`ready` is called when requests are answered; `notice` is in seconds, 0 where no balancer is in front. Several
    may share a socket: then it is `shared`, and who watches over them tells them by `stop`, `close` and `insist`."""

    def __init__(
        self, config: uvicorn.Config, *, ready: Callable[[], None], notice: float, shared: bool = False
    ) -> None:
        super().__init__(config)
        self.server_state = self._state = State()
        self._ready, self._notice, self._shared = ready, notice, shared
        self._signals = 0
        self._told = self._closed = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first signal asks, the second insists. They are not raised again afterwards, as uvicorn would do."""
        self._signals += 1
        if self._signals > 1:
            self.insist()
        self.should_exit = True

    def stop(self) -> None:
        """As the first signal. For any thread, as the next two."""
        self._told = self.should_exit = True

    def close(self) -> None:
        """Everybody has said for long enough that they are not ready, and nobody new comes."""
        self._closed = True

    def insist(self) -> None:
        """End within a second, whatever is under way, with exit code 1."""
        if not self.force_exit:
            self.force_exit = self.should_exit = True
            _later(0.5, 1, "stopped at once: answers under way were cut off")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        begun = time.monotonic()
        _later(WHOLE_SECONDS + 0.3, 0, "stopping took too long: threads still work")
        readiness: Readiness | None = self.lifespan.state.get("readiness")
        if readiness is not None:
            readiness.leave()
        self._state.leaving = True
        for connection in list(self.server_state.connections):
            if isinstance(connection, BoundedProtocol):
                connection.leave()
        await self._notice_given(begun)
        if not self._shared:
            refuse_new(sockets or [])
        if self._notice:
            await self._everybody_in(sockets or [])
        if readiness is not None:
            readiness.close()
        try:
            await asyncio.wait_for(super().shutdown(sockets), begun + WHOLE_SECONDS - time.monotonic())
        except TimeoutError:
            log.error("stopping took too long: what is left is the next process's")

    async def _notice_given(self, begun: float) -> None:
        while not (self.force_exit or self._closed):
            waited = time.monotonic() - begun
            # One that was told waits for the word by which all of them go on at once; not for ever, though.
            if waited >= self._notice * (2 if self._told else 1):
                return
            await asyncio.sleep(_STEP_SECONDS)
            await self.on_tick(0)  # the date of answers

    async def _everybody_in(self, listeners: Iterable[socket.socket]) -> None:
        begun = time.monotonic()
        while not self.force_exit and (waited := time.monotonic() - begun) < LONGEST_LINGER_SECONDS:
            if waited >= LINGER_SECONDS and not any(map(arrived, listeners)):
                return
            await asyncio.sleep(_STEP_SECONDS)


def refuse_new(listeners: Iterable[socket.socket]) -> None:
    """Let who begins to connect from now on wait, until the socket is closed and they are refused; who had begun comes
    in. Without it those are reset who come between the last look at the queue and its end. Linux alone knows how;
    elsewhere nothing happens."""
    if not sys.platform.startswith("linux"):
        return
    import ctypes

    code = b"".join(struct.pack("HBBI", *step) for step in _NO_SYN)
    buffer = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("HP", len(_NO_SYN), ctypes.addressof(buffer))  # struct sock_fprog
    for listener in listeners:
        try:
            listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
        except OSError as error:
            log.warning("who connects just now may be reset instead of refused: %s", error.strerror)


def _later(seconds: float, code: int, why: str) -> None:
    """End this process then, if it has not ended by itself: not even a thread that hangs may keep it."""

    def leave() -> None:
        log.error(why)
        logging.shutdown()
        os._exit(code)

    timer = threading.Timer(seconds, leave)
    timer.daemon = True
    timer.start()
