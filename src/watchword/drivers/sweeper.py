"""The loop that sweeps every hour, in one of all the processes. What is swept is flows/sweep."""

from __future__ import annotations

import asyncio
import logging
import random
import secrets

from watchword.errors import Unavailable
from watchword.flows.sweep import sweep_in_turn
from watchword.ports import World

SWEEP_SECONDS = 3600.0
FIRST_SWEEP_SECONDS = 300.0

log = logging.getLogger("watchword")


async def sweep_hourly(world: World) -> None:
    """Never ends by itself."""
    holder = secrets.token_hex(8)
    await asyncio.sleep(random.uniform(0, FIRST_SWEEP_SECONDS))  # noqa: S311 - so that workers take turns
    while True:
        try:
            await sweep_in_turn(world, holder)
        except Unavailable as error:
            log.warning("could not sweep: %s", error)
        except Exception:  # what keeps one sweep from its end must not keep the next from its beginning
            log.exception("sweeping failed")
        await asyncio.sleep(SWEEP_SECONDS)
