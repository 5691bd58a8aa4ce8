"""The loop that sends mail: woken when this process queues something, and looking every few seconds for what others
queued or what failed before. One message at a time, in a task of its own: a server that stalls delays nothing else.

What one step does is flows/outbox; how a server is spoken to, `mailer`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from watchword.errors import Unavailable
from watchword.flows.outbox import send_next
from watchword.ports import Mailer, World

POLL_SECONDS = 5.0
STOP_SECONDS = 8.0
"""How long a message under way may take when the process is asked to stop, before it is left to be sent again."""

log = logging.getLogger("watchword.mail")


class Bell:
    """A hint that mail was queued. Any thread may ring; where nobody listens it is not heard."""

    def __init__(self) -> None:
        self._wake: Callable[[], object] | None = None

    def ring(self) -> None:
        if self._wake is not None:
            try:
                self._wake()
            except RuntimeError:
                pass  # the loop that listened is closed

    def listen(self) -> asyncio.Event:
        """What is set from now on whenever it rings, for the running loop."""
        loop, rung = asyncio.get_running_loop(), asyncio.Event()
        self._wake = lambda: loop.call_soon_threadsafe(rung.set)
        return rung


class Sender:
    """Sends from `start` to `stop`, and survives a database or a mail server that is away."""

    def __init__(self, world: World, mailer: Mailer, bell: Bell) -> None:
        self._world, self._mailer, self._bell = world, mailer, bell
        self._unnoted: list[str] = []
        self._stopping = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(self._bell.listen()))

    async def stop(self) -> None:
        """Let the message under way be sent and noted, within reason."""
        if self._task is None:
            return
        self._stopping = True
        self._bell.ring()
        await asyncio.wait([self._task], timeout=STOP_SECONDS)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self, rung: asyncio.Event) -> None:
        try:
            # In a thread, as it takes a tenth of a second: the first message must not hold up who signs in meanwhile.
            await asyncio.to_thread(self._world.letters.load)
            while not self._stopping:
                rung.clear()  # what is queued from here on is not missed, whatever it rings into
                if not await self._step():
                    await self._mailer.rest()
                    await _pause(rung)
        finally:
            await self._mailer.rest()

    async def _step(self) -> bool:
        """Whether to go on at once."""
        try:
            return await send_next(self._world, self._mailer, self._unnoted)
        except Unavailable as error:
            log.warning("mail has to wait for the database: %s", error)
        except Exception:  # a sender that has stopped would leave all mail where it is
            log.exception("sending mail failed; trying again")
        return False


async def _pause(rung: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(POLL_SECONDS):
            await rung.wait()
    except TimeoutError:
        pass
