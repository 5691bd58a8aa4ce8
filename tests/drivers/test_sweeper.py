"""The sweeper's pace. What it deletes is the subject of tests/flows/test_loops.py."""

from __future__ import annotations

import asyncio

from watchword.drivers.sweeper import LONGEST_REST, REST, rest, rest_seconds

SLOWLY = 0.000_5
"""Seconds: less than a clock of the system may tell apart."""


async def test_behind_a_batch_it_rests_a_hundred_times_as_long_in_all() -> None:
    """F14: whoever waits for the one writer meets it in a hundredth of the time."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    await rest(2_000)
    assert REST == 99
    assert loop.time() - begun >= 0.198 - SLOWLY


def test_a_batch_that_took_for_ever_is_no_reason_to_rest_for_days() -> None:
    """F8: it waited for a lock, or the clock was set an hour ahead in it."""
    assert rest_seconds(3_600_000_000) == LONGEST_REST == 60
    assert rest_seconds(2_000) == 0.198
