"""The comparison by itself: `python -m bench.peers [--quick] [--rounds N] [--keep] [guard refresh login]`."""

from __future__ import annotations

import argparse
import sys

from bench import machine
from bench.databases import folder
from bench.peers.comparison import OPERATIONS
from bench.peers.part import FULL, QUICK, measured
from bench.table import shown


def main() -> None:
    reader = argparse.ArgumentParser(
        prog="python -m bench.peers", description="Watchword beside other libraries."
    )
    reader.add_argument(
        "operations", nargs="*", metavar="OPERATION", help=f"of {', '.join(OPERATIONS)}; or all"
    )
    reader.add_argument("--quick", action="store_true", help="a minute or two, and rougher")
    reader.add_argument("--rounds", type=int, help=f"instead of {FULL[0]}, or {QUICK[0]} with --quick")
    reader.add_argument("--keep", action="store_true", help="make these ratios the baseline")
    asked = reader.parse_args()
    if unknown := set(asked.operations) - set(OPERATIONS):
        reader.error(f"there is no operation {', '.join(sorted(unknown))}")
    if asked.keep and asked.operations:
        reader.error("a baseline is of all operations")
    rounds, seconds = QUICK if asked.quick else FULL
    _, load_core = machine.cores()
    machine.stay_on(load_core)
    with folder() as place:
        lines = measured(
            place, asked.rounds or rounds, seconds, asked.operations or OPERATIONS, keep=asked.keep
        )
    print(shown(lines))
    sys.exit(any(line.missed for line in lines))


if __name__ == "__main__":
    main()
