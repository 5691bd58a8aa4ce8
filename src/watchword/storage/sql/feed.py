"""What feeds of revocations read, as one statement; `statements` compiles it with all others."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    ClauseElement,
    Select,
    Subquery,
    Text,
    bindparam,
    literal_column,
    null,
    select,
    union_all,
)

from watchword.core.revocation import MOST
from watchword.storage.sql.clauses import Now
from watchword.storage.sql.tables import ww_revocation, ww_user

_user, _revocation = ww_user.c, ww_revocation.c


def read() -> ClauseElement:
    """One round trip: (id of a session, instant, NULL), (id of a user, NULL, second) and one (NULL, clock, NULL).

    Of each no more than whoever reads them could keep, and one by which that is noticed.
    """
    since = bindparam("since", type_=BigInteger)
    nothing = null().cast(BigInteger)
    ended = _most(select(_revocation.sid, _revocation.created_at).where(_revocation.created_at >= since)).c
    moved = _most(select(_user.id, _user.tokens_from).where(_user.tokens_from_at >= since)).c
    return union_all(
        select(ended.sid, ended.created_at, nothing),
        select(moved.id, nothing, moved.tokens_from),
        select(null().cast(Text), Now(), nothing),
    )


def _most(query: Select[Any]) -> Subquery:
    some = query.limit(literal_column(str(MOST + 1), BigInteger)).offset(literal_column("0", BigInteger))
    return some.subquery()
