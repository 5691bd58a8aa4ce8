"""Following the table of events: everything once, in whatever order it is committed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.flows.stepping import EMAIL, Lab, code_of, step
from tests.storage.samples import new_recorded
from watchword.core.record import Recorded
from watchword.flows import activity
from watchword.flows.activity import OVERLAP, Tail, whose

ADA, EVE = "0199aaaa-0000-7000-8000-00000000000a", "0199aaaa-0000-7000-8000-00000000000e"


def append(lab: Lab, *events: Recorded, after: float = 0) -> None:
    """Rows that become visible now, though they were written `after` seconds from now: earlier, if negative."""
    step(lab.store.append_events(events))
    for event in events:
        row = lab.store._events[event.id]
        lab.store._events[event.id] = replace(row, written_at=row.written_at + round(after * 1_000_000))


def ids(rows: list[Recorded]) -> list[str]:
    return [row.id for row in rows]


def begun(lab: Lab, user_id: str | None = None, limit: int = 100) -> tuple[Tail, list[str]]:
    tail = Tail(lab.world, user_id)
    return tail, ids(step(tail.last(limit)))


def test_the_newest_come_first_of_all_and_the_newest_of_them_last(lab: Lab) -> None:
    _, [created] = begun(lab)
    events = [new_recorded(ADA) for _ in range(5)]
    del lab.store._events[created]  # of the lab's own user, by another clock
    append(lab, *events)
    _, shown = begun(lab, limit=3)
    assert shown == ids(events[2:])


def test_what_comes_is_told_once(lab: Lab) -> None:
    append(lab, new_recorded(ADA))
    tail, _ = begun(lab)
    assert step(tail.more()) == []
    for _ in range(3):
        lab.travel(1)
        event = new_recorded(EVE)
        append(lab, event)
        assert ids(step(tail.more())) == [event.id]
        assert step(tail.more()) == []


def test_what_was_not_shown_at_the_beginning_is_not_told_as_new(lab: Lab) -> None:
    append(lab, *(new_recorded(ADA) for _ in range(5)))
    tail, shown = begun(lab, limit=2)
    assert len(shown) == 2
    assert step(tail.more()) == []


def test_a_row_with_an_older_id_is_told_when_it_comes(lab: Lab) -> None:
    """F3, F19: it waited in a process whose database was away for an hour."""
    late = new_recorded(ADA)
    tail, _ = begun(lab)
    lab.travel(3600)
    early = new_recorded(ADA)
    append(lab, early)
    assert ids(step(tail.more())) == [early.id]
    append(lab, late)
    assert ids(step(tail.more())) == [late.id]


def test_a_transaction_that_ends_late_is_not_missed(lab: Lab) -> None:
    """F19: it took its instant ten seconds before it became visible."""
    tail, _ = begun(lab)
    for seconds in (1, 5, 10):
        lab.travel(20)
        append(lab, event := new_recorded(ADA), after=-seconds)
        assert ids(step(tail.more())) == [event.id]
        assert step(tail.more()) == []
    assert OVERLAP > 10_000_000


def test_a_clock_that_was_set_back_hides_nothing(lab: Lab) -> None:
    """F8."""
    append(lab, new_recorded(ADA))
    tail, _ = begun(lab)
    lab.travel(-3600)
    for _ in range(3):
        append(lab, event := new_recorded(ADA))
        assert ids(step(tail.more())) == [event.id]
        lab.travel(1)


def test_many_at_once_are_all_told(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activity, "PAGE", 10)
    tail, _ = begun(lab)
    events = []
    for number in range(47):
        events.append(new_recorded(ADA))
        append(lab, events[-1], after=number / 1_000_000)
    assert ids(step(tail.more())) == ids(events)


@pytest.mark.parametrize("apart", [1, 0], ids=["one after the other", "at one instant"])
def test_behind_pages_that_were_told_news_are_found(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, apart: int
) -> None:
    """F15: a flood puts more into the overlap of two looks than a page holds."""
    monkeypatch.setattr(activity, "PAGE", 10)
    tail, _ = begun(lab)
    for burst in range(3):
        events = [new_recorded(ADA) for _ in range(35)]
        for number, event in enumerate(events):
            append(lab, event, after=apart * (100 * burst + number) / 1_000_000)
        assert ids(step(tail.more())) == ids(events)
        assert step(tail.more()) == []


def test_what_is_remembered_does_not_grow(lab: Lab) -> None:
    """F15."""
    tail, _ = begun(lab)
    for _ in range(100):
        lab.travel(1)
        append(lab, new_recorded(ADA))
        step(tail.more())
    assert len(tail._seen) <= OVERLAP / 1_000_000 + 2


def test_of_a_user_nothing_else_is_told(lab: Lab) -> None:
    tail, shown = begun(lab, ADA)
    assert shown == []
    append(lab, hers := new_recorded(ADA), new_recorded(EVE), new_recorded(None))
    assert ids(step(tail.more())) == [hers.id]


def test_somebody_is_found_by_login_or_by_the_id_that_they_had(lab: Lab) -> None:
    user = lab.stored()
    assert step(whose(lab.world, EMAIL)) == step(whose(lab.world, user.id)) == user.id
    assert step(whose(lab.world, ADA.upper())) == ADA
    for nobody in ("eve@example.com", "eve", "", "1"):
        assert code_of(lambda nobody=nobody: step(whose(lab.world, nobody))) == "not_found"  # type: ignore[misc]
