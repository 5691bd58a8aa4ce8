"""The list of events says what the code says."""

import ast
import re
from pathlib import Path

from watchword import events

ROOT = Path(__file__).parent.parent
SOURCES = ROOT / "src" / "watchword"
NAMES = {name: value for name, value in vars(events).items() if name.isupper()}


def emitted(source: str) -> set[str]:
    """The constants of `events` that a module speaks of."""
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute)]
    return {node.attr for node in nodes if ast.unparse(node.value) == "events"} & NAMES.keys()


def test_every_event_is_on_the_page_once() -> None:
    """ASVS 16.1.1."""
    page = (ROOT / "docs/reference/events.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `([a-z_]+)` \|(?: [^|]*\|){3}$", page, re.M)
    assert sorted(listed) == sorted(NAMES.values())
    assert len(set(listed)) == len(listed)


def test_every_event_is_told_somewhere() -> None:
    """ASVS 16.3.1–16.3.4: none is only promised."""
    tellers = [path for path in SOURCES.rglob("*.py") if path.parent.name != "core"]  # which tells nothing
    told = set().union(*(emitted(path.read_text()) for path in tellers))
    assert told == NAMES.keys()


def test_what_no_module_speaks_of_is_noticed() -> None:
    assert emitted("events.SIGNED_IN; other.CODE_SENT; events.nothing") == {"SIGNED_IN"}
