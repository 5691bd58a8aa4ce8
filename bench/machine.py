"""The machine under the measurements: which core does what, and what else a reader must know to compare figures."""

from __future__ import annotations

import os
import platform
import sqlite3
import time
from functools import cache
from importlib.metadata import version
from pathlib import Path
from statistics import median

import watchword


@cache
def cores() -> tuple[int | None, int | None]:
    """The server's core and the load's, so that neither takes time from the other: the first two that we may use, or
    None where there are no two or where the system does not let us choose. Asked before any process is kept on one."""
    try:
        server, load, *_ = sorted(os.sched_getaffinity(0))
    except (AttributeError, ValueError):
        return None, None
    return server, load


def stay_on(core: int | None, process: int = 0) -> None:
    """Keep a process (0: this one) on a core, and with it the processes that it starts from now on."""
    if core is not None:
        os.sched_setaffinity(process, {core})


def sync_micros(folder: Path) -> float:
    """How long this disk takes to make 4 kB durable, which is what a commit waits for: the median of 100."""
    times = []
    with (folder / "sync").open("wb", buffering=0) as file:
        for _ in range(100):
            file.write(bytes(4096))
            begun = time.perf_counter()
            os.fsync(file.fileno())
            times.append(time.perf_counter() - begun)
    (folder / "sync").unlink()
    return median(times) * 1e6


def description(load_tool: str, folder: Path) -> list[str]:
    """The lines over the table."""
    names = ("fastapi", "starlette", "uvicorn", "uvloop", "httptools", "joserfc", "argon2-cffi", "pydantic")
    server, load = cores()
    where = (
        f"server on core {server}, load on core {load}"
        if server is not None
        else "server and load NOT on cores of their own"
    )
    return [
        f"Watchword {watchword.__version__} · Python {platform.python_version()} · SQLite {sqlite3.sqlite_version} · "
        + " · ".join(f"{name} {version(name)}" for name in names),
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores: {where} · load by {load_tool} · "
        f"fsync of 4 kB: {sync_micros(folder):.0f} µs",
    ]
