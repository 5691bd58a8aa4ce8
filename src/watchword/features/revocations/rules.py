"""What is new to somebody who was told before: a cursor, and what came after it. Pure.

A cursor says through which instant of the database's clock somebody was told, and by a fingerprint what of the last
half a minute. So any process can go on where another left off, and a revocation that became visible late is told,
though others overtook it (SECURITY-TARGET F19), while nothing is told twice in the usual case. Nobody is harmed by a
forged one: it only says what its owner wants to be told again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from watchword.core.revocation import Revoked, TokensFrom

OVERLAP = 30_000_000
"""µs by which a revocation may become visible after its instant, at most, as for our own feeds (flows.follow)."""
AHEAD = 5_000_000
"""µs by which another process may have read further than this one. More is of a clock that went back since."""
MOST_ROWS = 10_000
"""Ended sessions in one answer, about a megabyte."""

_CURSOR = re.compile(r"([0-9]{1,18})-([0-9a-f]{16})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Cursor:
    """`through` in µs, by the database's clock."""

    through: int
    fingerprint: str

    def __str__(self) -> str:
        return f"{self.through}-{self.fingerprint}"


@dataclass(frozen=True, slots=True)
class Known:
    """What a process knows to be revoked, all of it or what is young enough, and through when it has read."""

    through: int
    ended: Sequence[Revoked]
    tokens_from: Sequence[TokensFrom]


@dataclass(frozen=True, slots=True)
class News:
    """What somebody has to be told, and where they are then."""

    ended: Sequence[Revoked]
    tokens_from: Sequence[TokensFrom]
    cursor: Cursor

    def __bool__(self) -> bool:
        return bool(self.ended or self.tokens_from)


def read(text: str) -> Cursor | None:
    """None for what is no cursor of ours."""
    match = _CURSOR.fullmatch(text)
    return Cursor(int(match[1]), match[2]) if match else None


def oldest(cursor: Cursor | None) -> int:
    """Since when one has to know what was revoked, to tell what is new to that cursor."""
    return 0 if cursor is None else max(0, cursor.through - OVERLAP)


def news(known: Known, cursor: Cursor | None) -> News | None:
    """What is new; None as long as the other process that told the cursor had read further than this one."""
    through = known.through
    if cursor is not None and cursor.through > through + AHEAD:
        cursor = None
    if cursor is not None and cursor.through > through:
        return None
    if cursor is None:
        return _cut(list(known.ended), list(known.tokens_from), known, through)
    if fingerprint(known, cursor.through) == cursor.fingerprint:
        return _cut([row for row in known.ended if row.at > cursor.through], [], known, through)
    since = cursor.through - OVERLAP
    late = [row for row in known.ended if row.at >= since]
    moved = [row for row in known.tokens_from if row.second * 1_000_000 >= since]
    return _cut(late, moved, known, through)


def fingerprint(known: Known, through: int) -> str:
    """Of what was revoked in the last half a minute before `through`. When `tokens_from` was moved is not known, but it
    was not after that second."""
    since = through - OVERLAP
    lines = [row.sid for row in known.ended if since <= row.at <= through]
    lines += [f"{row.user_id} {row.second}" for row in known.tokens_from if row.second * 1_000_000 >= since]
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()[:16]


def _cut(ended: list[Revoked], moved: list[TokensFrom], known: Known, through: int) -> News:
    """Those first that ended first, as many as an answer holds: who asks again is told the rest. What is not read
    through yet (this process's own) is left for the next time."""
    rows = sorted((row for row in ended if row.at <= through), key=lambda row: row.at)
    if len(rows) > MOST_ROWS:
        through = rows[MOST_ROWS - 1].at
        rows = [row for row in rows if row.at <= through]
    return News(rows, moved, Cursor(through, fingerprint(known, through)))
