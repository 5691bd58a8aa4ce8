"""Deleting what nothing needs any more, in batches that never hold a lock for long (ASVS 5.0 14.2.7, R41)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from watchword.ports import World
from watchword.spans import DAY, HOUR

KEPT = 7 * DAY
"""Sessions stay seven days behind their end, so that a replay of an old token is still told as what it is."""
BATCH = 50
LEASE = HOUR * 9 // 10
"""A little less than an hour, so that who comes every hour finds it free."""

Rest = Callable[[int], Awaitable[None]]
"""What is waited for behind each batch, given the µs that the batch took."""


async def at_once(took: int) -> None:
    """No rest."""


async def sweep_in_turn(world: World, holder: str, rest: Rest = at_once) -> int:
    """Sweep unless another process does, or has done so within the hour."""
    total = renew_at = 0
    while True:
        if world.clock.now() >= renew_at:
            if not await world.store.take_lease("sweep", holder, span=LEASE):
                return total
            renew_at = world.clock.now() + LEASE // 2
        gone = await _batch(world, rest)
        if not gone:
            return total
        total += gone


async def sweep(world: World, rest: Rest = at_once) -> int:
    """Delete all expired and long ended sessions, old revocations, expired mail and challenges, and users who never
    proved their address; returns how many rows went."""
    total = 0
    while gone := await _batch(world, rest):
        total += gone
    return total


async def _batch(world: World, rest: Rest) -> int:
    begun, keep = world.clock.now(), world.revocations.keep
    gone = await world.store.sweep(now=begun, ended_for=KEPT, revoked_for=keep, batch=BATCH)
    if gone:
        await rest(max(0, world.clock.now() - begun))
    return gone
