"""How an event is kept: under an id, in text that steers nothing, as a line of JSON; and for how long. Pure.

Sources: ASVS 5.0 14.2.7, 16.2.1, 16.2.2, 16.4.1; SECURITY-TARGET attack 95.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta

from watchword import events
from watchword.events import Event
from watchword.rates import Rate
from watchword.spans import DAY, SECOND

KEPT = 90 * DAY
"""How long an event stays in the table, in µs: as long as an intrusion usually goes unseen, and no longer, as an
address is personal."""
REFUSALS = frozenset(
    {
        events.RATE_LIMITED,
        events.ACCESS_DENIED,
        events.CODE_REFUSED,
        events.RESET_REFUSED,
        events.VERIFY_REFUSED,
        events.CONTROL_FAILED,
    }
)
"""What a stranger can bring about as fast as requests are answered: any other costs a hash, a limit or a right. Of
`control_failed` those alone that are told of each request, which have a name behind what failed."""
NAMES = frozenset(value for name, value in vars(events).items() if name.isupper())
"""Of all events of ours."""
REFUSAL_RATE = Rate(1_000, 200 * SECOND)
"""So many of each the table takes from a process: a flood must not fill the database's disk (SECURITY-TARGET F14)."""
MAX_DETAIL = 300
_KEYS = frozenset({"id", "name", "at", "user_id", "sid", "ip", "detail", "by"})
MAX_WORD = 100
"""Of every other text of an event, in characters."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """An event and the id under which it is kept; ids of one process sort in the order of its events. `written_at` is
    when the table got it, in µs by the database's clock; 0 before that."""

    id: str
    event: Event
    written_at: int = 0


def budget_of(event: Event) -> str | None:
    """The name of the budget that an event counts in, one for each kind, so that none hides behind the noise of
    another; None for what the table always takes."""
    once = event.name == events.CONTROL_FAILED and " " not in (event.detail or "")
    return event.name if event.name in REFUSALS and not once else None


def tidied(event: Event) -> Event:
    """The same in text that every sink can take: printable, and no longer than it may be."""
    words = (event.name, event.user_id, event.sid, event.ip, event.by)
    detail = event.detail
    if event.ip != "" and _fit(detail, MAX_DETAIL) and all(_fit(word, MAX_WORD) for word in words):
        return event
    return replace(
        event,
        name=_printable(event.name, MAX_WORD) or "",
        user_id=_printable(event.user_id, MAX_WORD),
        sid=_printable(event.sid, MAX_WORD),
        ip=_printable(event.ip, MAX_WORD) or None,
        detail=_printable(event.detail, MAX_DETAIL),
        by=_printable(event.by, MAX_WORD),
    )


def json_line(recorded: Recorded) -> str:
    """One object in ASCII, without the line's end: what is no plain letter comes out as an escape."""
    return json.dumps({"id": recorded.id, **asdict(recorded.event), "at": exact_instant(recorded.event.at)})


def read_line(text: str) -> Recorded:
    """What `json_line` wrote. Raises ValueError, which says what is wrong, for anything else."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("it is no JSON") from None
    if not isinstance(found, dict) or not _KEYS <= found.keys():
        raise ValueError("it is no event")
    words = {name: found[name] for name in _KEYS - {"id", "name", "at"}}
    if not all(word is None or isinstance(word, str) for word in words.values()):
        raise ValueError("it has a value that is no text")
    for name in ("id", "name"):
        word = found[name]
        if not (isinstance(word, str) and word.isprintable() and 0 < len(word) <= MAX_WORD):
            raise ValueError("it has no id or no name")
    return Recorded(found["id"], tidied(Event(name=found["name"], at=read_instant(found["at"]), **words)))


def read_instant(text: object) -> int:
    """RFC 3339 with its offset, in µs since 1970. Raises ValueError."""
    try:
        at = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise ValueError("it has no instant such as 2026-01-31T12:00:00Z")
    return (at - datetime.fromtimestamp(0, UTC)) // timedelta(microseconds=1)


def exact_instant(micros: int) -> str:
    """RFC 3339 in UTC, to the microsecond."""
    seconds, rest = divmod(micros, 1_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:06}Z"


def _fit(text: str | None, most: int) -> bool:
    return text is None or (text.isprintable() and len(text) <= most)


def _printable(text: str | None, most: int) -> str | None:
    """Control and direction characters, and halves of pairs, which no database takes, become replacement characters."""
    if text is None or _fit(text, most):
        return text
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[:most])
