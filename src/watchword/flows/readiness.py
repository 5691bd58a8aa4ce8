"""Whether this process may get traffic, for whoever asks: the route, the admin listener, whoever waits for long.

A process that is asked to stop goes in two steps. It `leave`s: it answers everything, but says that it is not ready, so
that a load balancer sends its next requests elsewhere. Then it `close`s: nobody new comes, and who waits for news of
any kind is let go.
"""

from __future__ import annotations

from collections.abc import Callable

from watchword.errors import Unavailable
from watchword.ports import World


class Readiness:
    """Of one process. `leave` and `close` may be called again, and by the loop's thread alone."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._on_close: list[Callable[[], None]] = []
        self.leaving = False
        self.closing = False

    async def check(self) -> None:
        """One cheap round trip to the database. Raises Unavailable while this process should get no traffic, and
        StaleSchemaError."""
        if self.leaving:
            raise Unavailable("This process is about to stop.", retry_after=1)
        if self._world.revocations.overdue(self._world.clock.now()):
            raise Unavailable("Revocations have not been read yet, or not for a while.", retry_after=1)
        await self._world.store.check()

    def leave(self) -> None:
        """Not ready from now on."""
        self.leaving = True

    def close(self) -> None:
        """Let everybody go who waits for something that need not happen soon."""
        self.leave()
        self.closing = True
        for let_go in self._on_close:
            let_go()

    def on_close(self, let_go: Callable[[], None]) -> None:
        """Have `let_go` called at each `close`."""
        self._on_close.append(let_go)

    def stay(self) -> None:
        """A new beginning, for an app whose lifespan is run more than once."""
        self.leaving = self.closing = False
