"""Asking rate limits before anything is done that they count. Which rates hold is `rates`, how they are kept a port.

A limiter that does not answer refuses with 503, as everything here that cannot know (ASVS 5.0 16.5.3).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from watchword import events
from watchword.core.session import Client
from watchword.core.throttle import network_of
from watchword.errors import RateLimited, Unavailable
from watchword.events import Event
from watchword.meters import LIMITED
from watchword.ports import Limiter, World

Asked = tuple[str, str]
"""The name of a limit, and whose budget it counts."""


def address(name: str, client: Client) -> Asked:
    """That of the network which a request comes from. All whose address is unknown have one budget together."""
    return name, network_of(client.ip)


async def admit(world: World, *asked: Asked, client: Client, user_id: str | None = None) -> None:
    """Count one more of each, or of none and raise RateLimited. Raises Unavailable."""
    await _take(world, world.limiter, world.limit_keys.of, asked, client=client, user_id=user_id)


async def admit_here(world: World, asked: Asked, *, client: Client, user_id: str | None = None) -> None:
    """Count one more of it in this process alone, whatever the limiter: for what must not wait for, nor cost, a
    database or another machine (decision 16). Raises RateLimited."""
    await _take(world, world.near_limiter, _plainly, (asked,), client=client, user_id=user_id)


async def admit_here_first(world: World, asked: Asked, *, client: Client) -> None:
    """Before `admit`, in this process: what one address has too much of must not cost a database anything. Where the
    limiter is of this process anyway, `admit` costs nothing and is all that is needed. Raises RateLimited."""
    if world.near_limiter is not world.limiter:
        await admit_here(world, asked, client=client)


async def admit_refresh(world: World, sid: str, user_id: str, *, client: Client) -> None:
    """That of a session, once it is certain that the token is of it: a stranger must not spend it."""
    await admit_here(world, ("refresh", sid), client=client, user_id=user_id)


def _plainly(name: str, whose: str) -> str:
    """A key that never leaves this process, and so needs not hide whose it is."""
    return f"{name} {whose}"


async def _take(
    world: World,
    limiter: Limiter,
    key: Callable[[str, str], str],
    asked: Sequence[Asked],
    *,
    client: Client,
    user_id: str | None = None,
) -> None:
    now, get = world.clock.now(), world.limits.get
    taken = [(key(name, whose), rate) for name, whose in asked if (rate := get(name)) is not None]
    try:
        wait = await limiter.take(taken, now=now) if taken else None
    except Unavailable:
        world.emit(Event(events.CONTROL_FAILED, now, user_id, None, client.ip, f"limits {asked[0][0]}"))
        raise
    if wait is not None:
        world.counts.add(LIMITED, asked[0][0])
        world.emit(Event(events.RATE_LIMITED, now, user_id, None, client.ip, asked[0][0]))
        raise RateLimited(retry_after=-(-wait // 1_000_000))
