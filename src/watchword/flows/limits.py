"""Asking rate limits before anything is done that they count. Which rates hold is `rates`, how they are kept a port.

A limiter that does not answer refuses with 503, as everything here that cannot know (ASVS 5.0 16.5.3).
"""

from __future__ import annotations

from watchword import events
from watchword.core.session import Client
from watchword.core.throttle import network_of
from watchword.errors import RateLimited, Unavailable
from watchword.events import Event
from watchword.ports import Limiter, World

Asked = tuple[str, str]
"""The name of a limit, and whose budget it counts."""


def address(name: str, client: Client) -> Asked:
    """That of the network which a request comes from. All whose address is unknown have one budget together."""
    return name, network_of(client.ip)


async def admit(
    world: World, *asked: Asked, client: Client, user_id: str | None = None, by: Limiter | None = None
) -> None:
    """Count one more of each, or of none and raise RateLimited. Raises Unavailable."""
    now = world.clock.now()
    taken = [
        (world.limit_keys.of(name, whose), rate)
        for name, whose in asked
        if (rate := world.limits.get(name)) is not None
    ]
    try:
        wait = await (by or world.limiter).take(taken, now=now) if taken else None
    except Unavailable:
        world.emit(Event(events.CONTROL_FAILED, now, user_id, None, client.ip, f"limits {asked[0][0]}"))
        raise
    if wait is not None:
        world.emit(Event(events.RATE_LIMITED, now, user_id, None, client.ip, asked[0][0]))
        raise RateLimited(retry_after=-(-wait // 1_000_000))


async def admit_refresh(world: World, sid: str, user_id: str, *, client: Client) -> None:
    """That of a session, once it is certain that the token is of it: a stranger must not spend it.

    In this process alone, whatever the limiter: a refresh writes one row and must not wait for another (decision 16).
    """
    await admit(world, ("refresh", sid), client=client, user_id=user_id, by=world.near_limiter)
