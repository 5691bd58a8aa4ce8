"""The loop that sweeps every hour, in one of all the processes, and how much of the time it leaves to everybody else.
What is swept is flows/sweep."""

from __future__ import annotations

import asyncio
import logging
import random
import secrets

from watchword.errors import Unavailable
from watchword.flows.sweep import sweep_in_turn
from watchword.ports import World
from watchword.spans import SECOND

SWEEP_SECONDS = 3600.0
REST = 99
"""How many times as long as a batch took nothing is deleted behind it. SQLite has one writer, which everybody who signs
in or refreshes waits for: what it is kept from for a hundredth of the time is not seen in their 99th percentile
(`python -m bench sweep`), and some millions of rows go in a day all the same."""
FIRST_SWEEP_SECONDS = 300.0
LONGEST_REST = 60.0
"""Seconds of a rest at most: a batch that waited for a lock, or in which the clock was set, says nothing of others."""
BRIEF_REST = 9
"""The same for whoever sweeps at an hour of their own choice, and waits for the end."""

log = logging.getLogger("watchword")


def rest_seconds(took: int, *, times: int = REST) -> float:
    """How long nothing is deleted behind a batch that took so many µs."""
    return min(LONGEST_REST, times * took / SECOND)


async def rest(took: int, *, times: int = REST) -> None:
    """Let everybody else have their turn. `took` in µs."""
    await asyncio.sleep(rest_seconds(took, times=times))


async def sweep_hourly(world: World) -> None:
    """Never ends by itself."""
    holder = secrets.token_hex(8)
    await asyncio.sleep(random.uniform(0, FIRST_SWEEP_SECONDS))  # noqa: S311 - so that workers take turns
    while True:
        try:
            await sweep_in_turn(world, holder, rest)
        except Unavailable as error:
            log.warning("could not sweep: %s", error)
        except Exception:  # what keeps one sweep from its end must not keep the next from its beginning
            log.exception("sweeping failed")
        await asyncio.sleep(SWEEP_SECONDS)
