"""Deleting what nothing needs any more, in batches that never hold a lock for long (ASVS 5.0 14.2.7, R41).

What is old is told by the database's clock: a host whose own is wrong must not delete what it should not.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from watchword import events
from watchword.events import Event
from watchword.flows.follow import database_clock
from watchword.ports import World
from watchword.spans import DAY, HOUR

KEPT = 7 * DAY
"""Sessions stay seven days behind their end, so that a replay of an old token is still told as what it is."""
BATCH = 50
LEASE = HOUR * 9 // 10
"""A little less than an hour, so that who comes every hour finds it free."""

AHEAD = 2 * HOUR
"""How far a clock may have run ahead while it swept: when it is right again, access tokens of that time are valid once
more, and the revocations of them must still be there (SECURITY-TARGET F8)."""

UNVERIFIED = "unverified"
"""What the event says of a user whose end was that they never proved their address."""

log = logging.getLogger("watchword")

Rest = Callable[[int], Awaitable[None]]
"""What is waited for behind each batch, given the µs that the batch took."""


async def at_once(took: int) -> None:
    """No rest."""


async def sweep_in_turn(world: World, holder: str, rest: Rest = at_once) -> int:
    """Sweep unless another process does, or has done so within the hour."""
    renew_at = 0

    async def ours() -> bool:
        nonlocal renew_at
        if world.clock.now() >= renew_at:
            if not await world.store.take_lease("sweep", holder, span=LEASE):
                return False
            renew_at = world.clock.now() + LEASE // 2
        return True

    return await _sweep(world, rest, ours)


async def sweep(world: World, rest: Rest = at_once) -> int:
    """Delete all expired and long ended sessions, old revocations, expired mail and challenges, and users who never
    proved their address; returns how many rows went."""
    return await _sweep(world, rest, _anyhow)


async def _anyhow() -> bool:
    return True


async def _sweep(world: World, rest: Rest, ours: Callable[[], Awaitable[bool]]) -> int:
    total = 0
    while await ours():
        begun, keep = world.clock.now(), world.revocations.keep
        now = await database_clock(world)
        gone = await world.store.sweep(now=now, ended_for=KEPT, revoked_for=keep + AHEAD, batch=BATCH)
        if not gone:
            return total + await _forget(world, rest, ours)
        total += gone
        await rest(max(0, world.clock.now() - begun))
    return total


async def _forget(world: World, rest: Rest, ours: Callable[[], Awaitable[bool]]) -> int:
    """Users who never proved their address; those whom the app holds on to are passed over, and told of once."""
    total, held, after = 0, 0, ""
    while await ours():
        begun = world.clock.now()
        now = await database_clock(world)
        told = await world.store.forget_unverified(now=now, after=after, batch=BATCH)
        for user_id in told.gone:
            world.emit(Event(events.USER_DELETED, begun, user_id, detail=UNVERIFIED))
        total, held = total + len(told.gone), held + len(told.held)
        if told.last is None:
            break
        after = told.last
        await rest(max(0, world.clock.now() - begun))
    if held:
        log.warning("%d unverified users stay: rows that refer to ww_user lack ON DELETE CASCADE", held)
    return total
