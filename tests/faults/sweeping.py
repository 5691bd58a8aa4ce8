"""A process that sweeps in turn, with leases of seconds instead of an hour: `python -m tests.faults.sweeping URL`. It
prints the number of rows that went whenever it was the one who deleted some."""

import asyncio
import secrets
import sys

from tests.drivers.neighbours import neighbour
from watchword.flows import sweep
from watchword.spans import SECOND

SPAN = 6 * SECOND


def say(word: object) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


async def main(url: str) -> None:
    sweep.LEASE = SPAN
    world, holder = neighbour(url, secrets.token_urlsafe(48)).world, secrets.token_hex(8)
    say("here")
    while True:
        if gone := await sweep.sweep_in_turn(world, holder):
            say(gone)
        await asyncio.sleep(0.05)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
