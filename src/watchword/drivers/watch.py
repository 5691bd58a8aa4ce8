"""Who waits for the end of a session: sockets and streams, which no guard sees again once they are open.

A watcher costs an entry in a map. One loop serves all of them: what becomes revoked wakes those whom it concerns, and
the database is asked only when a session's known end has come, or when revocations are not read any more. If it does
not answer either, watching ends too, after `PATIENCE_SECONDS`: never open, however long (ASVS 5.0 7.4.1, 16.5.3).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

from watchword.core.session import Principal
from watchword.errors import Problem, SessionEnded, TokenExpired, Unavailable
from watchword.flows.live import judge
from watchword.ports import World

TICK_SECONDS = 1.0
ASK_SECONDS = 3.0
"""Between two questions to the database about one session while revocations are not read."""
AT_ONCE = 4
"""Questions under way: the requests of others come first."""
PATIENCE_SECONDS = 12.0
"""How long a session is in doubt before its watchers are told so: longer than a database takes to start again, so that
a restart does not end every socket there is."""


@dataclass(eq=False, slots=True)
class _Watcher:
    """`due` is when the database has to be asked, in µs. By the loop's clock: when it last answered, and since when
    nobody knows whether the session is live."""

    principal: Principal
    told: asyncio.Future[str]
    due: int
    answered_at: float
    doubtful_since: float | None = None


@dataclass(eq=False, slots=True)
class _Watched:
    """All watchers by what they are told apart by."""

    by_sid: dict[str, set[_Watcher]] = field(default_factory=dict)
    by_user: dict[str, set[_Watcher]] = field(default_factory=dict)

    def add(self, watcher: _Watcher) -> None:
        self.by_sid.setdefault(watcher.principal.sid, set()).add(watcher)
        self.by_user.setdefault(watcher.principal.id, set()).add(watcher)

    def remove(self, watcher: _Watcher) -> None:
        for watched, key in ((self.by_sid, watcher.principal.sid), (self.by_user, watcher.principal.id)):
            watched[key].discard(watcher)
            if not watched[key]:
                del watched[key]

    def all(self) -> list[_Watcher]:
        return [watcher for watchers in self.by_sid.values() for watcher in watchers]


class Watchers:
    """Serves `wait` between `open` and the end of `follow`."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._watched = _Watched()
        self._loop: asyncio.AbstractEventLoop | None = None

    def __len__(self) -> int:
        return len(self._watched.all())

    def open(self) -> None:
        self._loop = asyncio.get_running_loop()

    async def wait(self, principal: Principal) -> str:
        """Return the code of what a guard would say once it no longer would let this principal through. Raises
        Unavailable while nothing is followed."""
        loop = self._loop
        if loop is None:
            raise Unavailable("Watching needs a running lifespan.", retry_after=1)
        # A guard let it through, so until its token expires there is nothing to ask.
        watcher = _Watcher(principal, loop.create_future(), principal.expires_at * 1_000_000, loop.time())
        self._watched.add(watcher)
        try:
            self._look([watcher])  # for what was revoked since the guard looked
            return await watcher.told
        finally:
            self._watched.remove(watcher)

    def let_go(self) -> None:
        """Tell whoever waits that this process stops. Called by the loop's thread."""
        self._tell(self._watched.all(), Unavailable.code)

    async def follow(self) -> None:
        """Never ends by itself; when it is cancelled, whoever still waits is told that nothing is followed any more."""
        round_: asyncio.Task[None] | None = None
        stop = self._world.revocations.listen(self._heard)
        try:
            while True:
                await asyncio.sleep(TICK_SECONDS)
                doubtful = self._doubtful()
                if (
                    round_ is None or round_.done()
                ):  # one that waits for a silent database does not hold this loop up
                    round_ = asyncio.create_task(self._ask_about(doubtful))
        finally:
            stop()
            self._loop = None
            if round_ is not None:
                round_.cancel()
            self.let_go()

    def _heard(self, sids: frozenset[str], users: frozenset[str]) -> None:
        """In whatever thread it was that took something in."""
        if self._loop is not None and self._watched.by_sid:
            self._loop.call_soon_threadsafe(self._wake, sids, users)

    def _wake(self, sids: frozenset[str], users: frozenset[str]) -> None:
        for sid in self._watched.by_sid.keys() & sids:
            self._tell(self._watched.by_sid[sid], SessionEnded.code)
        for user in self._watched.by_user.keys() & users:
            self._look(self._watched.by_user[user])

    def _look(self, watchers: Iterable[_Watcher]) -> None:
        """In memory."""
        known = self._world.revocations
        for watcher in watchers:
            principal = watcher.principal
            if known.ended(principal.sid):
                self._tell([watcher], SessionEnded.code)
            elif principal.issued_at < known.tokens_from(principal.id):
                self._tell([watcher], TokenExpired.code)

    def _doubtful(self) -> list[str]:
        """The sessions that the database has to be asked about, those first that it was asked about longest ago. Whose
        have been in doubt for too long are told so."""
        clock, now = asyncio.get_running_loop().time(), self._world.clock.now()
        stale, asked = self._world.revocations.stale(now), []
        for watcher in self._watched.all():
            if not stale and now < watcher.due:
                watcher.doubtful_since = None
            elif watcher.doubtful_since is None:
                watcher.doubtful_since = clock
            elif clock - watcher.doubtful_since > PATIENCE_SECONDS:
                self._tell([watcher], Unavailable.code)
            if now >= watcher.due or (stale and clock - watcher.answered_at >= ASK_SECONDS):
                asked.append((watcher.answered_at, watcher.principal.sid))
        return list(dict.fromkeys(sid for _, sid in sorted(asked)))

    async def _ask_about(self, sids: list[str]) -> None:
        """Until all are asked about, or there is no answer: then the next round begins with the same ones."""
        for start in range(0, len(sids), AT_ONCE):
            some = sids[start : start + AT_ONCE]
            if not all(await asyncio.gather(*map(self._ask, some))):
                return

    async def _ask(self, sid: str) -> bool:
        """Whether there was an answer."""
        began = asyncio.get_running_loop().time()
        try:
            loaded = await self._world.store.load_session(sid)
        except Unavailable:
            return False
        for watcher in tuple(self._watched.by_sid.get(sid, ())):
            try:
                live = judge(loaded, watcher.principal)
            except Problem as problem:
                self._tell([watcher], problem.code)
            else:
                watcher.due = min(live.session.idle_until, live.session.ends_at)
                watcher.answered_at, watcher.doubtful_since = began, None
        return True

    @staticmethod
    def _tell(watchers: Iterable[_Watcher], code: str) -> None:
        for watcher in watchers:
            if not watcher.told.done():
                watcher.told.set_result(code)
