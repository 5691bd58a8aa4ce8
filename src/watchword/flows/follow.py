"""One step of following revocations: read what is new, take it in.

Each reading goes back over the last 30 s by the database's clock, as a transaction that took its instant earlier may
become visible later (ours end within 10 s; SECURITY-TARGET F19); after a pause it goes back to the last good reading.
When a clock went back, all is read again: what was skipped or forgotten while it ran ahead counts once more (F8).
"""

from __future__ import annotations

from watchword.ports import World

OVERLAP = 30_000_000


async def poll(world: World, last: int | None) -> int:
    """Read what was revoked since `last` (None: everything); returns the database's clock, for the next call."""
    page = await world.store.read_revocations(since=None if last is None else last - OVERLAP)
    if last is not None and (page.now < last or world.revocations.went_back(world.clock.now())):
        page = await world.store.read_revocations(since=None)
    world.verifier.forget(world.revocations.add(page.ended, page.tokens_from))
    world.revocations.read(world.clock.now())
    return page.now
