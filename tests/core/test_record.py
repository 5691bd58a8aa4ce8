"""How an event is kept: what its line looks like, and what its texts cannot do."""

import json

import pytest

from watchword.core.record import MAX_DETAIL, MAX_WORD, Recorded, exact_instant, json_line, tidied
from watchword.core.uuid7 import following, uuid7
from watchword.events import SIGNED_IN, Event

AT = 1_769_860_800_000_042
HOSTILE = [
    "\n{}",
    "\r\n",
    "\x1b[2J\x1b[31m",
    "\u202egnp.exe",
    "\u2066\u200f",
    "\u2028\u2029\x85",
    "\x00",
    "\ud800",
    '"}\\',
]


def test_a_line_has_every_field_and_the_exact_instant() -> None:
    """ASVS 16.2.1, 16.2.2, 16.2.4."""
    full = Recorded("an id", Event(SIGNED_IN, AT, "u", "s", "192.0.2.7", "pwd", "cli"), written_at=5)
    assert json_line(full) == (
        '{"id": "an id", "name": "signed_in", "at": "2026-01-31T12:00:00.000042Z", "user_id": "u", "sid": "s", '
        '"ip": "192.0.2.7", "detail": "pwd", "by": "cli"}'
    )
    bare = json.loads(json_line(Recorded("an id", Event(SIGNED_IN, AT))))
    assert [bare[name] for name in ("user_id", "sid", "ip", "detail", "by")] == [None] * 5


@pytest.mark.parametrize(
    ("micros", "text"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (AT + 999_957, "2026-01-31T12:00:00.999999Z"),
        (-1, "1969-12-31T23:59:59.999999Z"),
    ],
)
def test_an_instant_is_told_to_the_microsecond(micros: int, text: str) -> None:
    assert exact_instant(micros) == text


@pytest.mark.parametrize("field", ["name", "user_id", "sid", "ip", "detail", "by"])
@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_steers_a_terminal_or_forges_a_line(text: str, field: str) -> None:
    """Attack 95, ASVS 16.4.1, 1.1.2, 1.3.3."""
    event = tidied(Event(**({"name": SIGNED_IN, "at": AT} | {field: text})))  # type: ignore[arg-type]
    assert getattr(event, field).isprintable()
    line = json_line(Recorded("an id", event))
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line)["at"] == exact_instant(AT)


def test_even_what_was_not_tidied_comes_out_as_one_line_of_ascii() -> None:
    """Attack 95."""
    for text in HOSTILE:
        line = json_line(Recorded("an id", Event(SIGNED_IN, AT, detail=text)))
        assert line.isascii()
        assert line.isprintable()
        assert json.loads(line)["detail"] == text


def test_texts_end_somewhere_and_readable_ones_stay() -> None:
    long = tidied(Event("n" * 500, AT, "u" * 500, "s" * 500, "i" * 500, "d" * 500, "b" * 500))
    lengths = [len(text or "") for text in (long.name, long.user_id, long.sid, long.ip, long.detail, long.by)]
    assert lengths == [MAX_WORD] * 4 + [MAX_DETAIL, MAX_WORD]
    event = Event(SIGNED_IN, AT, "u", "s", "2001:db8::1", "Zoë’s 🦊 = 100 %", "app")
    assert tidied(event) == event
    assert tidied(Event(SIGNED_IN, AT, ip="")).ip is None


def test_an_id_that_follows_sorts_behind_by_however_little() -> None:
    """RFC 9562 §6.2."""
    first = uuid7(AT, b"\x00" * 9 + b"\xff")
    assert first < following(first, bytes(4)) < following(first, b"\xff" * 4)
    assert following(first, bytes(4))[:13] == first[:13]
