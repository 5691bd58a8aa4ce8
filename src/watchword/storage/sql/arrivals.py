"""The statements that insert a session and those that follow it in its transaction, as clauses; `statements` compiles
them.

What follows counts one user's sessions, whose row the insert has locked: of many that sign in at once, each counts what
the one before has left.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    ClauseElement,
    ColumnElement,
    Dialect,
    Integer,
    Select,
    Text,
    and_,
    bindparam,
    func,
    insert,
    literal_column,
    or_,
    select,
    update,
)

from watchword.storage.sql import outbox
from watchword.storage.sql.clauses import Hint, Now
from watchword.storage.sql.rows import STARTED
from watchword.storage.sql.tables import ww_revocation, ww_session, ww_user

CROWD = "crowd"
"""What the parameters of the message begin with that tells of an eviction."""

_user, _session, _revocation = ww_user.c, ww_session.c, ww_revocation.c
_active = _user.status == literal_column("'active'")
_users_row = _user.id == bindparam("user_id")
_theirs = ww_session.alias("theirs").c
_most = bindparam("most", type_=BigInteger)
_live = and_(
    _theirs.user_id == bindparam("user_id"),
    _theirs.ended_at.is_(None),
    _theirs.idle_until > Now(),
    _theirs.ends_at > Now(),
)
_all = literal_column(str(2**31), BigInteger)


AS_VERIFIED = (
    _user.digest.is_not_distinct_from(bindparam("digest")),
    _user.two_factor == bindparam("two_factor"),
)
"""Password and second step as they were when the sign-in was let through (DESIGN §4.4)."""


def insert_session(*conditions: ColumnElement[bool]) -> ClauseElement:
    """Only while the user is active."""
    allowed = (
        select(*(bindparam(name, type_=_session[name].type) for name in STARTED))
        .where(_users_row, _active, *conditions)
        .with_for_update(key_share=True)
    )
    return insert(ww_session).from_select(STARTED, allowed).returning(_session.sid)


def insert_quietly(dialect: Dialect) -> tuple[ClauseElement, ...]:
    """On PostgreSQL behind the lock of the user, which one sign-in holds at a time: a statement that had to wait for it
    would have counted before. On SQLite nothing can come in between."""
    insertion = insert_session(*AS_VERIFIED, _quiet())
    if dialect.name == "sqlite":
        return (insertion,)
    locking = select(_user.id).where(_users_row, _active, *AS_VERIFIED).with_for_update(key_share=True)
    return locking, insertion


def tell(*, crowded: bool | None) -> ClauseElement:
    """Queue the message of a sign-in: whatever comes of it, or only if it is one too many, or only if it is not."""
    if crowded is None:
        return outbox.queue()
    count = select(func.count()).where(_live).scalar_subquery()
    return outbox.queue(count > _most, of=CROWD) if crowded else outbox.queue(count <= _most)


def _quiet() -> ColumnElement[bool]:
    """Whether nobody need be told of a sign-in (as `core.known_device.unfamiliar`) and nothing has to make room."""
    known, newcomer = (bindparam(name, type_=Boolean) for name in ("known", "newcomer"))
    live: Select[Any] = select(literal_column("1")).where(_live)
    vouched = live.where(_theirs.context == bindparam("context", type_=Text)).exists()
    count = select(func.count()).where(_live).scalar_subquery()
    return and_(count < _most, or_(known, vouched, and_(newcomer, ~live.exists())))


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
