"""What a comparison leaves behind: bench/RESULTS.md, a chart an operation, and what got worse since the baseline."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from statistics import median

from bench.peers.comparison import OPERATIONS, Outcome
from bench.peers.contestants import CONTESTANTS, OURS
from bench.table import Line

BENCH = Path(__file__).parent.parent
BASELINE = BENCH / "baseline.json"
TOLERANCE = 0.15
"""Ratios of two runs on one machine differ by so much without any change: only what is worse by more is told."""

_BAR, _LEFT, _WIDTH, _RIGHT = 26, 240, 420, 170


def ratios_of(lines: Sequence[Line]) -> dict[str, float]:
    """The medians by the lines' names, as the baseline keeps them."""
    return {line.what: round(median(line.figures), 2) for line in lines}


def worse(lines: Sequence[Line], baseline: Mapping[str, float]) -> list[str]:
    """A sentence a ratio that is lower than the baseline's by more than the tolerance, or that is not there."""
    now = ratios_of(lines)
    return [
        f"{what}: {now[what]:.2f}, was {before:.2f}"
        if what in now
        else f"{what}: not measured, was {before:.2f}"
        for what, before in baseline.items()
        if what not in now or now[what] < before * (1 - TOLERANCE)
    ]


def baseline() -> dict[str, float]:
    """What is committed; empty where nothing is."""
    return dict(json.loads(BASELINE.read_text(encoding="utf-8"))) if BASELINE.exists() else {}


def keep_as_baseline(lines: Sequence[Line]) -> None:
    BASELINE.write_text(json.dumps(ratios_of(lines), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write(outcome: Outcome, lines: Sequence[Line], head: Sequence[str], run: str) -> None:
    """`head` describes the machine, `run` how long and how often was measured."""
    for operation, figures in outcome.figures.items():
        (BENCH / f"results-{operation}.svg").write_text(_chart(operation, figures), encoding="utf-8")
    (BENCH / "RESULTS.md").write_text(_page(outcome, lines, head, run), encoding="utf-8")


def _page(outcome: Outcome, lines: Sequence[Line], head: Sequence[str], run: str) -> str:
    parts = [_OPENING, *(f"- {line}" for line in (*head, run)), ""]
    for operation, figures in outcome.figures.items():
        parts += [
            f"## {operation}: {OPERATIONS[operation]}",
            "",
            f"![{operation}](results-{operation}.svg)",
            "",
        ]
        parts += ["| | median | min–max | server had of its core |", "|---|--:|--:|--:|"]
        parts += [
            f"| {name} | {_figure(median(each))} | {_figure(min(each))}–{_figure(max(each))} | "
            f"{outcome.shares[operation][name]:.0%} |"
            for name, each in figures.items()
        ]
        mine = [line for line in lines if line.what.startswith(f"{operation}: ")]
        parts += ["", f"| {OURS} ÷ | median | min–max | goal | |", "|---|--:|--:|--:|---|"]
        for line in mine:
            _, what, goal, middle, spread, verdict, _ = line.cells()
            parts.append(f"| {what.partition(' ÷ ')[2]} | {middle} | {spread} | {goal} | {verdict} |")
        parts.append("")
    parts += ["## What each of them does", "", _OURS, ""]
    told: set[str] = set()
    for each in CONTESTANTS:
        if each.adapter and each.adapter not in told:
            told.add(each.adapter)
            first, _, rest = each.does.partition("\n")
            parts += [
                f"### {each.adapter.partition('/')[0]}",
                "",
                first,
                rest,
                "",
                f"Versions: {each.versions}. ",
                "",
            ]
    if outcome.missing:
        parts += ["## Not measured", ""]
        parts += [f"- {name}: {reason}" for name, reason in outcome.missing.items()] + [""]
    return "\n".join(part.rstrip() for part in parts).rstrip() + "\n"


_OPENING = f"""# Watchword beside other libraries

Written by `make bench`, `make bench-quick` or `python -m bench.peers`; each figure is one that this run measured. How,
is in [README.md](README.md#beside-other-libraries). Before you quote a ratio:

- It is one machine with few cores: server and load have one each, PostgreSQL and the disk take from both. Ratios of
  two runs differ by a tenth or more; min–max shows how much in this one.
- Libraries do different work, and the ratio does not say whose work is worth it. What each does is told below. AuthX
  stores nothing, better-auth rotates nothing: {OURS}'s refresh is a rotation that is on the disk before it is answered.
- One worker each. Rates of `guard` and `login` are per second of the server's processor time, so that who waits for
  a database is not charged for the waiting; those of `refresh` are in real time.
- `login` is the price of the password's hash, which each library chooses: a lower rate can be the safer choice.

## This run
"""

_OURS = """### Watchword

On SQLite in WAL mode with synchronous=FULL, limits on guessing off as those of the others are.

- guard: the signature is verified once a token, after that it is found in a cache; whether its session was revoked is
  asked of the feed of revocations in memory. No database. `CurrentUser` is the FastAPI dependency, like those of the
  others; with `request.scope` the middleware alone is paid for.
- refresh: reads the session, writes the rotation in one atomic statement, signs a new access token. The rotation window
  is 1 ms, so that each refresh is a rotation; a token that is used again later ends the session.
- login: reads the user, verifies argon2id (19 MiB, 2 passes, 1 lane: OWASP's), writes the session and the event."""


def _figure(figure: float) -> str:
    return f"{figure:,.0f}" if figure >= 100 else f"{figure:.3g}"


def _chart(operation: str, figures: Mapping[str, Sequence[float]]) -> str:
    """Bars of the medians, with a line from the lowest round to the highest."""
    scale = _WIDTH / max(max(each) for each in figures.values())
    height = 44 + _BAR * len(figures)
    whole = _LEFT + _WIDTH + _RIGHT
    rows = []
    for place, (name, each) in enumerate(figures.items()):
        top = 40 + _BAR * place
        middle = top + (_BAR - 8) / 2
        long, low, high = (_LEFT + scale * figure for figure in (median(each), min(each), max(each)))
        color = "#2f6f4f" if name.startswith(OURS) else "#b9bec4" if name.startswith("bare") else "#6d7f99"
        told = f"{_figure(median(each))}  ({_figure(min(each))}–{_figure(max(each))})"
        rows += [
            f'<text x="{_LEFT - 8}" y="{middle + 4}" text-anchor="end">{escape(name)}</text>',
            f'<rect x="{_LEFT}" y="{top}" width="{long - _LEFT:.1f}" height="{_BAR - 8}" fill="{color}"/>',
            f'<path d="M{low:.1f} {middle}H{high:.1f}" stroke="#1b1f23" stroke-width="1.5"/>',
            f'<text x="{max(long, high) + 6:.1f}" y="{middle + 4}">{told}</text>',
        ]
    title = escape(f"{operation}: {OPERATIONS[operation]} (median, min–max)")
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {whole} {height}" width="{whole}" '
            f'height="{height}" font-family="sans-serif" font-size="12" role="img">',
            f"<title>{title}</title>",
            f'<rect width="{whole}" height="{height}" fill="#ffffff"/>',
            f'<text x="12" y="22" font-weight="bold">{title}</text>',
            *rows,
            "</svg>",
            "",
        ]
    )
