"""The table of ASVS 5.0 finds what is missing: of each kind of gap one, on a small table."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.asvs.page import rendered
from tests.asvs.requirements import Chapter, Requirement, gaps, load, proofs


def table(*requirements: Requirement) -> dict[str, Chapter]:
    return {"V1": Chapter("One", requirements)}


DUTY = Requirement("1.1.1", 1, "duty", "Done.")
WRITTEN = Requirement("1.1.2", 2, "duty", "Written down.", "page.md")
ABSENT = Requirement("1.1.3", 3, "absent", "There is none.")
YOURS = Requirement("1.1.4", 1, "yours", "A door.")


@pytest.mark.parametrize(
    ("requirement", "proved", "said"),
    [
        (DUTY, {}, "1.1.1: no test names it"),
        (WRITTEN, {}, "1.1.2: there is no docs/page.md"),
        (ABSENT, {"1.1.3": ["test_a.py"]}, "1.1.3: a test names it, so it is not absent"),
        (YOURS, {"1.9.9": ["test_a.py"]}, "1.9.9: there is no such requirement"),
    ],
)
def test_every_kind_of_gap_is_one_line(
    tmp_path: Path, requirement: Requirement, proved: dict[str, list[str]], said: str
) -> None:
    [line] = gaps(table(requirement), proved, tmp_path)
    assert line.startswith(said)


def test_nothing_is_missing_where_each_duty_has_a_test_or_a_page(tmp_path: Path) -> None:
    (tmp_path / "page.md").touch()
    assert gaps(table(DUTY, WRITTEN, ABSENT, YOURS), {"1.1.1": ["test_a.py"]}, tmp_path) == []


def test_ids_are_read_from_docstrings_of_tests_alone(tmp_path: Path) -> None:
    (tmp_path / "test_all.py").write_text(
        "'''ASVS 1.1.4.'''\n"
        "def test_one(): '''Attack 3, ASVS 1.1.1, 1.1.2; more.'''\n"
        "def test_more():\n    '''ASVS 1.1.2–1.1.3:\n    so.'''\n"
        "def one(): '''ASVS 1.1.4.'''\n",
        encoding="utf-8",
    )
    found = proofs(table(DUTY, WRITTEN, ABSENT, YOURS), tmp_path)
    assert found == {ref: ["test_all.py"] for ref in ("1.1.1", "1.1.2", "1.1.3")}


def test_the_whole_standard_is_in_the_table() -> None:
    """70, 183 and 92 requirements of the three levels, and none twice."""
    everything = [one for chapter in load().values() for one in chapter.requirements]
    assert [sum(one.level == level for one in everything) for level in (1, 2, 3)] == [70, 183, 92]
    assert len({one.id for one in everything}) == 345


def test_a_page_shows_what_is_ours_what_is_yours_and_what_is_not_there() -> None:
    page = rendered(table(DUTY, ABSENT, YOURS), {"1.1.1": ["http/test_a.py"]})
    assert "| 1.1.1 | 1 | Done. | [http/test_a](../tests/http/test_a.py) |" in page
    assert "| 1.1.4 | 1 | *Yours.* A door. | – |" in page
    assert "- Does not apply: 1.1.3. There is none." in page
