"""The statements about links that were sent, as clauses.

A link is asked for by anybody, for any address: what is run for an address that nobody has is what is run for any
other, and it too has something to write.
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

from watchword.core.challenge import LINKS_AN_HOUR
from watchword.spans import HOUR
from watchword.storage.sql import challenges, outbox
from watchword.storage.sql.clauses import Now, micros
from watchword.storage.sql.rows import CHALLENGE, USER
from watchword.storage.sql.tables import ww_challenge, ww_factor, ww_user

_row, _user = ww_challenge.c, ww_user.c
_theirs = ww_challenge.alias("theirs").c
_users_row = _user.id == bindparam("user_id")
_not_disabled = _user.status != literal_column("'disabled'")
_unverified = _user.status == literal_column("'unverified'")
_at_address = _user.email == bindparam("email")
_kind = bindparam("kind", type_=_row.kind.type)


_none, _one = literal_column("0", Integer), literal_column("1", Integer)
_open = challenges.is_open()


def issue(dialect: Dialect) -> tuple[ClauseElement, ...]:
    """A mark that is there for everybody, so that every commit has something to make durable; the user's lock; the
    challenge; its mail."""
    reached = and_(_users_row, _not_disabled, _at_address)
    locked = select(_user.id).where(reached).with_for_update()
    return outbox.take_lease(dialect), locked, made(exists().where(reached)), outbox.queue(there())


def made(*conditions: ColumnElement[bool]) -> ClauseElement:
    """The challenge, unless there were enough of its kind lately."""
    lately = select(func.count()).where(
        _theirs.user_id == bindparam("user_id"),
        _theirs.kind == _kind,
        _theirs.sent_at > Now() - micros(HOUR),
    )
    values: dict[str, ColumnElement[Any]] = {
        "id": bindparam("challenge", type_=_row.id.type),
        "kind": _kind,
        "user_id": bindparam("user_id", type_=_user.id.type),
        "digest": bindparam("secret", type_=_row.digest.type),
        "code": bindparam("code", type_=_row.code.type),
        "payload": bindparam("payload", type_=_row.payload.type),
        "created_at": Now(),
        "sent_at": Now(),
        "expires_at": Now() + bindparam("ttl", type_=BigInteger),
        "tries": _none,
        "sends": _one,
        "ended_at": null().cast(BigInteger),
    }
    few = lately.scalar_subquery() < micros(LINKS_AN_HOUR)
    allowed = select(*values.values()).where(few, *conditions)
    return insert(ww_challenge).from_select(list(values), allowed).returning(_row.id)


def there() -> ColumnElement[bool]:
    """Whether it was made."""
    return exists().where(_row.id == bindparam("challenge"))


def load() -> Select[Any]:
    """A challenge by its secret and kind, its user unless disabled, and now."""
    return (
        select(*(_row[name] for name in CHALLENGE), *(_user[name] for name in USER), Now())
        .join_from(ww_user, ww_challenge)
        .where(_row.digest == bindparam("secret"), _row.kind == _kind, _not_disabled)
    )


def redeemable() -> ClauseElement:
    """The lock of user and challenge, in this order as everywhere: of two who redeem at once the second finds it
    ended."""
    mine = _row.id == bindparam("challenge")
    right = select(_user.id).join_from(ww_user, ww_challenge).where(mine, _open, _not_disabled, _at_address)
    return right.with_for_update()


def reset() -> tuple[ClauseElement, ...]:
    """Factors that a stranger may have added go; then the row, which says with the rest that nobody is unverified."""
    strangers = delete(ww_factor).where(
        ww_factor.c.user_id == bindparam("user_id"), exists().where(_users_row, _unverified)
    )
    changed = (
        update(ww_user)
        .where(_users_row)
        .values(
            digest=bindparam("digest"),
            status=literal_column("'active'"),
            email_verified=true(),
            two_factor=case((_unverified, false()), else_=_user.two_factor),
        )
    )
    return strangers.returning(ww_factor.c.id), changed.returning(_user.id)
