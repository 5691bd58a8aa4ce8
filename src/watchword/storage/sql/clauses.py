"""What statements are made of beyond SQLAlchemy's own: the clock that decides, a hint, a limit, how sessions end, and
how a clause becomes the text that a driver takes."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    BindParameter,
    ClauseElement,
    Column,
    ColumnElement,
    Dialect,
    Integer,
    Select,
    Text,
    and_,
    bindparam,
    delete,
    insert,
    literal_column,
    select,
    update,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from watchword.storage.sql.tables import ww_revocation, ww_session, ww_user

Script = tuple[str, ...]
"""The texts of one transaction, run in order with the same parameters."""

_user, _session, _revocation = ww_user.c, ww_session.c, ww_revocation.c


class Now(FunctionElement[int]):
    """The instant by the clock that decides about sessions: PostgreSQL's own, so that all hosts share one; on SQLite
    the host's, which the store registers as the function `ww_now`."""

    type = BigInteger()
    inherit_cache = True


@compiles(Now, "sqlite")
def _now_sqlite(element: Now, compiler: SQLCompiler, **options: Any) -> str:
    # As a query of its own SQLite asks it once a statement, not twice a row that is compared with it.
    return "(SELECT ww_now())"


@compiles(Now, "postgresql")
def _now_postgresql(element: Now, compiler: SQLCompiler, **options: Any) -> str:
    # Not now(), which stands still in a transaction: what waited for a lock would be dated before the wait.
    return "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"


CHANNEL = "ww_revoked"
"""Where PostgreSQL's hints come by. Channels are the database's own: another installation's is another one."""


class Hint(FunctionElement[str]):
    """A column, of no meaning, of a statement that changes what feeds of revocations read: on PostgreSQL whoever
    listens is told when the transaction commits, once however many rows there are. SQLite needs none."""

    type = Text()
    inherit_cache = True


@compiles(Hint, "sqlite")
def _hint_sqlite(element: Hint, compiler: SQLCompiler, **options: Any) -> str:
    return "NULL"


@compiles(Hint, "postgresql")
def _hint_postgresql(element: Hint, compiler: SQLCompiler, **options: Any) -> str:
    return f"pg_notify('{CHANNEL}', '')::text"


def micros(count: int) -> ColumnElement[int]:
    """A span or number that is known when statements are made, and so no parameter."""
    return literal_column(str(count), BigInteger)


def limited(query: Select[Any]) -> Select[Any]:
    """At most `:limit` rows."""
    # The offset is written out because SQLite's dialect would make a parameter of it.
    return query.limit(bindparam("limit", type_=BigInteger)).offset(literal_column("0", Integer))


def sweeping(key: Column[str], old: ColumnElement[bool]) -> ClauseElement:
    """Delete at most `:limit` rows of the table of `key`, its primary key, that are `old`, and tell their keys. Rows
    that somebody holds are left for the next time, so that sweeping never waits and never deadlocks.

    They are looked for once, before: PostgreSQL may run a subquery again for each row that it compares, and one that
    skips what is locked finds others each time, beyond the limit.
    """
    found = limited(select(key).where(old)).with_for_update(skip_locked=True).cte("swept")
    return delete(key.table).where(key.in_(select(found.c[key.name]))).returning(key)


def locked(*conditions: ColumnElement[bool], acting: bool) -> Select[Any]:
    """The lock of the user and, if one of their sessions is `acting`, of that: none that is over. In this order, as
    everywhere; the session is locked too as one that ends alone does not wait for its user."""
    whose = select(_user.id)
    if acting:
        whose = whose.join_from(ww_user, ww_session, vouching())
    return whose.where(_user.id == bindparam("user_id"), *conditions).with_for_update()


def vouching() -> ColumnElement[bool]:
    """The session that somebody acts from: neither ended nor, by the clock that decides, expired."""
    live = and_(_session.ended_at.is_(None), _session.idle_until > Now(), _session.ends_at > Now())
    return and_(_session.user_id == _user.id, _session.sid == bindparam("keep"), live)


def ending(*which: ColumnElement[bool]) -> tuple[ClauseElement, ClauseElement]:
    """Revoke the sessions that have not ended yet, then date their end by what was written: one instant, one clock."""
    theirs = select(_session.sid, Now()).where(*which, _session.ended_at.is_(None)).with_for_update()
    revoke = insert(ww_revocation).from_select(["sid", "created_at"], theirs)
    end = (
        update(ww_session)
        .where(*which, _session.ended_at.is_(None), _session.sid == _revocation.sid)
        .values(ended_at=_revocation.created_at, ended_as=bindparam("ended_as"))
    )
    ended = end.returning(_session.sid, _session.user_id, Hint())
    return revoke.returning(_revocation.sid, _revocation.created_at), ended


def revoking(sid: BindParameter[str]) -> ClauseElement:
    """Revoke a session, whether there is a row of it or not, unless that was done."""
    known = select(_revocation.sid).where(_revocation.sid == sid).exists()
    revoke = insert(ww_revocation).from_select(["sid", "created_at"], select(sid, Now()).where(~known))
    return revoke.returning(_revocation.sid, _revocation.created_at, Hint())


def compiled(statement: ClauseElement, dialect: Dialect) -> str:
    """The text of a statement, all values of which are parameters."""
    text = statement.compile(dialect=dialect)
    constants = {name for name, value in text.params.items() if value is not None}
    if constants:
        raise AssertionError(f"parameters that nobody would pass: {constants}")
    return str(text)
