"""The house rules that no linter knows. Which layer may import which: [tool.importlinter] in pyproject.toml."""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import watchword

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "watchword"
SOURCES = sorted(
    path for path in PACKAGE.rglob("*") if path.suffix in {".py", ".js", ".mjs", ".css", ".html", ".sql"}
)
MODULES = [path for path in SOURCES if path.suffix == ".py"]
PURE = [path for path in MODULES if path.parent == PACKAGE / "core" or path.name == "rules.py"]

# Names that say nothing, so that anything would fit behind them.
VAGUE = {"common", "helper", "helpers", "manager", "misc", "util", "utils"}
# What would make a verdict depend on something that its arguments do not show.
IMPURE_MODULES = {"asyncio", "logging", "os", "random", "secrets", "socket", "sys", "threading", "time"}
IMPURE_CALLS = {
    *("datetime.now", "datetime.utcnow", "datetime.today", "date.today"),
    *("uuid.uuid1", "uuid.uuid4", "uuid4", "open", "print", "input"),
}


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]


def calls(tree: ast.Module) -> Iterator[str]:
    """`now()` as written, and `datetime.now()` for any longer path that ends so."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            parts = ast.unparse(node.func).split(".")
            yield ".".join(parts[-2:])


def impurities(source: str) -> set[str]:
    tree = ast.parse(source)
    return IMPURE_MODULES.intersection(imports(tree)) | IMPURE_CALLS.intersection(calls(tree))


@pytest.mark.parametrize("path", PURE, ids=shown)
def test_core_and_rules_take_clock_chance_and_world_as_arguments(path: Path) -> None:
    assert impurities(path.read_text()) == set()


@pytest.mark.parametrize(
    "source",
    [
        "import time",
        "from secrets import token_bytes",
        "import os.path",
        "import datetime\ndatetime.datetime.now()",
        "from datetime import datetime\ndatetime.now(tz=None)",
        "def f() -> None:\n    import random",
        "open('x')",
    ],
)
def test_impurity_is_recognised(source: str) -> None:
    assert impurities(source)


def test_every_module_opens_with_what_it_is_for() -> None:
    assert [shown(path) for path in MODULES if not ast.get_docstring(ast.parse(path.read_text()))] == []


def test_no_file_is_too_long_to_read_in_one_sitting() -> None:
    lengths = {shown(path): len(path.read_text().splitlines()) for path in SOURCES}
    assert {path: length for path, length in lengths.items() if length > 350} == {}


def test_no_module_has_a_name_that_says_nothing() -> None:
    assert [shown(path) for path in SOURCES if VAGUE.intersection([path.stem, path.parent.name])] == []


def test_work_left_over_is_not_kept_in_the_sources() -> None:
    marks = ("TODO", "FIXME", "XXX")
    assert [shown(path) for path in SOURCES if any(mark in path.read_text() for mark in marks)] == []


def test_the_package_knows_its_own_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert watchword.__version__ == project["version"]
