"""The requirements, the tests that name them, and what is missing between the two."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

TESTS = Path(__file__).parent.parent
DOCS = TESTS.parent / "docs"
TABLE = Path(__file__).with_name("requirements.toml")
KINDS = ("duty", "yours", "unmet", "absent")

_ID = r"\d+\.\d+\.\d+"
_NAMED = re.compile(rf"ASVS(?: 5\.0)? ((?:{_ID}(?:–{_ID})?(?:, | and )?)+)")
"""How a docstring names them: «ASVS 7.4.1, 14.3.1» or «ASVS 3.3.1–3.3.4», on one line or over several."""


@dataclass(frozen=True)
class Requirement:
    """`kind` is one of KINDS and `text` what is said of it; `page`, below docs/, is where it is documented."""

    id: str
    level: int
    kind: str
    text: str
    page: str | None = None


@dataclass(frozen=True)
class Chapter:
    title: str
    requirements: tuple[Requirement, ...]


def load(file: Path = TABLE) -> dict[str, Chapter]:
    """Chapters by name, `V1` to `V17`, with their requirements in the order of the standard."""
    with file.open("rb") as source:
        chapters = tomllib.load(source)
    return {
        name: Chapter(table["title"], tuple(sorted(_requirements(table), key=lambda one: order(one.id))))
        for name, table in chapters.items()
    }


def order(ref: str) -> tuple[int, ...]:
    return tuple(map(int, ref.split(".")))


def proofs(chapters: Mapping[str, Chapter], folder: Path = TESTS) -> dict[str, list[str]]:
    """The files of tests, relative to the folder, whose tests name an id in their docstrings; known ids or not."""
    known = [one.id for chapter in chapters.values() for one in chapter.requirements]
    named: dict[str, dict[str, None]] = {}
    for file in sorted([*folder.rglob("test_*.py"), *folder.rglob("contract*.py")]):
        if "node_modules" not in file.parts:
            for ref in _names(file, known):
                named.setdefault(ref, {})[file.relative_to(folder).as_posix()] = None
    return {ref: list(files) for ref, files in named.items()}


def gaps(
    chapters: Mapping[str, Chapter], proved: Mapping[str, Iterable[str]], docs: Path = DOCS
) -> list[str]:
    """What is missing, a line each. A duty is proved by a test or, where it is to write something down, by a page."""
    known = {one.id: one for chapter in chapters.values() for one in chapter.requirements}
    lines = []
    for one in known.values():
        if one.kind == "duty" and one.id not in proved and one.page is None:
            lines.append(f"{one.id}: no test names it (ASVS {one.id} in a docstring)")
        if one.page is not None and not (docs / one.page).is_file():
            lines.append(f"{one.id}: there is no docs/{one.page}")
        if one.kind == "absent" and one.id in proved:
            lines.append(f"{one.id}: a test names it, so it is not absent")
    lines += [
        f"{ref}: there is no such requirement, and a test names it" for ref in proved if ref not in known
    ]
    return lines


def _requirements(table: Mapping[str, object]) -> Iterator[Requirement]:
    levels = table.get("levels", {})
    assert isinstance(levels, dict)
    for level, refs in levels.items():
        yield from (Requirement(ref, int(level), "absent", str(table["absent"])) for ref in refs)
    for ref, told in table.items():
        if re.fullmatch(_ID, ref):
            assert isinstance(told, dict)
            [kind] = [kind for kind in KINDS if kind in told]
            yield Requirement(ref, told["level"], kind, told[kind], told.get("page"))


def _names(file: Path, known: Sequence[str]) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            for found in _NAMED.finditer(" ".join((ast.get_docstring(node) or "").split())):
                for part in re.findall(rf"{_ID}(?:–{_ID})?", found[1]):
                    first, _, last = part.partition("–")
                    yield from _between(first, last or first, known)


def _between(first: str, last: str, known: Sequence[str]) -> Sequence[str]:
    """All ids from the first to the last; one that is unknown stands for itself."""
    if first == last or {first, last} - set(known):
        return list(dict.fromkeys((first, last)))
    return known[known.index(first) : known.index(last) + 1]
