"""uvicorn's HTTP over httptools with two limits that it has not: how large the head of a request may be, and how long
a connection may keep one waiting.

Without them one stranger sends header lines until memory ends, and many keep connections open that say nothing.
Bodies are the app's to limit. Sources: ASVS 5.0 4.2.5; SECURITY-TARGET attack 80.
"""

from __future__ import annotations

from asyncio import TimerHandle, Transport

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

HEAD_BYTES = 32 * 1024
"""Beyond the first reading from the socket, which is of a limited size itself."""
HEAD_SECONDS = 20.0


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

    def _answering(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete

    def _wait(self) -> None:
        self._patience = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
