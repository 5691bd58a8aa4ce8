"""Figures that fault tests measured are printed as one table at the end of the run, by fault."""

import re
from collections.abc import Callable
from typing import NamedTuple

import pytest


class Figure(NamedTuple):
    fault: int
    test: str
    text: str


FIGURES = pytest.StashKey[list[Figure]]()
FAULT = re.compile(r"\bF(\d+)\b")


@pytest.fixture
def measured(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Call it with a sentence: a figure and what it is of. The fault is the first that the test's docstring names."""
    figures = request.config.stash.setdefault(FIGURES, [])
    said = FAULT.search(getattr(request.function, "__doc__", None) or "")
    fault = int(said[1]) if said else 0
    return lambda text: figures.append(Figure(fault, request.node.name.removeprefix("test_"), text))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if figures := config.stash.get(FIGURES, []):
        terminalreporter.section("measured")
        for fault, test, text in sorted(figures):
            terminalreporter.line(f"{f'F{fault}' if fault else '':<4} {test.replace('_', ' ')}")
            terminalreporter.line(f"       {text}")
