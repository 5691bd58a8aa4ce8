"""The table of the refresh rotation rule, row by row with its edges, and what holds for every row of it.

`ROW` is a session in which everything is out at once: 5 was used last (the parent), 8 and 9 are its children, 6 and 7
were children of an earlier parent when 5 was used, 3 was the parent before, and 1 and 2 are long gone.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchword.core.rotation import (
    MINTS,
    NEVER,
    SUSPECT_CROSSINGS,
    SUSPECT_MEMORY,
    Decision,
    Kind,
    Lineage,
    branch,
    decide,
)

SECOND = 1_000_000
W = 20 * SECOND
NOW = 1_800_000_000 * SECOND
HOUR = 3_600 * SECOND

ROW = Lineage(
    parent=5, floor=7, newest=9, before=3, minted_at=NOW, rotated_at=NOW - 10 * W, context="home", crossed=1
)
PARENT, OLDER_CHILD, NEWEST = 5, 8, 9
SUSPECT = replace(ROW, crossings=SUSPECT_CROSSINGS, crossed=9)

YOUNG = [0, 1, W - 1, -1, -(W - 1)]
BETWEEN = [W, 2 * W - 1, -W, -(2 * W - 1)]
SETTLED = [2 * W, 2 * W + 1, HOUR, -2 * W, -HOUR]


def aged(age: int, row: Lineage = ROW, **fields: int | str) -> Lineage:
    """The row, its last mint so long ago."""
    return replace(row, minted_at=NOW - age, **fields)  # type: ignore[arg-type]


def judge(row: Lineage, presented: int, context: str = "home", window: int = W) -> Decision:
    return decide(row, presented, context=context, now=NOW, window=window)


def rotated(row: Lineage, presented: int, context: str = "home") -> Lineage:
    return replace(
        row,
        before=row.parent,
        parent=presented,
        floor=row.newest,
        newest=row.newest + 1,
        minted_at=NOW,
        rotated_at=NOW,
        context=context,
    )


def branched(row: Lineage) -> Lineage:
    return replace(row, newest=row.newest + 1, minted_at=NOW, crossed=row.crossed + 1)


# --- Unknown and Ended ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("presented", [0, -1, -(2**40)])
@pytest.mark.parametrize("live", [True, False])
def test_a_generation_that_was_never_minted_is_unknown_and_changes_nothing(
    presented: int, live: bool
) -> None:
    """Attacks 37 and 39: no kill, no write."""
    found = decide(ROW, presented, context="home", now=NOW, window=W, live=live)
    assert found.kind is Kind.UNKNOWN
    assert found.lineage is ROW


@pytest.mark.parametrize("presented", [1, 3, PARENT, 6, OLDER_CHILD, NEWEST, 10, 99])
def test_any_token_of_a_session_that_is_not_live_is_ended(presented: int) -> None:
    """R19, attacks 43 and 44: not even Reuse, so no event and no mail."""
    found = decide(ROW, presented, context="home", now=NOW, window=W, live=False)
    assert found.kind is Kind.ENDED
    assert found.lineage is ROW


@pytest.mark.parametrize(
    ("since", "kind"),
    [
        (0, Kind.SUPERSEDED),
        (W - 1, Kind.SUPERSEDED),
        (-HOUR, Kind.SUPERSEDED),
        (W, Kind.ENDED),
        (HOUR, Kind.ENDED),
    ],
)
def test_a_session_replaced_less_than_a_window_ago_is_superseded(since: int, kind: Kind) -> None:
    """Attack 32: the jar already holds the new session's token. F8: also when the clock went backwards."""
    found = decide(ROW, NEWEST, context="home", now=NOW, window=W, live=False, replaced_at=NOW - since)
    assert found.kind is kind
    assert found.lineage is ROW


def test_a_live_session_never_looks_at_when_it_was_replaced() -> None:
    found = decide(ROW, NEWEST, context="home", now=NOW, window=W, replaced_at=NOW)
    assert found.kind is Kind.REPEAT


# --- Ahead ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("presented", [10, 11, 4_000])
@pytest.mark.parametrize("age", [*YOUNG, *BETWEEN, *SETTLED])
def test_a_generation_ahead_of_the_database_is_gone_on_from(presented: int, age: int) -> None:
    """F7, attack 42: only we can have minted it, so the database has lost commits."""
    row = aged(age)
    after = replace(row, newest=presented + 1, minted_at=NOW)
    assert judge(row, presented) == Decision(Kind.AHEAD, after)


@pytest.mark.parametrize("presented", [10, 4_000])
def test_a_retry_after_ahead_gets_the_same_token(presented: int) -> None:
    """F7, attack 41."""
    after = judge(ROW, presented).lineage
    assert judge(after, presented) == Decision(Kind.REPEAT, after)


@pytest.mark.parametrize("presented", [PARENT, OLDER_CHILD, NEWEST, 10, 11, 12])
def test_after_ahead_whatever_was_minted_in_the_lost_span_is_a_child(presented: int) -> None:
    """F7: of what else is in flight or in the jar nothing is history until one is used."""
    after = judge(ROW, 12).lineage
    assert judge(after, presented) == Decision(Kind.REPEAT, after)
    later = decide(after, presented, context="home", now=NOW + 2 * W, window=W)
    assert later.kind is (Kind.BRANCH if presented == PARENT else Kind.ROTATE)


def test_a_token_minted_by_ahead_is_the_newest_child() -> None:
    """F7: the client goes on with it, and then the lost span is history."""
    after = judge(ROW, 12).lineage
    used = decide(after, 13, context="home", now=NOW + W, window=W)
    assert used == Decision(Kind.ROTATE, replace(rotated(after, 13), minted_at=NOW + W, rotated_at=NOW + W))
    for old in (OLDER_CHILD, NEWEST, 10, 12):
        assert decide(used.lineage, old, context="home", now=NOW + 2 * W, window=W).kind is Kind.REUSE


# --- Repeat ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("presented", [PARENT, OLDER_CHILD, NEWEST])
@pytest.mark.parametrize("age", YOUNG)
def test_parent_and_children_get_the_newest_token_again_while_it_is_young(presented: int, age: int) -> None:
    """W7, W16, attack 34: a second tab, a retry. Nothing is written."""
    row = aged(age)
    found = judge(row, presented)
    assert found.kind is Kind.REPEAT
    assert found.lineage is row


@pytest.mark.parametrize("presented", [PARENT, OLDER_CHILD, NEWEST])
@pytest.mark.parametrize("age", YOUNG)
def test_a_foreign_repeat_counts_a_crossing_and_changes_nothing_else(presented: int, age: int) -> None:
    row = aged(age)
    found = judge(row, presented, "elsewhere")
    assert found.kind is Kind.REPEAT
    assert found.lineage == replace(row, crossings=1, crossed=9)


# --- Rotate ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("age", [*BETWEEN, *SETTLED])
def test_the_newest_token_rotates_once_it_is_not_young(age: int) -> None:
    """R19, ASVS 10.4.5."""
    row = aged(age)
    assert judge(row, NEWEST) == Decision(Kind.ROTATE, rotated(row, NEWEST))


@pytest.mark.parametrize("age", SETTLED)
def test_an_older_child_takes_over_once_the_last_mint_is_settled(age: int) -> None:
    """Attack 41: the answer that carried the newest token was lost."""
    row = aged(age)
    assert judge(row, OLDER_CHILD) == Decision(Kind.ROTATE, rotated(row, OLDER_CHILD))


@pytest.mark.parametrize("presented", [OLDER_CHILD, NEWEST])
@pytest.mark.parametrize("age", [*YOUNG, *BETWEEN, *SETTLED])
def test_any_child_rotates_at_once_for_a_foreign_request_of_a_suspect_session(
    presented: int, age: int
) -> None:
    """W6: no Repeat for who may be a thief; one of the two will present a token that is history."""
    row = aged(age, SUSPECT)
    found = judge(row, presented, "elsewhere")
    assert found == Decision(Kind.ROTATE, rotated(row, presented, "elsewhere"))


def test_the_first_refresh_after_sign_in_rotates() -> None:
    """R19: nothing was minted or used before it, so it is neither young nor a Repeat."""
    new = Lineage(context="home")
    assert (new.minted_at, new.rotated_at) == (NEVER, NEVER)
    assert judge(new, 1) == Decision(
        Kind.ROTATE,
        Lineage(parent=1, floor=1, newest=2, before=0, minted_at=NOW, rotated_at=NOW, context="home"),
    )


# --- Branch ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("age", [*BETWEEN, *SETTLED])
def test_the_parent_gets_another_child_once_the_last_is_not_young(age: int) -> None:
    """W7, attacks 34 and 41: an answer was lost, and the client retries after any time."""
    row = aged(age)
    assert judge(row, PARENT) == Decision(Kind.BRANCH, branched(row))


@pytest.mark.parametrize("age", BETWEEN)
def test_an_older_child_gets_a_sibling_while_the_newest_may_still_be_landing(age: int) -> None:
    """Attack 35 turned round: taking over now would make a token history that is about to reach the jar."""
    row = aged(age)
    assert judge(row, OLDER_CHILD) == Decision(Kind.BRANCH, branched(row))


@pytest.mark.parametrize("age", [*YOUNG, *BETWEEN, *SETTLED])
def test_the_parent_gets_another_child_for_a_foreign_request_of_a_suspect_session(age: int) -> None:
    row = aged(age, SUSPECT)
    after = replace(row, newest=10, minted_at=NOW, context="elsewhere")
    assert judge(row, PARENT, "elsewhere") == Decision(Kind.BRANCH, after)


@pytest.mark.parametrize("age", [*YOUNG, *BETWEEN, *SETTLED])
def test_reauthentication_mints_another_child(age: int) -> None:
    row = aged(age)
    found = branch(row, context="home", now=NOW)
    assert found == Decision(Kind.BRANCH, branched(row))


# --- Superseded and Reuse -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("presented", [3, 4, 6, 7])
@pytest.mark.parametrize("since", [0, W - 1, -1, -HOUR])
@pytest.mark.parametrize("age", [0, W, HOUR])
def test_what_was_good_before_the_last_rotate_is_superseded_within_a_window_of_it(
    presented: int, since: int, age: int
) -> None:
    """Attacks 33 and 35: a call in flight was overtaken. F8: a clock that went backwards does no harm."""
    row = aged(age, rotated_at=NOW - since)
    found = judge(row, presented)
    assert found.kind is Kind.SUPERSEDED
    assert found.lineage is row


@pytest.mark.parametrize("presented", [3, 4, 6, 7])
@pytest.mark.parametrize("since", [W, W + 1, HOUR])
@pytest.mark.parametrize("age", [0, W, HOUR])
def test_what_was_good_before_the_last_rotate_is_reuse_from_a_window_on(
    presented: int, since: int, age: int
) -> None:
    """W6, R41, attacks 33 and 35, ASVS 10.4.5: however young the last mint is."""
    row = aged(age, rotated_at=NOW - since)
    found = judge(row, presented)
    assert found.kind is Kind.REUSE
    assert found.lineage is row


@pytest.mark.parametrize("presented", [1, 2])
@pytest.mark.parametrize("since", [0, W, HOUR, -HOUR])
def test_what_is_older_than_the_parent_before_is_reuse_at_once(presented: int, since: int) -> None:
    """W6, R41, attack 33: no honest call has been in flight for two rotations."""
    row = aged(0, rotated_at=NOW - since)
    found = judge(row, presented)
    assert found.kind is Kind.REUSE
    assert found.lineage is row


@pytest.mark.parametrize("presented", [1, 3, 6])
def test_a_foreign_request_with_a_token_that_is_history_counts_no_crossing(presented: int) -> None:
    assert judge(aged(0, rotated_at=NOW), presented, "elsewhere").lineage.crossings == 0


def test_a_thief_and_his_victim_cannot_both_go_on() -> None:
    """W6, attack 33, ASVS 10.4.5: with a copy of the jar, an hour apart from each other."""
    row = Lineage(context="home")
    stolen = decide(row, 1, context="elsewhere", now=NOW, window=W)
    victim = decide(stolen.lineage, 1, context="home", now=NOW + HOUR, window=W)
    assert (stolen.kind, victim.kind) == (Kind.ROTATE, Kind.BRANCH)
    thief = decide(victim.lineage, stolen.lineage.newest, context="elsewhere", now=NOW + 2 * HOUR, window=W)
    assert thief.kind is Kind.ROTATE
    caught = decide(thief.lineage, victim.lineage.newest, context="home", now=NOW + 3 * HOUR, window=W)
    assert caught.kind is Kind.REUSE


def test_a_thousand_calls_at_once_rotate_once() -> None:
    """Attack 36, W7: one Rotate, 999 times the same token."""
    row, kinds, tokens = aged(HOUR), [], set()
    for _ in range(1_000):
        found = judge(row, NEWEST)
        row = found.lineage
        kinds.append(found.kind)
        tokens.add(row.newest)
    assert kinds == [Kind.ROTATE, *[Kind.REPEAT] * 999]
    assert tokens == {10}


# --- no window ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("presented", "kind"),
    [
        (NEWEST, Kind.ROTATE),
        (PARENT, Kind.REUSE),
        (OLDER_CHILD, Kind.ROTATE),
        (7, Kind.REUSE),
        (3, Kind.REUSE),
        (1, Kind.REUSE),
        (10, Kind.AHEAD),
        (0, Kind.UNKNOWN),
    ],
)
@pytest.mark.parametrize("age", [0, 1, HOUR, -HOUR])
def test_without_a_window_a_token_is_good_for_one_use(presented: int, kind: Kind, age: int) -> None:
    """ASVS 10.4.5 as strict as can be: `rotation_window=0`. (A second child is out only after /reauthenticate.)"""
    assert judge(aged(age, rotated_at=NOW - age), presented, window=0).kind is kind


def test_without_a_window_the_same_token_twice_is_reuse() -> None:
    after = judge(aged(0), NEWEST, window=0).lineage
    assert judge(after, NEWEST, window=0).kind is Kind.REUSE


def test_without_a_window_a_token_that_ahead_went_on_from_is_good_once_more() -> None:
    """The price of Ahead's leaving children alone; whose token is then older, ends the session all the same."""
    after = judge(ROW, 12, window=0).lineage
    again = judge(after, 12, window=0)
    assert again.kind is Kind.ROTATE
    assert judge(again.lineage, 12, window=0).kind is Kind.REUSE
    assert judge(again.lineage, 13, window=0).kind is Kind.REUSE


def test_without_a_window_a_replaced_session_is_ended() -> None:
    found = decide(ROW, NEWEST, context="home", now=NOW, window=0, live=False, replaced_at=NOW)
    assert found.kind is Kind.ENDED


# --- crossings ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("crossings", "distance", "suspect"), [(3, 0, True), (2, 0, False), (9, 20, True), (3, 21, False)]
)
def test_a_session_is_suspect_after_three_crossings_for_twenty_rotations(
    crossings: int, distance: int, suspect: bool
) -> None:
    row = Lineage(newest=100, crossings=crossings, crossed=100 - distance)
    assert row.suspect is suspect


def test_a_session_that_was_never_crossed_is_not_suspect() -> None:
    assert not Lineage().suspect


def test_a_crossing_is_counted_once_a_generation() -> None:
    once = judge(aged(0), NEWEST, "elsewhere").lineage
    assert (once.crossings, once.crossed) == (1, 9)
    again = judge(once, NEWEST, "elsewhere")
    assert again.lineage is once


def test_crossings_are_forgotten_after_twenty_rotations() -> None:
    row = aged(0, crossings=2, newest=30, crossed=30 - SUSPECT_MEMORY)
    assert judge(row, 30, "elsewhere").lineage.crossings == 3
    row = replace(row, crossed=30 - SUSPECT_MEMORY - 1)
    assert judge(row, 30, "elsewhere").lineage.crossings == 1


@pytest.mark.parametrize(("crossed", "after"), [(0, 1), (1, 2), (7, 8), (8, 9), (9, 9)])
def test_a_branch_moves_the_last_crossing_along(crossed: int, after: int) -> None:
    """A thief who branches often does not make the rule forget him; the new generation was not crossed yet."""
    row = aged(W, crossings=2, crossed=crossed)
    found = judge(row, PARENT)
    assert (found.kind, found.lineage.crossings, found.lineage.crossed) == (Kind.BRANCH, 2, after)
    assert branch(row, context="elsewhere", now=NOW).lineage.crossed == after
    assert found.lineage.crossed < found.lineage.newest


def test_a_session_stays_suspect_however_often_it_branches() -> None:
    row = replace(SUSPECT, crossed=9)
    for _ in range(1_000):
        row = branch(row, context="home", now=NOW).lineage
        assert row.suspect


@pytest.mark.parametrize("presented", [PARENT, OLDER_CHILD, NEWEST, 10])
@pytest.mark.parametrize("age", [*YOUNG, *BETWEEN, *SETTLED])
@pytest.mark.parametrize("context", ["home", "elsewhere"])
def test_a_crossing_is_a_foreign_request_while_the_last_mint_is_not_settled(
    presented: int, age: int, context: str
) -> None:
    """From two windows on, a change of network is a laptop that was carried home."""
    found = judge(aged(age), presented, context)
    expected = context == "elsewhere" and abs(age) < 2 * W
    assert found.lineage.crossings == int(expected)
    assert found.lineage.crossed == (9 if expected else 2 if found.kind is Kind.BRANCH else 1)


# --- for every row --------------------------------------------------------------------------------------------------

EDGES = [edge + d for edge in (0, W, 2 * W, -W, -2 * W) for d in (-1, 0, 1)]
ages = st.sampled_from(EDGES) | st.integers(-HOUR, HOUR)
windows = st.sampled_from([W, 0])
contexts = st.sampled_from(["home", "elsewhere"])


@st.composite
def lineages(draw: st.DrawFn) -> Lineage:
    """Any row that can be: before ≤ parent ≤ floor < newest."""
    before, parent, floor = sorted(draw(st.lists(st.integers(0, 40), min_size=3, max_size=3)))
    newest = floor + draw(st.integers(1, 30))
    return Lineage(
        parent=parent,
        floor=floor,
        newest=newest,
        before=before,
        minted_at=NOW - draw(ages),
        rotated_at=NOW - draw(ages),
        context=draw(contexts),
        crossings=draw(st.integers(0, 5)),
        crossed=draw(st.integers(0, newest)),
    )


presentations = st.integers(1, 80)


@given(lineages(), st.integers(-2, 80), contexts, windows, st.booleans())
def test_a_verdict_changes_only_what_its_kind_allows(
    row: Lineage, presented: int, context: str, window: int, live: bool
) -> None:
    """A Rotate moves on, Ahead and Branch mint, a Repeat counts at most a crossing, others change nothing."""
    found = decide(row, presented, context=context, now=NOW, window=window, live=live)
    after = found.lineage
    if found.kind in MINTS:
        assert after.newest == max(row.newest, presented) + 1
        assert (after.minted_at, after.context) == (NOW, context)
        if found.kind is not Kind.ROTATE:
            beside = replace(row, newest=after.newest, minted_at=NOW, context=context)
            assert replace(after, crossings=row.crossings, crossed=row.crossed) == beside
    elif found.kind is Kind.REPEAT:
        assert replace(after, crossings=row.crossings, crossed=row.crossed) == row
    else:
        assert after is row


@given(lineages(), presentations, contexts, windows)
def test_a_row_stays_in_order(row: Lineage, presented: int, context: str, window: int) -> None:
    found = decide(row, presented, context=context, now=NOW, window=window)
    after = found.lineage
    assert after.before <= after.parent <= after.floor < after.newest
    moved_along = min(row.crossed + 1, row.newest) if found.kind is Kind.BRANCH else row.crossed
    assert after.crossed in {moved_along, row.newest}


@given(lineages(), presentations, contexts)
def test_parent_and_children_never_end_a_session(row: Lineage, presented: int, context: str) -> None:
    """Attacks 34 and 41."""
    kind = judge(row, presented, context).kind
    if presented == row.parent or presented > row.floor:
        assert kind in MINTS | {Kind.REPEAT}
    else:
        assert kind in {Kind.SUPERSEDED, Kind.REUSE}


@given(lineages(), presentations, contexts)
def test_a_token_just_minted_is_good_at_once_and_later(row: Lineage, presented: int, context: str) -> None:
    """Attacks 36 and 41: repeated by its own network within the window, rotated after it."""
    found = judge(row, presented, context)
    if found.kind in MINTS:
        token = found.lineage.newest
        assert judge(found.lineage, token, context) == Decision(Kind.REPEAT, found.lineage)
        later = decide(found.lineage, token, context=context, now=NOW + W, window=W)
        assert later.kind is Kind.ROTATE


@given(lineages(), presentations, presentations, contexts, windows)
def test_a_token_that_is_history_stays_history(
    row: Lineage, old: int, presented: int, context: str, window: int
) -> None:
    """W6, attack 33: F8, no resurrected token."""
    after = decide(row, presented, context=context, now=NOW, window=window).lineage
    if old <= row.floor and old != row.parent:
        assert old <= after.floor
        assert old != after.parent


@given(lineages(), presentations, st.integers(0, 5), st.integers(0, 41), windows)
def test_crossings_mean_nothing_to_the_network_that_the_newest_token_was_minted_for(
    row: Lineage, presented: int, crossings: int, crossed: int, window: int
) -> None:
    other = replace(row, crossings=crossings, crossed=min(crossed, row.newest))
    one, two = judge(row, presented, row.context, window), judge(other, presented, row.context, window)
    assert one.kind is two.kind
    assert replace(one.lineage, crossings=0, crossed=0) == replace(two.lineage, crossings=0, crossed=0)


# What lets the model of rotation_rows.py renumber generations and keep ages instead of instants.


@given(lineages(), presentations, contexts, windows, st.integers(-(2**40), 2**40))
def test_only_differences_of_instants_count(
    row: Lineage, presented: int, context: str, window: int, shift: int
) -> None:
    def shifted(of: Lineage) -> Lineage:
        return replace(of, minted_at=of.minted_at + shift, rotated_at=of.rotated_at + shift)

    here = decide(row, presented, context=context, now=NOW, window=window)
    there = decide(shifted(row), presented, context=context, now=NOW + shift, window=window)
    assert there == Decision(here.kind, shifted(here.lineage))


@given(lineages(), presentations, contexts, windows, st.integers(0, 2**40))
def test_only_differences_of_generations_count(
    row: Lineage, presented: int, context: str, window: int, shift: int
) -> None:
    def shifted(of: Lineage) -> Lineage:
        return replace(
            of,
            parent=of.parent + shift,
            floor=of.floor + shift,
            newest=of.newest + shift,
            before=of.before + shift,
            crossed=of.crossed + shift,
        )

    here = decide(row, presented, context=context, now=NOW, window=window)
    there = decide(shifted(row), presented + shift, context=context, now=NOW, window=window)
    assert there == Decision(here.kind, shifted(here.lineage))


@given(lineages(), presentations, contexts, st.integers(0, HOUR))
def test_beyond_two_windows_an_age_makes_no_difference(
    row: Lineage, presented: int, context: str, more: int
) -> None:
    """Nor does one beyond a window, for the last Rotate."""
    minted_at, rotated_at = row.minted_at, row.rotated_at
    if NOW - minted_at >= 2 * W:
        minted_at -= more
    if NOW - rotated_at >= W:
        rotated_at -= more
    here = judge(row, presented, context)
    there = judge(replace(row, minted_at=minted_at, rotated_at=rotated_at), presented, context)
    assert here.kind is there.kind
    assert replace(here.lineage, minted_at=0, rotated_at=0) == replace(
        there.lineage, minted_at=0, rotated_at=0
    )


@given(lineages(), presentations, contexts, windows)
def test_a_generation_that_nobody_holds_may_be_left_out(
    row: Lineage, presented: int, context: str, window: int
) -> None:
    """Only the order of the others counts (crossings apart, which count generations, and Ahead, which adds one)."""
    if presented > row.newest:
        return
    row = replace(row, crossings=0, crossed=0)
    named = sorted({row.before, row.parent, row.floor, row.newest, presented, 0})
    number = {generation: place for place, generation in enumerate(named)}

    def closed_up(of: Lineage) -> Lineage:
        numbers = {**number, row.newest + 1: number[row.newest] + 1}
        return replace(
            of,
            parent=numbers[of.parent],
            floor=numbers[of.floor],
            newest=numbers[of.newest],
            before=numbers[of.before],
            crossings=0,
            crossed=0,
        )

    here = decide(row, presented, context=context, now=NOW, window=window)
    there = decide(closed_up(row), number[presented], context=context, now=NOW, window=window)
    assert there.kind is here.kind
    assert replace(there.lineage, crossings=0, crossed=0) == closed_up(here.lineage)
