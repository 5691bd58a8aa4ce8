"""The statements that people sign up by, as clauses.

An address is signed up with by anybody, whether somebody has it or not: what is run for one that is taken is what is
run for any other, each writes a challenge and a message, and only what they hold differs.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    ClauseElement,
    ColumnElement,
    Dialect,
    Integer,
    Select,
    Text,
    and_,
    bindparam,
    case,
    delete,
    exists,
    false,
    func,
    insert,
    literal_column,
    null,
    select,
    true,
    update,
)

from watchword.core.challenge import LINKS_AN_HOUR, Kind
from watchword.core.registration import LOOKED_THROUGH
from watchword.spans import HOUR
from watchword.storage.sql import challenges, outbox
from watchword.storage.sql.clauses import Now, limited, micros
from watchword.storage.sql.rows import CHALLENGE
from watchword.storage.sql.tables import ww_challenge, ww_factor, ww_user

_row, _user = ww_challenge.c, ww_user.c
_theirs = ww_challenge.alias("theirs").c
_users_row = _user.id == bindparam("user_id")
_unverified = _user.status == literal_column("'unverified'")
_at_address = _user.email == bindparam("email")
_kind = bindparam("kind", type_=_row.kind.type)


_none, _one = literal_column("0", Integer), literal_column("1", Integer)
_open = challenges.is_open()


def _verifies(row: Any) -> ColumnElement[bool]:
    kind: ColumnElement[bool] = row.kind == literal_column(f"'{Kind.VERIFY.value}'")
    return kind


_horizon = bindparam("horizon", type_=BigInteger)
_newer = exists().where(_theirs.user_id == _user.id, _verifies(_theirs), _theirs.expires_at >= _horizon)


def register(dialect: Dialect, create_user: ClauseElement) -> tuple[ClauseElement, ...]:
    """A mark that is there for everybody (see `links.issue`); the user, if there is none; the lock of whoever has the
    address; the challenge, over at once for those whom it can give nothing; the mail of the one, or of the other."""
    locked = select(_user.id).where(_at_address).with_for_update()
    lately = select(func.count()).where(
        _theirs.user_id == _user.id, _theirs.kind == _kind, _theirs.sent_at > Now() - micros(HOUR)
    )
    values: dict[str, ColumnElement[Any]] = {
        "id": bindparam("challenge", type_=_row.id.type),
        "kind": _kind,
        "user_id": _user.id,
        "digest": bindparam("secret", type_=_row.digest.type),
        "code": bindparam("code", type_=_row.code.type),
        "payload": case(
            (_unverified, bindparam("payload", type_=_row.payload.type)), else_=literal_column("'{}'", Text)
        ),
        "created_at": Now(),
        "sent_at": Now(),
        "expires_at": Now() + bindparam("ttl", type_=BigInteger),
        "tries": _none,
        "sends": _one,
        "ended_at": case((_unverified, null().cast(BigInteger)), else_=Now()),
    }
    allowed = select(*values.values()).where(_at_address, lately.scalar_subquery() < micros(LINKS_AN_HOUR))
    made = insert(ww_challenge).from_select(list(values), allowed).returning(_row.id)
    mine = _row.id == bindparam("challenge")
    welcome = outbox.queue(exists().where(mine, _row.ended_at.is_(None)))
    taken = outbox.queue(exists().where(mine, _row.ended_at.is_not(None)), of="taken")
    return outbox.take_lease(dialect), create_user, locked, made, welcome, taken


def recent() -> Select[Any]:
    """Newest first."""
    return (
        select(*(_row[name] for name in CHALLENGE))
        .where(_row.user_id == bindparam("user_id"), _row.kind == _kind, _row.ended_at.is_(None))
        .order_by(_row.created_at.desc(), _row.id.desc())
        .limit(literal_column(str(LOOKED_THROUGH), Integer))
        .offset(literal_column("0", Integer))
    )


def redeemable() -> ClauseElement:
    """The lock of user and challenge, in this order as everywhere: of two who redeem at once the second finds it
    ended."""
    mine = _row.id == bindparam("challenge")
    right = select(_user.id).join_from(ww_user, ww_challenge).where(mine, _open, _unverified, _at_address)
    return right.with_for_update()


def redeem() -> tuple[ClauseElement, ...]:
    """Factors that a stranger may have added go; then the row. A name that somebody has fails the whole script."""
    strangers = delete(ww_factor).where(ww_factor.c.user_id == bindparam("user_id"))
    name = func.coalesce(bindparam("username", type_=_user.username.type), _user.username)
    verified = (
        update(ww_user)
        .where(_users_row)
        .values(
            digest=bindparam("digest"),
            username=name,
            status=literal_column("'active'"),
            email_verified=true(),
            two_factor=false(),
        )
    )
    return strangers.returning(ww_factor.c.id), verified.returning(_user.id)


def waited_for() -> ColumnElement[bool]:
    """Of a challenge: whether it is what an unverified user signed up with, or tells how long ago that was."""
    return and_(_verifies(_row), exists().where(_user.id == _row.user_id, _unverified))


def long_unverified() -> Select[Any]:
    """The ids of those whose every link expired long ago."""
    old = select(_row.user_id).where(_row.expires_at < _horizon, _verifies(_row))
    behind = _user.id > bindparam("after")
    return limited(select(_user.id).where(_user.id.in_(old), behind, _unverified, ~_newer).order_by(_user.id))


def forget() -> tuple[ClauseElement, ...]:
    """The lock of one of them, unless somebody holds it; their end, if they have been given no other link: asked again
    behind the lock, as who signs up meanwhile locks the user and writes elsewhere."""
    locked = select(_user.id).where(_users_row, _unverified).with_for_update(skip_locked=True)
    return locked, delete(ww_user).where(_users_row, ~_newer).returning(_user.id)
