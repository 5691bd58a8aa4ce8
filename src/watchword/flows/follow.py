"""One step of following revocations: read what is new, take it in.

Each reading goes back over the last 30 s by the database's clock, as a transaction that took its instant earlier may
become visible later (ours end within 10 s; SECURITY-TARGET F19); after a pause it goes back to the last good reading.
The first one goes back as far as an access token can still be valid. So does one after a clock went back: what was
skipped or forgotten while it ran ahead counts once more (F8).
"""

from __future__ import annotations

from watchword.ports import World

OVERLAP = 30_000_000
_NOTHING_YET = 2**62
"""An instant that no row is younger than: to ask the database for its clock alone."""


async def database_clock(world: World) -> int:
    """The instant, in µs, by the clock that all hosts share where there is one. Raises Unavailable."""
    return (await world.store.read_revocations(since=_NOTHING_YET)).now


async def poll(world: World, last: int | None) -> int:
    """Read what was revoked since `last` (None: all that matters); returns the database's clock, for the next call."""
    store, known, asked_at = world.store, world.revocations, world.clock.now()
    if last is None or known.went_back(asked_at):
        last = await database_clock(world) - known.keep
    page = await store.read_revocations(since=last - OVERLAP)
    if page.now < last:
        return await poll(world, None)
    world.verifier.forget(known.add(page.ended, page.tokens_from))
    known.read(asked_at, page.now)  # not later: an answer that took long is as old as its question
    return page.now
