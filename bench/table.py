"""What was measured, and the one table that shows it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Goal:
    """What the median shall at least (or, `at_most`, at most) be."""

    figure: float
    at_most: bool = False

    def met(self, figure: float) -> bool:
        return figure <= self.figure if self.at_most else figure >= self.figure


@dataclass(frozen=True)
class Line:
    """One line: a figure a round. `form` writes a figure; `beside` says what else belongs to it."""

    part: str
    what: str
    figures: Sequence[float]
    form: str = "{:.3f}"
    goal: Goal | None = None
    beside: str = ""

    @property
    def missed(self) -> bool:
        return self.goal is not None and not self.goal.met(median(self.figures))

    @property
    def verdict(self) -> str:
        if self.goal is None:
            return ""
        return "MISSED" if self.missed else "ok"

    def cells(self) -> tuple[str, ...]:
        goal = (
            ""
            if self.goal is None
            else ("≤ " if self.goal.at_most else "≥ ") + self.form.format(self.goal.figure)
        )
        low, high = self.form.format(min(self.figures)), self.form.format(max(self.figures))
        middle = self.form.format(median(self.figures))
        return self.part, self.what, goal, middle, f"{low}–{high}", self.verdict, self.beside


HEAD = ("part", "what", "goal", "median", "min–max", "", "beside it")


def shown(lines: Sequence[Line]) -> str:
    """The table as text."""
    rows = [HEAD, *(line.cells() for line in lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def interleaved(rounds: int, measures: Mapping[str, Callable[[], float]]) -> dict[str, list[float]]:
    """Every measure once a round, there and back again, so that a machine that slows down slows all of them."""
    figures: dict[str, list[float]] = {name: [] for name in measures}
    for number in range(rounds):
        for name in list(measures) if number % 2 == 0 else reversed(list(measures)):
            figures[name].append(measures[name]())
    return figures


def ratios(upper: Sequence[float], lower: Sequence[float]) -> list[float]:
    """Round by round."""
    return [a / b for a, b in zip(upper, lower, strict=True)]


def rate(figures: Sequence[float]) -> str:
    """For the last column: a median of requests a second."""
    return f"{median(figures):,.0f}/s"
