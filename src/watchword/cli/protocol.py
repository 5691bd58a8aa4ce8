"""uvicorn's HTTP over httptools with two limits that it has not: how large the head of a request may be, and how long
a connection may keep one waiting; and with a way to take leave of clients that keep connections open.

Without limits one stranger sends header lines until memory ends, and many keep connections open that say nothing.
Bodies are the app's to limit. A connection that is closed while a request is on its way loses it, so each is closed
behind an answer that says so (RFC 9112 §9.6), and one that has just been opened is heard first.
Sources: ASVS 5.0 4.2.5; SECURITY-TARGET attack 80, F16.
"""

from __future__ import annotations

import select
from asyncio import TimerHandle, Transport
from typing import Protocol

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

HEAD_BYTES = 32 * 1024
"""Beyond the first reading from the socket, which is of a limited size itself."""
HEAD_SECONDS = 20.0
FIRST_SECONDS = 1.0
"""How long a connection that has not asked anything yet is waited for when the server stops."""


class State(ServerState):
    """What all connections of a server share. `leaving`: each answer is the last one of its connection."""

    leaving = False


class HasFileno(Protocol):
    """A socket, or what a loop shows of one."""

    def fileno(self) -> int: ...


def arrived(socket: HasFileno) -> bool:
    """Whether something has come that the loop has not taken yet: bytes of a connection, or a connection."""
    if not hasattr(select, "poll"):
        return False
    poll = select.poll()
    poll.register(socket.fileno(), select.POLLIN)
    return bool(poll.poll(0))


class BoundedProtocol(HttpToolsProtocol):
    """Costs a request two attribute look-ups; a timer only where a head did not come in one piece."""

    _in_head = False
    _head = 0
    _patience: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override] # as uvicorn has it
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        had_begun = self._in_head
        super().data_received(data)
        if self._in_head:
            self._head = self._head + len(data) if had_begun else 0
            if self._head > HEAD_BYTES and not self.transport.is_closing():
                self.send_400_response("The head of this request is too large.")
            elif self._patience is None:
                self._wait()
        elif self._patience is None and self.timeout_keep_alive_task is None and not self._answering():
            # Blank lines between two requests: uvicorn takes them for the end of idleness.
            self._wait()

    def on_message_begin(self) -> None:
        self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._stop_waiting()
        super().on_headers_complete()
        if getattr(self.server_state, "leaving", False):
            self.cycle.keep_alive = False

    def leave(self) -> None:
        """Let the answer under way be the last one, if it has not begun and can say so."""
        if self._answering() and not self.cycle.response_started:
            self.cycle.keep_alive = False

    def shutdown(self) -> None:
        """Close when everything has been answered that was asked, or is being."""
        cycle: RequestResponseCycle | None = self.cycle
        unread = arrived(self.transport.get_extra_info("socket"))
        if self._answering() or not (cycle is None or self._in_head or unread):
            super().shutdown()
        elif not self._in_head:
            self.loop.call_later(FIRST_SECONDS, self._close_if_idle)

    def _close_if_idle(self) -> None:
        if not (self.transport.is_closing() or self._answering() or self._in_head):
            self.transport.close()

    def _answering(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete

    def _wait(self) -> None:
        self._patience = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
