"""The other rules: what ours is measured against, and our own with one thing changed.

Each takes what `decide` takes. What the searches find in them stands in test_rotation_exhaustive.py.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Unpack

from tests.core.rotation_rows import Request
from watchword.core.rotation import Decision, Kind, Lineage, branch, decide


def one_time(lineage: Lineage, presented: int, **request: Unpack[Request]) -> Decision:
    """One-time tokens: the newest rotates, anything else is reuse."""
    if presented == lineage.newest:
        return _rotate(lineage, presented, request["now"])
    return Decision(Kind.REUSE, lineage)


def grace(lineage: Lineage, presented: int, **request: Unpack[Request]) -> Decision:
    """One-time tokens with a grace window: so long after its rotation the previous token still gets a new one."""
    if presented == lineage.newest:
        return _rotate(lineage, presented, request["now"])
    if presented == lineage.parent and request["now"] - lineage.rotated_at < request["window"]:
        return branch(lineage, context=request["context"], now=request["now"])
    return Decision(Kind.REUSE, lineage)


def promotion_on_use(lineage: Lineage, presented: int, **request: Unpack[Request]) -> Decision:
    """The first child that is used replaces its parent, which is good for more children until then."""
    if lineage.floor < presented <= lineage.newest:
        return _rotate(lineage, presented, request["now"])
    if presented == lineage.parent:
        return branch(lineage, context=request["context"], now=request["now"])
    return Decision(Kind.REUSE, lineage)


def hasty(lineage: Lineage, presented: int, **request: Unpack[Request]) -> Decision:
    """Our own rule, but an older child takes over as soon as the last mint is not young: it need not be settled."""
    now, window = request["now"], request["window"]
    older_child = lineage.floor < presented < lineage.newest
    if older_child and abs(now - lineage.minted_at) >= window:
        lineage = replace(lineage, minted_at=now - 2 * window)
    return decide(lineage, presented, **request)


def superseded_by_mint(lineage: Lineage, presented: int, **request: Unpack[Request]) -> Decision:
    """Our own rule, but 409 depends on the last mint instead of the last Rotate."""
    found = decide(lineage, presented, **request)
    if found.kind not in {Kind.SUPERSEDED, Kind.REUSE}:
        return found
    young = abs(request["now"] - lineage.minted_at) < request["window"]
    return Decision(Kind.SUPERSEDED if young and presented >= lineage.before else Kind.REUSE, lineage)


# The first versions of two rows of the table: why they were amended, docs/decisions/0008-ahead-and-crossings.md says.


def ahead_makes_history(lineage: Lineage, presented: int, **request: Unpack[Request]) -> Decision:
    """Our own rule, but Ahead makes history of every token but the one presented, as if that had just rotated."""
    found = decide(lineage, presented, **request)
    if found.kind is not Kind.AHEAD:
        return found
    now = request["now"]
    after = replace(found.lineage, before=presented, parent=presented, floor=presented, rotated_at=now)
    return Decision(Kind.AHEAD, after)


def branches_forget(lineage: Lineage, presented: int, **request: Unpack[Request]) -> Decision:
    """Our own rule, but crossings are forgotten after so many mints, Branches among them, not Rotates."""
    found = decide(lineage, presented, **request)
    if found.kind is not Kind.BRANCH:
        return found
    settled = abs(request["now"] - lineage.minted_at) >= 2 * request["window"]
    crosses = request["context"] != lineage.context and not settled
    crossed = lineage.newest if crosses else lineage.crossed
    return Decision(Kind.BRANCH, replace(found.lineage, crossed=crossed))


def _rotate(lineage: Lineage, presented: int, now: int) -> Decision:
    after = replace(
        lineage,
        before=lineage.parent,
        parent=presented,
        floor=lineage.newest,
        newest=lineage.newest + 1,
        minted_at=now,
        rotated_at=now,
    )
    return Decision(Kind.ROTATE, after)
