"""Deleting what nothing needs any more, in batches that never hold a lock for long (ASVS 5.0 14.2.7, R41)."""

from __future__ import annotations

from watchword.ports import World

KEPT = 7 * 86_400_000_000
"""Sessions stay seven days behind their end, so that a replay of an old token is still told as what it is."""
BATCH = 500


async def sweep(world: World) -> int:
    """Delete all expired and long ended sessions and old revocations; returns how many rows went."""
    total = 0
    keep = world.revocations.keep
    while gone := await world.store.sweep(
        now=world.clock.now(), ended_for=KEPT, revoked_for=keep, batch=BATCH
    ):
        total += gone
    return total
