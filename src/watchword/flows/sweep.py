"""Deleting what nothing needs any more, in batches that never hold a lock for long (ASVS 5.0 14.2.7, R41)."""

from __future__ import annotations

from watchword.ports import World

HOUR = 3_600_000_000

KEPT = 7 * 86_400_000_000
"""Sessions stay seven days behind their end, so that a replay of an old token is still told as what it is."""
BATCH = 500


async def sweep_in_turn(world: World, holder: str) -> int:
    """Sweep unless another process has done so within the hour."""
    # A little less, so that who comes every hour finds the lease free.
    return await sweep(world) if await world.store.take_lease("sweep", holder, span=HOUR * 9 // 10) else 0


async def sweep(world: World) -> int:
    """Delete all expired and long ended sessions, old revocations, expired mail and challenges, and users who never
    proved their address; returns how many rows went."""
    total = 0
    keep = world.revocations.keep
    while gone := await world.store.sweep(
        now=world.clock.now(), ended_for=KEPT, revoked_for=keep, batch=BATCH
    ):
        total += gone
    return total
