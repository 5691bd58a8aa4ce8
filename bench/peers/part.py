"""The comparison as one of the parts of `python -m bench`: measures, writes the results, and tells what got worse."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from bench import machine
from bench.load import tool
from bench.peers.comparison import OPERATIONS, compared
from bench.peers.results import baseline, keep_as_baseline, worse, write
from bench.table import Line

FULL, QUICK = (5, 2), (1, 1)
"""Rounds, and seconds that each measure takes in one."""


def peers(place: Path, rounds: int, seconds: int) -> list[Line]:
    """Watchword ÷ each peer, by operation."""
    return measured(place, rounds, seconds, OPERATIONS, keep=False)


def measured(place: Path, rounds: int, seconds: int, operations: Iterable[str], *, keep: bool) -> list[Line]:
    """The results are written if all operations are measured; `keep` makes the ratios the baseline."""
    # The servers lead sessions of their own: who ends this run must not leave them behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("bench: terminated"))
    asked = list(operations)
    head = machine.description(tool(), place)
    begun = time.monotonic()
    outcome = compared(place, rounds, seconds, asked)
    lines = outcome.lines()
    for name, reason in outcome.missing.items():
        print(f"bench: {name} is not measured: {reason}", file=sys.stderr)
    if set(asked) != set(OPERATIONS):
        return lines
    kind = "A QUICK RUN, rough: " if rounds < FULL[0] or seconds < FULL[1] else ""
    run = f"{kind}{rounds} interleaved rounds of {seconds} s each, {time.monotonic() - begun:.0f} s in all"
    if keep:
        keep_as_baseline(lines)
    else:
        for sentence in worse(lines, baseline()):
            print(f"bench: worse than the baseline: {sentence}", file=sys.stderr)
    write(outcome, lines, head, run)
    return lines
