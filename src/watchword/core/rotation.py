"""The refresh rotation rule: what happens when a refresh token of some generation is presented.

Everything that decides about generations lives here, as functions of values; `now` is passed in. Nothing
here reads a clock, a database or a key: whether the token is genuine was settled before (`refresh_token`),
and writing the outcome is the caller's (one compare-and-swap on `parent` and `newest`).

Words: the **parent** is the generation last used; its **children** are those minted since, none used yet
(`floor < g <= newest`); everything before is older. A token is *young* while |now - minted_at| < window,
*settled* from twice the window on. A request is *foreign* when it comes from another network or browser than
the one that the newest token was minted for. A session is *suspect* when it was crossed (used from two
contexts within two windows) three times of late.

Sources: RFC 9700 §4.14.2 (rotation and reuse detection), ASVS 5.0 10.4.5. Why this rule and no simpler one:
docs/decisions/0001-refresh-rotation.md; that it never ends an honest session is checked exhaustively by
tests/core/test_rotation_exhaustive.py.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

NEVER = 0
"""The instant (µs since 1970) before every other: nothing was minted or rotated yet."""

SUSPECT_CROSSINGS = 3
SUSPECT_MEMORY = 20
"""After so many rotations without a crossing, the earlier ones are forgotten."""


class Kind(StrEnum):
    """The verdict on one presented refresh token."""

    UNKNOWN = "unknown"
    ENDED = "ended"
    AHEAD = "ahead"
    REPEAT = "repeat"
    ROTATE = "rotate"
    BRANCH = "branch"
    SUPERSEDED = "superseded"
    REUSE = "reuse"


MINTS = frozenset({Kind.AHEAD, Kind.ROTATE, Kind.BRANCH})
"""The verdicts that bring a new generation into the world, and so a compare-and-swap."""


@dataclass(frozen=True, slots=True)
class Lineage:
    """The part of a session row that the rule reads and writes. Instants are µs since 1970.

    A new session is `Lineage(context=…)`: generation 1 is out and nothing was used, so the first refresh rotates.
    """

    parent: int = 0
    floor: int = 0
    newest: int = 1
    before: int = 0
    minted_at: int = NEVER
    rotated_at: int = NEVER
    context: str = ""
    crossings: int = 0
    crossed: int = 0

    @property
    def suspect(self) -> bool:
        """Whether two contexts have used this session in turns often enough that one of them may be a thief."""
        return self.crossings >= SUSPECT_CROSSINGS and self.newest - self.crossed <= SUSPECT_MEMORY


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict and the lineage that it leaves behind (the same object when nothing changes).

    `kind in MINTS`: swap the whole lineage in and answer with a token of `lineage.newest`. `REPEAT`: answer with
    a token of `lineage.newest`; if `lineage` differs it differs in its crossing alone, which is recorded apart.
    """

    kind: Kind
    lineage: Lineage


def decide(
    lineage: Lineage,
    presented: int,
    *,
    context: str,
    now: int,
    window: int,
    live: bool = True,
    replaced_at: int | None = None,
) -> Decision:
    """Judge a genuine refresh token of generation `presented`.

    `context` is the request's (see `session.context_digest`), `now` and `window` are in µs. `live` says that the
    session is neither revoked nor expired and its user active; `replaced_at` is when a newer sign-in of the same
    browser ended it, if that is how it ended.
    """
    if presented < 1:
        return Decision(Kind.UNKNOWN, lineage)
    if not live:
        # A refresh that was under way while the same browser signed in again: its jar already holds the new token.
        just_replaced = replaced_at is not None and now - replaced_at < window
        return Decision(Kind.SUPERSEDED if just_replaced else Kind.ENDED, lineage)

    age = abs(now - lineage.minted_at)
    settled = age >= 2 * window
    foreign = context != lineage.context
    watched = foreign and lineage.suspect
    child = lineage.floor < presented <= lineage.newest
    crossed = _cross(lineage) if foreign and not settled else lineage

    if presented > lineage.newest:
        # Only we can have minted it, so the database has lost commits: go on from there. Whatever else was minted in
        # the lost span may still be in flight or in the jar, so it stays a child until one is used.
        after = replace(crossed, newest=presented + 1)
        return _mint(Kind.AHEAD, after, context=context, now=now)
    if window > 0 and (child or presented == lineage.parent) and age < window and not watched:
        return Decision(Kind.REPEAT, crossed)
    if presented == lineage.newest or (child and (settled or watched)):
        return _mint(
            Kind.ROTATE,
            replace(
                crossed,
                before=lineage.parent,
                parent=presented,
                floor=lineage.newest,
                newest=lineage.newest + 1,
                rotated_at=now,
            ),
            context=context,
            now=now,
        )
    if window > 0 and (child or presented == lineage.parent):
        return branch(crossed, context=context, now=now)
    if window > 0 and presented >= lineage.before and now - lineage.rotated_at < window:
        return Decision(Kind.SUPERSEDED, lineage)
    return Decision(Kind.REUSE, lineage)


def branch(lineage: Lineage, *, context: str, now: int) -> Decision:
    """Mint another child beside those that are out: an answer was lost, or the user proved who they are again.

    The last crossing moves along: a thief who branches often would otherwise make the rule forget him.
    """
    after = replace(lineage, newest=lineage.newest + 1, crossed=min(lineage.crossed + 1, lineage.newest))
    return _mint(Kind.BRANCH, after, context=context, now=now)


def _mint(kind: Kind, lineage: Lineage, *, context: str, now: int) -> Decision:
    return Decision(kind, replace(lineage, minted_at=now, context=context))


def _cross(lineage: Lineage) -> Lineage:
    """Count that two contexts met, at most once a generation."""
    if lineage.crossed >= lineage.newest:
        return lineage
    forgotten = lineage.newest - lineage.crossed > SUSPECT_MEMORY
    return replace(lineage, crossings=1 if forgotten else lineage.crossings + 1, crossed=lineage.newest)
