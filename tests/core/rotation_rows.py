"""Rows and their judging: what the searches of rotation_honest.py and rotation_theft.py keep of a session.

Both search over one rule, the real `decide` or another one (`Rule`; the others stand in rotation_rules.py).

**Ticks.** Time is counted in ticks, `window` of them to a rotation window; any number of events share a tick, in every
order. The rule never looks at a clock, only at differences, so the model stores ages: the row's instants as so many
ticks ago, and its generations renumbered so that only their order is left. What makes that exact (and is shown of the
real rule by test_rotation.py): a verdict does not change when all instants or all generations are shifted, an age
beyond two windows is as good as two windows, and a generation that nobody holds only matters by its place in the order.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple, NotRequired, Protocol, TypedDict, Unpack

from watchword.core.rotation import SUSPECT_CROSSINGS, SUSPECT_MEMORY, Decision, Kind, Lineage, branch


class Request(TypedDict):
    """What `decide` is told about the request and the session's state."""

    context: str
    now: int
    window: int
    live: NotRequired[bool]
    replaced_at: NotRequired[int | None]


class Rule(Protocol):
    """The signature of `decide`."""

    def __call__(self, lineage: Lineage, presented: int, **request: Unpack[Request]) -> Decision: ...

    def __hash__(self) -> int: ...


class Row(NamedTuple):
    """A `Lineage` with ages for instants and the distance to the last crossing for its generation."""

    parent: int
    floor: int
    newest: int
    before: int
    minted: int
    rotated: int
    context: str = "home"
    crossings: int = 0
    uncrossed: int = SUSPECT_MEMORY + 1


SIGNED_OUT = frozenset({Kind.REUSE, Kind.ENDED, Kind.UNKNOWN})
FORGOTTEN = SUSPECT_MEMORY + 1


def new_row(window: int) -> Row:
    """A session just after sign-in: generation 1 is out, nothing was minted or rotated within memory."""
    return Row(parent=0, floor=0, newest=1, before=0, minted=2 * window, rotated=window)


def _lineage(row: Row) -> Lineage:
    """The row at the instant 0."""
    return Lineage(
        parent=row.parent,
        floor=row.floor,
        newest=row.newest,
        before=row.before,
        minted_at=-row.minted,
        rotated_at=-row.rotated,
        context=row.context,
        crossings=row.crossings,
        crossed=row.newest - row.uncrossed,
    )


def _row(lineage: Lineage) -> Row:
    crossings, uncrossed = min(lineage.crossings, SUSPECT_CROSSINGS), lineage.newest - lineage.crossed
    if crossings == 0 or uncrossed >= FORGOTTEN:  # forgotten is as good as never
        crossings, uncrossed = 0, FORGOTTEN
    return Row(
        parent=lineage.parent,
        floor=lineage.floor,
        newest=lineage.newest,
        before=lineage.before,
        minted=-lineage.minted_at,
        rotated=-lineage.rotated_at,
        context=lineage.context,
        crossings=crossings,
        uncrossed=uncrossed,
    )


@lru_cache(maxsize=1 << 17)
def judge(
    rule: Rule, row: Row, presented: int, context: str, window: int, replaced: int | None = None
) -> tuple[Kind, Row]:
    """The verdict and the row after it; `replaced` ticks ago a newer sign-in ended the session."""
    lineage = _lineage(row)
    live, replaced_at = replaced is None, None if replaced is None else -replaced
    found = rule(
        lineage, presented, context=context, now=0, window=window, live=live, replaced_at=replaced_at
    )
    return found.kind, row if found.lineage is lineage else _row(found.lineage)


@lru_cache(maxsize=1 << 14)
def proved(row: Row, context: str) -> Row:
    """The row after /reauthenticate."""
    return _row(branch(_lineage(row), context=context, now=0).lineage)


@lru_cache(maxsize=1 << 14)
def older(row: Row, window: int) -> Row:
    """The row a tick later. Beyond two windows (one, for the last Rotate) the rule cannot tell ages apart."""
    minted, rotated = min(row.minted + 1, 2 * window), min(row.rotated + 1, window)
    return Row(*row[:4], minted, rotated, *row[6:])


def renumbered(row: Row, order: Sequence[int], number: Mapping[int, int]) -> Row:
    """The row with the generations of `order` renumbered.

    `before` and `floor` are only ever compared with tokens that somebody holds, so each moves up or down to the next
    of those, or of what the row names.
    """
    before = order[bisect_left(order, row.before)]
    floor = order[bisect_right(order, row.floor) - 1]
    return Row(number[row.parent], number[floor], number[row.newest], number[before], *row[4:])
