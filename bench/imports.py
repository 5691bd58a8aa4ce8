"""How long importing takes, as the wall time of whole processes: what every script, worker and command line pays."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import median

from bench.table import Goal, Line, interleaved

NOTHING = "pass"


def imports(place: Path, rounds: int, seconds: int) -> list[Line]:
    """The package itself, what `Watchword` brings along, and the command line's help where there is one."""
    measured = {"import watchword": Goal(150, at_most=True), "from watchword import Watchword": None}
    commands = {code: ["-c", code] for code in (NOTHING, *measured)}
    if find_spec("watchword.__main__"):
        commands["watchword --help"] = ["-m", "watchword", "--help"]
    for command in commands.values():
        _millis(command)  # compiles what was not yet
    figures = interleaved(rounds, {name: partial(_millis, command) for name, command in commands.items()})
    nothing = f"of which the interpreter alone {median(figures.pop(NOTHING)):.0f}"
    return [
        Line("import", f"{name}, ms", millis, form="{:.0f}", goal=measured.get(name), beside=nothing)
        for name, millis in figures.items()
    ]


def _millis(arguments: list[str]) -> float:
    """With the byte code of a normal installation, whatever this environment says about it."""
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    begun = time.perf_counter()
    subprocess.run([sys.executable, *arguments], env=environment, stdout=subprocess.DEVNULL, check=True)
    return (time.perf_counter() - begun) * 1e3
