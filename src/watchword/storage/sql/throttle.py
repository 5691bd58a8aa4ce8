"""The statements about budgets of rate limits, as clauses: `core.throttle.take` for several keys at once.

The rule's arithmetic is here a second time, as the condition must be judged under the rows' locks; the contract of
limiters holds the two together.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    ClauseElement,
    ColumnElement,
    Dialect,
    Integer,
    Text,
    bindparam,
    case,
    cast,
    exists,
    literal_column,
    select,
    union_all,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from watchword.ports import MOST_TAKEN
from watchword.storage.sql.clauses import Now, sweeping
from watchword.storage.sql.tables import ww_throttle

_PLACES = range(1, MOST_TAKEN + 1)


def take(dialect: Dialect) -> tuple[ClauseElement, ClauseElement]:
    """Make and lock the rows of all keys and tell what they hold; then spend one of each, unless one is spent."""
    throttle = ww_throttle.c
    asked = union_all(
        *(select(_key(place).label("key"), _number(place).label("place")) for place in _PLACES)
    ).subquery("asked")
    # In the order that the caller gives, so that two who ask for the same rows never wait for each other. A conflict
    # writes the instant that is there: nothing less locks a row and returns it.
    rows = (
        select(asked.c.key, literal_column("0", BigInteger))
        .where(asked.c.key.is_not(None))
        .order_by(asked.c.place)
    )
    told = throttle.key, throttle.tat, Now()
    if dialect.name == "sqlite":
        made = sqlite.insert(ww_throttle).from_select(["key", "tat"], rows)
        lock = made.on_conflict_do_update(index_elements=["key"], set_={"tat": throttle.tat}).returning(*told)
    else:
        made_too = postgresql.insert(ww_throttle).from_select(["key", "tat"], rows)
        lock = made_too.on_conflict_do_update(index_elements=["key"], set_={"tat": throttle.tat}).returning(
            *told
        )
    other = ww_throttle.alias("other")
    spent = exists().where(_asked(other.c.key), _after(other.c.key, other.c.tat) - Now() > _room(other.c.key))
    spend = update(ww_throttle).where(_asked(throttle.key), ~spent)
    return lock, spend.values(tat=_after(throttle.key, throttle.tat)).returning(throttle.key)


def sweep() -> ClauseElement:
    """What says no more than no row does."""
    now = select(Now()).scalar_subquery()  # read once, so that the index finds what is older
    return sweeping(ww_throttle.c.key, ww_throttle.c.tat < now)


def _after(key: ColumnElement[str], tat: ColumnElement[int]) -> ColumnElement[int]:
    full = Now() + _room(key)
    return case((tat < Now(), Now()), (tat > full, full), else_=tat) + _of("step", key)


def _room(key: ColumnElement[str]) -> ColumnElement[int]:
    return _of("room", key)


def _of(name: str, key: ColumnElement[str]) -> ColumnElement[int]:
    return case(*((key == _key(place), cast(bindparam(f"{name}_{place}"), BigInteger)) for place in _PLACES))


def _asked(key: ColumnElement[str]) -> ColumnElement[bool]:
    return key.in_([_key(place) for place in _PLACES])


def _key(place: int) -> ColumnElement[str]:
    return cast(bindparam(f"key_{place}"), Text)


def _number(place: int) -> ColumnElement[int]:
    return literal_column(str(place), Integer)
