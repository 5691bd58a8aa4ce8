"""Which test proves which requirement: `python -m tests.traceability`, part of `make check`, fails with a line a gap.

A test says so by its name: `test_r20_…` is a test of R20, `test_w8_…` one of the fault W8. Its docstring says the
requirement in our words; `docs/seeds.md` shows both. What cannot be tested yet would stand in `LATER`, with the reason.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

TESTS = Path(__file__).parent
IDS = [f"R{number}" for number in range(1, 50)] + [f"W{number}" for number in range(1, 17)]

LATER: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Test:
    """A test function that names an id; `file` is relative to the repository, `states` its docstring."""

    __test__ = False  # for pytest, which would collect a class of this name

    ref: str
    file: str
    name: str
    states: str


def found(folder: Path = TESTS) -> dict[str, list[Test]]:
    """The tests below a folder by the ids that they name, known or not; in the order of files and lines."""
    tests: dict[str, list[Test]] = {}
    for file in sorted(folder.rglob("test_*.py")):
        if "node_modules" not in file.parts:
            for test in _tests(file, folder.parent):
                tests.setdefault(test.ref, []).append(test)
    return tests


def gaps(tests: Mapping[str, list[Test]], later: Mapping[str, str] = LATER) -> list[str]:
    """What is wrong, a line each; nothing if every id has either a test or a reason."""
    lines = [
        f"{ref}: no test is named test_{ref.lower()}_…, and LATER gives no reason"
        for ref in IDS
        if ref not in tests and ref not in later
    ]
    lines += [
        f"{ref}: it has a test, {tests[ref][0].name}, so LATER is out of date"
        for ref in later
        if ref in tests
    ]
    lines += [f"{ref}: LATER names an id that there is not" for ref in later if ref not in IDS]
    for ref, named in tests.items():
        if ref not in IDS:
            lines.append(f"{ref}: there is no such id, and {named[0].name} names it")
        if not any(test.states for test in named):
            lines.append(f"{ref}: no docstring says what it is, not that of {named[0].name}")
    return lines


def _tests(file: Path, root: Path) -> Iterator[Test]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (
            named := re.match(r"test((?:_[rw][0-9]+)+)_", node.name)
        ):
            states = ast.get_docstring(node) or ""
            for ref in named[1].upper().strip("_").split("_"):
                yield Test(ref, file.relative_to(root).as_posix(), node.name, states)


if __name__ == "__main__":
    sys.exit("\n".join(gaps(found())) or None)
