"""The production checklist and the doctor know the same checks, and the reference names them all."""

import re
from pathlib import Path

import pytest

from watchword.cli.advice import Check

DOCS = Path(__file__).parent.parent / "docs"
CHECKS = {check.value for check in Check}


def rows(page: str) -> list[list[str]]:
    """The cells of a page's tables, without their heads."""
    text = (DOCS / page).read_text(encoding="utf-8")
    lines = re.findall(r"^\| (.+) \|\n", re.sub(r"^\|.+\|\n\|[-|]+\|\n", "", text, flags=re.M), re.M)
    return [line.split(" | ") for line in lines]


def test_every_check_of_the_doctor_is_on_the_list_and_none_else() -> None:
    """R11, R25."""
    *_, last = zip(*rows("production-checklist.md"), strict=True)
    listed = [
        name for cell in last if not cell.startswith("by hand") for name in re.findall("`([^`]+)`", cell)
    ]
    assert sorted(listed) == sorted(CHECKS)


@pytest.mark.parametrize("row", rows("production-checklist.md"), ids=lambda row: row[0])
def test_every_item_says_what_and_why_and_who_looks(row: list[str]) -> None:
    """R11."""
    what, why, how = row
    assert what
    assert why
    assert re.fullmatch(r"by hand: .+|`[a-z-]+`(, `[a-z-]+`)*", how)


def test_every_check_is_in_the_reference() -> None:
    first = {row[0] for row in rows("reference/cli.md")}
    assert first >= {f"`{name}`" for name in CHECKS}
    assert {name.strip("`") for name in first if re.fullmatch("`[a-z-]+`", name)} == CHECKS


def test_the_list_is_linked_from_where_one_looks() -> None:
    for page in ("../README.md", "reference/cli.md", "reference/settings.md"):
        assert "production-checklist.md)" in (DOCS / page).read_text(encoding="utf-8"), page
