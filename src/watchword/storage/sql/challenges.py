"""The statements about challenges and factors, as clauses; `statements` compiles them with all others.

Whatever counts locks the user's row first: what all of a user's challenges have used up is one number, and two requests
about different challenges must not read it at once. What the budgets are is `core.challenge`'s; the contract of stores
tells that the conditions here and the rules there agree.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    ClauseElement,
    Column,
    ColumnElement,
    Integer,
    Select,
    and_,
    bindparam,
    case,
    exists,
    func,
    insert,
    literal_column,
    null,
    or_,
    select,
    true,
    update,
)
from sqlalchemy import delete as delete_from
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from watchword.core.challenge import (
    CODES_AN_HOUR,
    LIFE,
    LINKS,
    RESEND_AFTER,
    RESENDS_AN_HOUR,
    SKEW,
    TRIES,
    TRIES_A_DAY,
    Kind,
)
from watchword.spans import DAY, HOUR
from watchword.storage.sql import outbox
from watchword.storage.sql.clauses import Now, locked, micros, sweeping
from watchword.storage.sql.rows import CHALLENGE, FACTOR, USER
from watchword.storage.sql.tables import ww_challenge, ww_factor, ww_user

_row, _user, _factor = ww_challenge.c, ww_user.c, ww_factor.c
_theirs = ww_challenge.alias("theirs").c
_active = _user.status == literal_column("'active'")
_of_secret = _row.digest == bindparam("secret")
_users_row = _user.id == bindparam("user_id")
_code = bindparam("code", type_=_row.code.type)


_none, _one = literal_column("0", Integer), literal_column("1", Integer)


def is_open(row: ReadOnlyColumnCollection[str, Column[Any]] = _row) -> ColumnElement[bool]:
    """As `Challenge.open` says."""
    return and_(row.ended_at.is_(None), row.sent_at <= Now() + micros(SKEW), row.expires_at > Now())


_open = is_open()

# What counts, and until when: as `core.challenge.spent` does.
_tried = and_(_theirs.tries > _none, _theirs.expires_at > Now() - micros(DAY))
_coded = (_theirs.kind != literal_column(f"'{kind}'") for kind in LINKS)
_sent = and_(_theirs.sent_at > Now() - micros(HOUR), *_coded)
_again = and_(_theirs.sends > _one, _sent)
_tries = func.coalesce(func.sum(_theirs.tries).filter(_tried), _none)
_codes = func.coalesce(func.sum(_theirs.sends).filter(_sent), _none)
_resends = func.coalesce(func.sum(_theirs.sends - _one).filter(_again), _none)


def _fewer(count: ColumnElement[int], limit: int, whose: ColumnElement[str]) -> ColumnElement[bool]:
    counted = select(count).where(_theirs.user_id == whose).scalar_subquery()
    return counted < micros(limit)


def spent(whose: ColumnElement[str]) -> Select[Any]:
    """The columns `SPENT`, and the instant."""
    return select(
        _tries.label("tries"),
        _codes.label("codes"),
        _resends.label("resends"),
        (func.min(_theirs.expires_at).filter(_tried) + micros(DAY)).label("tries_until"),
        (func.min(_theirs.sent_at).filter(_sent) + micros(HOUR)).label("codes_until"),
        (func.min(_theirs.sent_at).filter(_again) + micros(HOUR)).label("resends_until"),
        Now().label("now"),
    ).where(_theirs.user_id == whose)


def load() -> Select[Any]:
    """A challenge by its secret and kind, its user while that one is active, what the user's have used up, and now."""
    used = spent(select(_row.user_id).where(_of_secret).scalar_subquery()).subquery("used")
    return (
        select(*(_row[name] for name in CHALLENGE), *(_user[name] for name in USER), *used.c)
        .join_from(ww_user, ww_challenge)
        .join(used, true())
        .where(_of_secret, _row.kind == bindparam("kind"), _active)
    )


def _locked() -> Select[Any]:
    whose = select(_user.id).join_from(ww_user, ww_challenge)
    return whose.where(_of_secret, _row.kind == bindparam("kind"), _active).with_for_update(of=ww_user)


def _over() -> ClauseElement:
    """One whose time is over has ended, whatever the clock says later."""
    late = or_(_row.expires_at <= Now(), _row.sent_at > Now() + micros(SKEW))
    return (
        update(ww_challenge)
        .where(_of_secret, _row.ended_at.is_(None), late)
        .values(ended_at=Now())
        .returning(_row.id)
    )


def issue() -> tuple[ClauseElement, ...]:
    """The user as they were verified; the challenge; its mail; what is used up."""
    whose, ttl = bindparam("user_id", type_=_user.id.type), bindparam("ttl", type_=BigInteger)
    verified = select(_user.id).where(
        _users_row, _active, _user.digest.is_not_distinct_from(bindparam("digest"))
    )
    values: dict[str, ColumnElement[Any]] = {
        "id": bindparam("challenge", type_=_row.id.type),
        "kind": bindparam("kind", type_=_row.kind.type),
        "user_id": whose,
        "digest": bindparam("secret", type_=_row.digest.type),
        "code": _code,
        "payload": bindparam("payload", type_=_row.payload.type),
        "created_at": Now(),
        "sent_at": Now(),
        "expires_at": Now() + ttl,
        "tries": _none,
        "sends": _one,
        "ended_at": null().cast(BigInteger),
    }
    allowed = select(*values.values()).where(
        _fewer(_tries, TRIES_A_DAY, whose), _fewer(_codes, CODES_AN_HOUR, whose), ~exists().where(_waits())
    )
    made = insert(ww_challenge).from_select(list(values), allowed).returning(_row.id)
    there = exists().where(_row.id == bindparam("challenge"))
    return verified.with_for_update(), made, outbox.queue(there), spent(whose)


def _waits() -> ColumnElement[bool]:
    """One that proves the same in the same session, as `core.challenge.waits` says."""
    same = and_(_theirs.kind == bindparam("kind"), _theirs.payload == bindparam("payload"))
    return and_(
        _theirs.kind == literal_column(f"'{Kind.REAUTHENTICATE}'"),
        _theirs.user_id == bindparam("user_id"),
        same,
        is_open(_theirs),
    )


def attempt() -> tuple[ClauseElement, ...]:
    """The lock; an end, if it is over; one more try; all as it is then."""
    counted = (
        update(ww_challenge)
        .where(_of_secret, _open, _row.tries < micros(TRIES), _fewer(_tries, TRIES_A_DAY, _row.user_id))
        .values(tries=_row.tries + _one)
    )
    return _locked(), _over(), counted.returning(_row.id), load()


def resend() -> tuple[ClauseElement, ...]:
    """The lock; an end, if it is over; another code; its mail; all as it is then."""
    fresh, last = Now() + bindparam("ttl", type_=BigInteger), _row.created_at + micros(LIFE)
    sent = (
        update(ww_challenge)
        .where(
            _of_secret,
            _open,
            _row.tries < micros(TRIES),
            _row.sent_at <= Now() - micros(RESEND_AFTER),
            _fewer(_tries, TRIES_A_DAY, _row.user_id),
            _fewer(_codes, CODES_AN_HOUR, _row.user_id),
            _fewer(_resends, RESENDS_AN_HOUR, _row.user_id),
        )
        .values(
            code=_code,
            sent_at=Now(),
            expires_at=case((fresh < last, fresh), else_=last),
            sends=_row.sends + _one,
        )
    )
    told = exists().where(_of_secret, _row.code == _code)
    return _locked(), _over(), sent.returning(_row.id), outbox.queue(told), load()


def redeem() -> tuple[ClauseElement, ...]:
    """The lock of user and challenge, in this order as everywhere: of two who redeem at once the second finds it
    ended. Then its end, and its last try given back."""
    mine = _row.id == bindparam("challenge")
    right = select(_user.id).join_from(ww_user, ww_challenge).where(mine, _row.code == _code, _open, _active)
    return right.with_for_update(), redeemed()


def redeemed() -> ClauseElement:
    """Its end, and its last try given back."""
    mine = _row.id == bindparam("challenge")
    gone = update(ww_challenge).where(mine).values(ended_at=Now(), tries=_row.tries - _one)
    return gone.returning(_row.id)


def end() -> ClauseElement:
    """One, by its secret."""
    return _ended(_of_secret)


def end_all() -> ClauseElement:
    """All of a user's."""
    return _ended(_row.user_id == bindparam("user_id"))


def _ended(which: ColumnElement[bool]) -> ClauseElement:
    gone = update(ww_challenge).where(which, _row.ended_at.is_(None)).values(ended_at=Now())
    return gone.returning(_row.id)


def sweep(*conditions: ColumnElement[bool]) -> ClauseElement:
    """What no budget counts any more."""
    expired = _row.expires_at < bindparam("horizon", type_=BigInteger)
    return sweeping(_row.id, and_(expired, *conditions))


# --- factors


def list_factors() -> Select[Any]:
    """In the order of ids."""
    columns = (_factor[name] for name in FACTOR)
    return select(*columns).where(_factor.user_id == bindparam("user_id")).order_by(_factor.id)


def add_factor(*, acting: bool) -> tuple[ClauseElement, ...]:
    """The lock; the factor, unless there is one of its method; the mark. `added` tells later statements."""
    values = {name: bindparam(name, type_=_factor[name].type) for name in FACTOR}
    same = exists().where(_factor.user_id == bindparam("user_id"), _factor.method == bindparam("method"))
    new = insert(ww_factor).from_select(list(values), select(*values.values()).where(~same))
    return locked(acting=acting), new.returning(_factor.id), _mark()


def added() -> ColumnElement[bool]:
    """Whether the factor is there that was to be added."""
    return exists().where(_factor.id == bindparam("id"))


def remove_factor(*, acting: bool) -> tuple[ClauseElement, ...]:
    """The lock, if the factor is theirs; its end; the mark."""
    theirs = and_(_factor.id == bindparam("id"), _factor.user_id == bindparam("user_id"))
    gone = delete_from(ww_factor).where(theirs).returning(_factor.id)
    return locked(exists().where(theirs), acting=acting), gone, _mark()


def to_be_removed() -> ColumnElement[bool]:
    """Whether the factor is still there, once the user is locked."""
    return exists().where(_factor.id == bindparam("id"), _factor.user_id == bindparam("user_id"))


def _mark() -> ClauseElement:
    """The user's row says whether there is any."""
    some = exists().where(_factor.user_id == _user.id)
    return update(ww_user).where(_users_row).values(two_factor=some).returning(_user.id)
