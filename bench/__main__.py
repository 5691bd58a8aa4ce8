"""The command: measure the parts one after the other and print one table."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench import machine
from bench.databases import folder
from bench.enumeration import enumeration
from bench.guards import cold, guard
from bench.imports import imports
from bench.load import tool
from bench.logins import login
from bench.mails import mail
from bench.memory import memory
from bench.others import others
from bench.peers.part import FULL, QUICK, peers
from bench.refreshes import refresh
from bench.scales import scale, workers
from bench.sweeps import sweep
from bench.table import Line, shown
from bench.weight import weight


@dataclass(frozen=True)
class Part:
    """`full` and `quick` are rounds, and how many seconds each measure takes in a round: many short ones where two
    rates are compared, so that both meet the same moments of the machine."""

    measure: Callable[[Path, int, int], list[Line]]
    full: tuple[int, int]
    quick: tuple[int, int]


PARTS = {
    "guard": Part(guard, full=(9, 1), quick=(2, 1)),
    "cold": Part(cold, full=(9, 1), quick=(1, 1)),
    "refresh": Part(refresh, full=(5, 2), quick=(2, 1)),
    "login": Part(login, full=(5, 3), quick=(2, 2)),
    "mail": Part(mail, full=(5, 0), quick=(1, 0)),
    "enumeration": Part(enumeration, full=(20, 0), quick=(2, 0)),
    "scale": Part(scale, full=(5, 2), quick=(2, 1)),
    "workers": Part(workers, full=(9, 1), quick=(2, 1)),
    "others": Part(others, full=(3, 2), quick=(1, 1)),
    "weight": Part(weight, full=(3, 0), quick=(1, 0)),
    "sweep": Part(sweep, full=(20, 6), quick=(3, 5)),
    "memory": Part(memory, full=(3, 0), quick=(1, 0)),
    "peers": Part(peers, full=FULL, quick=QUICK),
    "import": Part(imports, full=(9, 0), quick=(2, 0)),
}


def main() -> None:
    reader = argparse.ArgumentParser(
        prog="python -m bench", description="How fast Watchword is on this machine."
    )
    reader.add_argument(
        "parts", nargs="*", metavar="PART", help=f"any of {', '.join(PARTS)}; all of them by default"
    )
    reader.add_argument("--quick", action="store_true", help="a few minutes, and rougher")
    asked = reader.parse_args()
    if unknown := set(asked.parts) - set(PARTS):
        reader.error(f"there is no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    _, load_core = machine.cores()
    machine.stay_on(load_core)
    begun = time.monotonic()
    lines: list[Line] = []
    with folder() as place:
        head = machine.description(tool(), place)
        for name in asked.parts or PARTS:
            rounds, seconds = PARTS[name].quick if asked.quick else PARTS[name].full
            print(f"bench: {name}, {rounds} rounds …", file=sys.stderr, flush=True)
            lines += PARTS[name].measure(place, rounds, seconds)
    missed = [line for line in lines if line.missed]
    print(*head, f"interleaved rounds, {time.monotonic() - begun:.0f} s in all", "", sep="\n")
    print(shown(lines))
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
