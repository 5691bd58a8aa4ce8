"""The statements that follow the insert of a session in its transaction, as clauses; `statements` compiles them.

They count one user's sessions, whose row the insert has locked: of many that sign in at once, each counts what the one
before has left.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    ClauseElement,
    ColumnElement,
    Integer,
    and_,
    bindparam,
    func,
    insert,
    literal_column,
    select,
    update,
)

from watchword.storage.sql import outbox
from watchword.storage.sql.clauses import Hint, Now
from watchword.storage.sql.tables import ww_revocation, ww_session

CROWD = "crowd"
"""What the parameters of the message begin with that tells of an eviction."""

_session, _revocation = ww_session.c, ww_revocation.c
_theirs = ww_session.alias("theirs").c
_most = bindparam("most", type_=BigInteger)
_live = and_(
    _theirs.user_id == bindparam("user_id"),
    _theirs.ended_at.is_(None),
    _theirs.idle_until > Now(),
    _theirs.ends_at > Now(),
)
_all = literal_column(str(2**31), BigInteger)


def tell(*, crowded: bool | None) -> ClauseElement:
    """Queue the message of a sign-in: whatever comes of it, or only if it is one too many, or only if it is not."""
    if crowded is None:
        return outbox.queue()
    count = select(func.count()).where(_live).scalar_subquery()
    return outbox.queue(count > _most, of=CROWD) if crowded else outbox.queue(count <= _most)


def evict() -> tuple[ClauseElement, ClauseElement]:
    """Revoke the sessions that are too many, the new one apart; then end what has just been revoked, and not what would
    be too many now: one of the others may have ended in between."""
    kept = _most - literal_column("1", Integer)
    latest = _theirs.last_used_at.desc(), _theirs.sid.desc()
    others: ColumnElement[bool] = and_(_live, _theirs.sid != bindparam("sid"))
    surplus = select(_theirs.sid).where(others).order_by(*latest).limit(_all).offset(kept)
    ending = select(_session.sid, Now()).where(_session.sid.in_(surplus), _session.ended_at.is_(None))
    revoke = insert(ww_revocation).from_select(["sid", "created_at"], ending.with_for_update(of=ww_session))
    end = (
        update(ww_session)
        .where(
            _session.user_id == bindparam("user_id"),
            _session.ended_at.is_(None),
            _session.sid == _revocation.sid,
        )
        .values(ended_at=_revocation.created_at, ended_as=literal_column("'evicted'"))
    )
    return revoke.returning(_revocation.sid, _revocation.created_at), end.returning(_session.sid, Hint())
