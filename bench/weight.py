"""What a guard weighs: the memory of an app's process once it has started, by that of the same app bare."""

from __future__ import annotations

from pathlib import Path

from bench.databases import sqlite
from bench.servers import serving
from bench.table import Goal, Line


def weight(place: Path, rounds: int, seconds: int) -> list[Line]:
    """Resident memory after the first answer, of processes that were started anew for each round."""
    texts, more, guarded = sqlite(place), [], 0.0
    for _ in range(rounds):
        with serving({app: (app, texts) for app in ("fastapi_guarded", "fastapi_bare")}) as servers:
            guarded, bare = (server.megabytes() for server in servers.values())
            more.append(guarded - bare)
    return [
        Line(
            "weight",
            "a guarded FastAPI app − the same bare, MB",
            more,
            form="{:.1f}",
            goal=Goal(40, at_most=True),
            beside=f"{guarded:.0f} by {guarded - more[-1]:.0f} MB" if more else "",
        )
    ]
