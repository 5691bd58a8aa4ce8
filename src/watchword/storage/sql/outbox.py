"""The statements about mail and leases, as clauses; `statements` compiles them with all others.

Any script may contain `queue()`, so that a message is there if and only if what it announces is: its parameters
(`rows.mail_parameters`) collide with no others.

What the column `next_at` holds is when a message is due less its `mail.head_start`: so the index on it is in the order
in which messages go, however many of them are due.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    ClauseElement,
    ColumnElement,
    Dialect,
    Integer,
    bindparam,
    case,
    func,
    insert,
    literal_column,
    null,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from watchword.core.mail import LATER, LATER_AHEAD, SOON, SOON_AHEAD
from watchword.ports import MOST_LATE, MOST_WAITING
from watchword.storage.sql.clauses import Now, limited, micros, sweeping
from watchword.storage.sql.rows import MAIL, QUEUED
from watchword.storage.sql.tables import text, ww_lease, ww_outbox

_mail, _lease = ww_outbox.c, ww_lease.c
_its_row = _mail.id == bindparam("mail_id")
_span = bindparam("span", type_=BigInteger)
_LAST = literal_column("'~'", text())
"""Behind every id: what makes a walk through them a search by their index."""


_life = _mail.expires_at - _mail.created_at
_head_start = case(
    (_life <= micros(SOON), micros(SOON_AHEAD)),
    (_life <= micros(LATER), micros(LATER_AHEAD)),
    else_=micros(0),
)


def queue(only_if: ColumnElement[bool] | None = None, *, of: str = "mail") -> ClauseElement:
    """One message, due at once: always, or only if what it announces is there. `of` begins the names of its
    parameters, where a script may queue either of two."""
    values = {name: bindparam(f"{of}_{name}", type_=_mail[name].type) for name in MAIL}
    head_start = bindparam(f"{of}_head_start", type_=BigInteger)
    row = select(*values.values(), literal_column("0", Integer), Now() - head_start)
    columns = [*MAIL, "tries", "next_at"]
    what = row if only_if is None else row.where(only_if)
    return insert(ww_outbox).from_select(columns, what).returning(_mail.id)


def lease() -> ClauseElement:
    """Who asks at the same time is given the next one: a row that somebody else is taking is passed over."""
    # The clock is read by a query of its own: an index is no help in finding what each row is asked anew.
    now = select(Now()).scalar_subquery()
    due = _mail.next_at <= now, _mail.next_at + _head_start <= now
    oldest = select(_mail.id).where(*due).order_by(_mail.next_at, _mail.id)
    one = oldest.limit(literal_column("1", Integer)).offset(literal_column("0", Integer))
    return (
        update(ww_outbox)
        .where(_mail.id == one.with_for_update(skip_locked=True).scalar_subquery())
        .values(tries=_mail.tries + literal_column("1", Integer), next_at=Now() + _span - _head_start)
        .returning(*(_mail[name] for name in QUEUED))
    )


def sent() -> ClauseElement:
    """The payload goes: what is left tells that there was a message, and to whom."""
    return (
        update(ww_outbox)
        .where(_its_row)
        .values(sealed=bindparam("sealed"), next_at=null(), sent_at=Now(), last_error=null())
        .returning(_mail.id)
    )


def failed() -> ClauseElement:
    """Only by whoever made the last try. Without a wait there is no next time."""
    return (
        update(ww_outbox)
        .where(_its_row, _mail.tries == bindparam("tries"), _mail.sent_at.is_(None))
        .values(
            next_at=Now() + bindparam("wait", type_=BigInteger) - _head_start, last_error=bindparam("error")
        )
        .returning(_mail.id)
    )


def listing() -> ClauseElement:
    """Newest first."""
    columns = (_mail[name] for name in QUEUED)
    return limited(select(*columns).where(_mail.id < bindparam("before")).order_by(_mail.id.desc()))


def depth() -> ClauseElement:
    """Bounded, however many rows there are: what waits is found by its index, what was given up among the newest."""
    none_skipped = literal_column("0", Integer)
    due = select(_mail.created_at).where(_mail.next_at.is_not(None)).order_by(_mail.next_at)
    waiting = due.limit(literal_column(str(MOST_WAITING), Integer)).offset(none_skipped).subquery("waiting")
    late = select(_mail.next_at, _mail.sent_at).where(_mail.id < _LAST).order_by(_mail.id.desc())
    newest = late.limit(literal_column(str(MOST_LATE), Integer)).offset(none_skipped).subquery("newest")
    given_up = newest.c.next_at.is_(None), newest.c.sent_at.is_(None)
    return select(
        select(func.count()).select_from(waiting).scalar_subquery(),
        select(func.min(waiting.c.created_at)).scalar_subquery(),
        select(func.count()).select_from(newest).where(*given_up).scalar_subquery(),
        Now(),
    )


def sweep() -> ClauseElement:
    """What has expired, sent or not."""
    return sweeping(_mail.id, _mail.expires_at < bindparam("horizon", type_=BigInteger))


def take_lease(dialect: Dialect) -> ClauseElement:
    """Make the lease, or take it over once it has run out or if it is the holder's own."""
    values = {
        "name": bindparam("name", type_=text()),
        "holder": bindparam("holder", type_=text()),
        "until": Now() + _span,
    }
    over = (_lease.until <= Now()) | (_lease.holder == bindparam("holder", type_=text()))
    taken = {"holder": bindparam("holder", type_=text()), "until": Now() + _span}
    if dialect.name == "sqlite":
        made = sqlite.insert(ww_lease).values(values)
        return made.on_conflict_do_update(index_elements=["name"], set_=taken, where=over).returning(
            _lease.name
        )
    made_too = postgresql.insert(ww_lease).values(values)
    return made_too.on_conflict_do_update(index_elements=["name"], set_=taken, where=over).returning(
        _lease.name
    )
