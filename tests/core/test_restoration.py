"""What the events of a lost span say in the end, and how they are read."""

import json
from itertools import count, permutations

import pytest

from watchword import events
from watchword.core.record import MAX_DETAIL, Recorded, json_line, read_instant, read_line
from watchword.core.restoration import Lost, lost
from watchword.core.session import End
from watchword.events import Event

AT = 1_769_860_800_000_042
_ids = count()


def told(
    name: str, user: str | None = "ada", sid: str | None = None, detail: str | None = None, at: int = AT
) -> Recorded:
    return Recorded(f"{next(_ids):08}", Event(name, at, user, sid, detail=detail))


def test_a_line_is_read_as_it_was_written() -> None:
    row = Recorded("an id", Event(events.SIGNED_IN, AT, "u", "s", "192.0.2.7", "pwd “ü”", "cli"))
    assert read_line(json_line(row)) == row
    bare = Recorded("an id", Event(events.SIGNED_IN, AT))
    assert read_line(json_line(bare)) == bare


def changed(**values: object) -> str:
    return json.dumps(json.loads(json_line(told(events.SIGNED_IN))) | values)


@pytest.mark.parametrize(
    "line",
    [
        *("", "\n", "x", "[]", "1", "null", '{"id": "1"}', "[" * 100_000, "\x00" * 40),
        json_line(told(events.SESSION_ENDED))[:-9],
        changed(id=1),
        changed(id=""),
        changed(id="a\nb"),
        changed(name=None),
        changed(name="x" * 101),
        changed(at=5),
        changed(at="yesterday"),
        changed(at="2026-01-31T12:00:00"),
        changed(sid=["s"]),
        changed(detail=True),
    ],
)
def test_what_is_no_event_says_so(line: str) -> None:
    """F7: a line that was torn by a power cut is not taken for none."""
    with pytest.raises(ValueError, match=r"^it "):
        read_line(line)


def test_texts_of_a_file_steer_nothing() -> None:
    """Attack 95: a file may come from anywhere."""
    row = read_line(changed(detail="a\x00\u202eb" + "x" * 1000))
    assert row.event.detail is not None
    assert row.event.detail.isprintable()
    assert len(row.event.detail) == MAX_DETAIL


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("2026-01-31T12:00:00.000042Z", AT),
        ("2026-01-31T13:00:00.000042+01:00", AT),
        ("1970-01-01T00:00:00Z", 0),
    ],
)
def test_an_instant_is_read_to_the_microsecond(text: str, micros: int) -> None:
    assert read_instant(text) == micros


def test_ends_of_sessions_keep_their_reason() -> None:
    """F7."""
    found = lost(
        [
            told(events.SESSION_ENDED, sid="1", detail="logout"),
            told(events.SESSION_ENDED, sid="2", detail="of a later version"),
            told(events.SESSION_ENDED, sid="3"),
            told(events.REFRESH_REUSED, sid="4"),
            told(events.SIGNED_IN, sid="5"),
            told(events.ACCESS_DENIED, sid="6"),
        ]
    )
    assert found.ended == {"1": End.LOGOUT, "2": End.REVOKED, "3": End.REVOKED, "4": End.REUSE}


def test_the_last_word_about_a_user_counts_in_whatever_order_it_is_read() -> None:
    """F7: processes write into one file, and a file may be rotated."""
    rows = [
        told(events.STATUS_CHANGED, detail="disabled", at=AT),
        told(events.STATUS_CHANGED, detail="active", at=AT + 1),
        told(events.STATUS_CHANGED, detail="disabled", at=AT + 2),
        told(events.ROLES_CHANGED, detail="owner", at=AT + 3),
        told(events.ROLES_CHANGED, detail=None, at=AT + 4),
    ]
    for order in permutations(rows):
        found = lost(order)
        assert found.disabled == {"ada"}
        assert found.roles == {"ada": rows[-1]}
        assert found.by_hand == []


def test_the_last_change_of_a_password_tells_which_session_made_it() -> None:
    """F7: whoever changed it signed in with the new one, and goes on."""
    rows = [
        told(events.PASSWORD_CHANGED, sid="1", detail="change"),
        told(events.PASSWORD_CHANGED, user="eve", sid="2", detail="change"),
        told(events.PASSWORD_CHANGED, user="eve", detail="reset", at=AT + 1),
    ]
    assert lost(rows).passwords == {"ada": "1", "eve": None}


def test_of_a_deleted_user_nothing_else_matters() -> None:
    rows = [
        told(events.STATUS_CHANGED, detail="disabled"),
        told(events.PASSWORD_CHANGED),
        told(events.ROLES_CHANGED, detail="owner"),
        told(events.ADDRESS_CHANGED),
        told(events.USER_DELETED),
    ]
    found = lost(rows)
    assert found == Lost(deleted={"ada"}, rows=rows)


def test_what_gave_something_is_left_to_somebody() -> None:
    """F7: a new address, a second step, a way back in, roles of which the event holds a part."""
    rows = [
        told(events.ADDRESS_CHANGED),
        told(events.FACTOR_ADDED, user="bob", detail="email"),
        told(events.STATUS_CHANGED, user="cy", detail="active"),
        told(events.ROLES_CHANGED, user="dan", detail="x" * MAX_DETAIL),
        told(events.FACTOR_REMOVED, user="eve", detail="email"),
    ]
    found = lost(rows)
    assert found == Lost(by_hand=found.by_hand, rows=rows)
    assert {row.event.user_id for row in found.by_hand} == {"ada", "bob", "cy", "dan"}


def test_what_the_table_heard_later_outranks_what_was_lost() -> None:
    """F7: a killed process left the older events in the file alone."""
    names = {events.STATUS_CHANGED: "disabled", events.PASSWORD_CHANGED: None, events.ROLES_CHANGED: None}
    rows = [told(name, detail=detail) for name, detail in names.items()]
    assert lost(rows, {("ada", name): AT + 1 for name in names}) == Lost(rows=rows)
    older = lost(rows, {("ada", name): AT - 1 for name in names} | {("eve", name): AT + 1 for name in names})
    assert (older.disabled, older.passwords, older.roles) == ({"ada"}, {"ada": None}, {"ada": rows[2]})
