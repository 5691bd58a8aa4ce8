"""What is new to a cursor: everything once, what became visible late too, whichever process answers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchword.core.revocation import Revoked, TokensFrom
from watchword.features.revocations.rules import (
    AHEAD,
    MOST_ROWS,
    OVERLAP,
    Cursor,
    Known,
    news,
    oldest,
    read,
)

SECOND = 1_000_000
NOW = 1_800_000_000 * SECOND


def known(through: int, *ended: Revoked, moved: tuple[TokensFrom, ...] = ()) -> Known:
    return Known(through, ended, moved)


def told(state: Known, cursor: Cursor | None) -> tuple[list[str], Cursor]:
    found = news(state, cursor)
    assert found is not None
    return [row.sid for row in found.ended], found.cursor


def test_who_comes_first_is_told_everything_and_then_nothing_twice() -> None:
    first, second = Revoked("a", NOW - 500 * SECOND), Revoked("b", NOW - SECOND)
    sids, cursor = told(known(NOW, first, second), None)
    assert sids == ["a", "b"]
    sids, cursor = told(known(NOW + SECOND, first, second), cursor)
    assert sids == []
    sids, cursor = told(known(NOW + 2 * SECOND, first, second, Revoked("c", NOW + SECOND + 1)), cursor)
    assert sids == ["c"]


def test_what_became_visible_late_is_told_though_others_overtook_it() -> None:
    """F19: with all of the last half a minute, as nobody knows any more what was told."""
    early, late = Revoked("early", NOW - 10 * SECOND), Revoked("late", NOW - 20 * SECOND)
    _, cursor = told(known(NOW, early), None)
    sids, cursor = told(known(NOW + SECOND, early, late), cursor)
    assert sids == ["late", "early"]
    assert told(known(NOW + 2 * SECOND, early, late), cursor)[0] == []


def test_a_change_of_roles_is_told_once() -> None:
    """ASVS 8.3.2."""
    _, cursor = told(known(NOW), None)
    state = known(NOW + SECOND, moved=(TokensFrom("ada", NOW // SECOND + 3),))
    found = news(state, cursor)
    assert found is not None
    assert found.tokens_from == [TokensFrom("ada", NOW // SECOND + 3)]
    again = news(state, found.cursor)
    assert again is not None
    assert not again


def test_what_this_process_ended_and_has_not_read_back_yet_is_left_for_the_next_time() -> None:
    own = Revoked("own", NOW + 5)
    sids, cursor = told(known(NOW, own), None)
    assert sids == []
    assert told(known(NOW + SECOND, own), cursor)[0] == ["own"]


def test_a_process_that_has_read_less_than_another_waits_until_it_has() -> None:
    _, cursor = told(known(NOW + SECOND), None)
    assert news(known(NOW), cursor) is None
    assert told(known(NOW + SECOND), cursor)[0] == []


def test_a_cursor_of_a_clock_that_has_gone_back_begins_anew() -> None:
    """F8."""
    row = Revoked("a", NOW - 1)
    assert told(known(NOW, row), Cursor(NOW + AHEAD + 1, "0" * 16))[0] == ["a"]


def test_a_long_answer_is_cut_and_the_next_one_goes_on() -> None:
    rows = [Revoked(f"{number:05}", NOW - number) for number in range(2 * MOST_ROWS + 5)]
    state, cursor, all_told = known(NOW, *rows), None, []
    for _ in range(3):
        sids, cursor = told(state, cursor)
        assert len(sids) <= MOST_ROWS
        all_told += sids
    assert all_told == [row.sid for row in reversed(rows)]
    assert told(state, cursor)[0] == []


@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 25), st.integers(0, 1)), max_size=12),
    st.lists(st.integers(0, 1), min_size=100, max_size=100),
)
def test_everything_is_told_whenever_it_becomes_visible_to_whichever_process(
    ends: list[tuple[int, int, int]], turns: list[int]
) -> None:
    """F19: rows with an instant, a delay after which they can be read, and a process that reads a second later."""
    cursor, heard = None, set()
    for moment, process in enumerate(turns):
        visible = [
            Revoked(str(number), NOW + at * SECOND)
            for number, (at, delay, slow) in enumerate(ends)
            if at + delay + (slow and process) <= moment
        ]
        found = news(known(NOW + (moment - process) * SECOND, *visible), cursor)
        if found is not None:
            heard |= {row.sid for row in found.ended}
            cursor = found.cursor
    assert heard == {str(number) for number in range(len(ends))}


def test_a_cursor_reads_back_as_it_was_written() -> None:
    _, cursor = told(known(NOW, Revoked("a", NOW)), None)
    assert read(str(cursor)) == cursor
    assert oldest(cursor) == NOW - OVERLAP
    assert oldest(None) == 0


@pytest.mark.parametrize(
    "text", ["", "0", "1-", "-1-0000000000000000", "1-000000000000000G", "\uff11-0000000000000000"]
)
def test_anything_else_is_no_cursor(text: str) -> None:
    assert read(text) is None
