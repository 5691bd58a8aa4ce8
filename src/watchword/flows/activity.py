"""Reading what happened: a user's own, everybody's, and what is new since the last look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from watchword.core.record import Recorded
from watchword.errors import NotFound, Unavailable
from watchword.flows.users import find
from watchword.ports import World

MOST = 100
"""As many as one answer has."""
OVERLAP = 15_000_000
"""How far a look goes back over the one before: transactions end within 10 s of the instant that they wrote (F19)."""
PAGE = 1000
_NOTHING_YET = 2**62


async def history(world: World, user_id: str | None, *, before: str | None, limit: int) -> Sequence[Recorded]:
    """Newest first, what this process has just emitted included if the table takes it. Raises Unavailable."""
    try:
        await world.events_written()
    except Unavailable:
        pass  # it has been told, and a table that cannot be written, as on a full disk, can be read
    return await world.store.list_events(user_id, before=before, limit=limit)


async def whose(world: World, login_or_id: str) -> str:
    """The id of a user, or the one given when there is no such user any more: events outlive whom they are about.

    Raises NotFound for what is neither.
    """
    try:
        return (await find(world, login_or_id)).id
    except NotFound:
        try:
            return str(UUID(login_or_id))
        except ValueError:
            raise NotFound("There is no such user.") from None


class Tail:
    """What is new in the table at each look: everything once, however late and in whatever order it is committed."""

    def __init__(self, world: World, user_id: str | None) -> None:
        self._world, self._user_id = world, user_id
        self._since = 0
        self._seen: dict[str, int] = {}

    async def last(self, limit: int) -> list[Recorded]:
        """The newest, in the order of their ids, and where to go on from. Raises Unavailable."""
        self._since = await self._now() - OVERLAP
        await self._unseen()
        rows = [*await history(self._world, self._user_id, before=None, limit=limit)][::-1]
        self._seen |= {row.id: row.written_at for row in rows}
        return rows

    async def more(self) -> list[Recorded]:
        """What was written since, in that order. Raises Unavailable, and nothing is missed by it."""
        now = await self._now()
        # A clock that was set back is followed: rather something twice than something never.
        self._since = min(self._since, now - OVERLAP)
        found = await self._unseen()
        self._since = now - OVERLAP
        self._seen = {key: at for key, at in self._seen.items() if at >= self._since}
        return [row for row in found if self._user_id in (None, row.event.user_id)]

    async def _unseen(self) -> list[Recorded]:
        """Page by page from one row to the next: a page of what was shown already ends nothing, as there may be news
        behind it."""
        found: list[Recorded] = []
        since, after, full = self._since, "", True
        while full:
            rows = await self._world.store.read_events(since=since, after=after, limit=PAGE)
            new = [row for row in rows if row.id not in self._seen]
            self._seen |= {row.id: row.written_at for row in new}
            found += new
            if full := len(rows) == PAGE:
                since, after = rows[-1].written_at, rows[-1].id
        return found

    async def _now(self) -> int:
        """The clock that rows are dated by."""
        return (await self._world.store.read_revocations(since=_NOTHING_YET)).now


def done_by(world: World, who: str) -> World:
    """The same world, in whose events stands who acts: an administrator's verbs are told from a user's own (ASVS 5.0
    16.2.1)."""
    return replace(world, emit=lambda event: world.emit(replace(event, by=event.by or who)))
