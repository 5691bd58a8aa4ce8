"""The check of traceability finds what is missing: of each kind of gap one, on a tree of tests that is known."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.traceability import IDS, found, gaps


def tree(folder: Path, *functions: str) -> Path:
    """A folder of tests; each function is a name, or a name and a docstring."""
    (folder / "tests" / "deep").mkdir(parents=True)
    lines = (f"async def {name}():\n    '''{name} says'''\n" for name in functions)
    (folder / "tests" / "deep" / "test_all.py").write_text("\n".join(lines), encoding="utf-8")
    return folder / "tests"


def complete(*without: str) -> list[str]:
    return [f"test_{ref.lower()}_works" for ref in IDS if ref not in without]


def test_nothing_is_missing_where_every_id_has_a_test_or_a_reason(tmp_path: Path) -> None:
    tests = found(tree(tmp_path, *complete("W16")))
    assert gaps(tests, {"W16": "a reason"}) == []
    [test] = tests["R1"]
    assert (test.file, test.name) == ("tests/deep/test_all.py", "test_r1_works")
    assert test.states == "test_r1_works says"


def test_a_test_may_name_several_ids(tmp_path: Path) -> None:
    tests = found(tree(tmp_path, *complete("R8", "W10"), "test_r8_w10_cookies"))
    assert gaps(tests, {}) == []


@pytest.mark.parametrize(
    ("without", "more", "later", "said"),
    [
        ("W16", None, {}, "W16: no test is named"),
        # R4 is not found in the test of R40, nor anything in a test that only mentions one
        ("R4", "test_not_r4_at_all", {}, "R4: no test is named"),
        (None, None, {"R7": "a pretext"}, "R7: it has a test, test_r7_works"),
        (None, None, {"R50": "a slip"}, "R50: LATER names an id that there is not"),
        (None, "test_w17_unheard_of", {}, "W17: there is no such id, and test_w17_unheard_of names it"),
    ],
)
def test_every_kind_of_gap_is_one_line(
    tmp_path: Path, without: str | None, more: str | None, later: dict[str, str], said: str
) -> None:
    functions = complete(without or "") + ([more] if more else [])
    [line] = gaps(found(tree(tmp_path, *functions)), later)
    assert line.startswith(said)


def test_one_test_of_each_id_says_what_it_is(tmp_path: Path) -> None:
    folder = tree(tmp_path, *complete("R9"))
    silent, telling = folder / "test_silent.py", folder / "test_telling.py"
    silent.write_text("def test_r9_in_silence(): ...\n", encoding="utf-8")
    assert gaps(found(folder), {}) == ["R9: no docstring says what it is, not that of test_r9_in_silence"]
    telling.write_text("def test_r9_aloud(): 'R9: modules.'\n", encoding="utf-8")
    assert gaps(found(folder), {}) == []
