"""The statements of people who change their own account, signed in: each begins with the lock of user and session, and
nothing is written for a session that is over.

A swap stands in the transaction of what it is part of, so that no answer is lost between the two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ClauseElement,
    ColumnElement,
    Dialect,
    Select,
    and_,
    bindparam,
    delete,
    exists,
    false,
    literal_column,
    or_,
    select,
    true,
    update,
)

from watchword.core.challenge import Kind
from watchword.storage.sql import challenges, links, outbox
from watchword.storage.sql.clauses import Now, Script, compiled, ending, locked, vouching
from watchword.storage.sql.rows import CHALLENGE, SWAPPED
from watchword.storage.sql.tables import ww_challenge, ww_session, ww_user

_user, _session, _row = ww_user.c, ww_session.c, ww_challenge.c
_other = ww_user.alias("other").c
_others = ww_challenge.alias("others").c
_active = _user.status == literal_column("'active'")
_unverified: ColumnElement[str] = literal_column("'unverified'")
_users_row = _user.id == bindparam("user_id")
_mine = _row.id == bindparam("challenge")
_as_read = and_(
    _session.parent == bindparam("was_parent"),
    _session.newest == bindparam("was_newest"),
    _session.crossed == bindparam("was_crossed"),
)


@dataclass(frozen=True, slots=True)
class OwnStatements:
    """The texts for one driver, as `statements.Statements` has the others."""

    find_proof: str

    change_password: Script
    delete_user: Script
    add_factor: Script
    remove_factor: Script
    redeem_proof: Script
    issue_change: Script
    redeem_change: Script


def compose(dialect: Dialect) -> OwnStatements:
    """Compile everything for one dialect."""
    end_all = ending(_session.user_id == bindparam("user_id"))
    others = _session.user_id == bindparam("user_id"), _session.sid.is_distinct_from(bindparam("keep"))
    end_others = ending(*others)
    as_proved = _user.digest.is_not_distinct_from(bindparam("old"))

    def script(*statements: ClauseElement) -> Script:
        return tuple(compiled(statement, dialect) for statement in statements)

    return OwnStatements(
        find_proof=compiled(_find_proof(), dialect),
        change_password=script(
            locked(_active, as_proved, _as_read, acting=True),
            *end_others,
            _changed(digest=bindparam("digest")),
            challenges.end_all(),
            _swapped(),
            outbox.queue(),
        ),
        delete_user=script(
            locked(acting=True),
            *end_all,
            delete(ww_user).where(_users_row).returning(_user.id),
            outbox.queue(),
        ),
        add_factor=script(*challenges.add_factor(acting=True), *ending(*others, challenges.added())),
        remove_factor=script(*challenges.remove_factor(acting=True), *end_others),
        redeem_proof=script(
            _proving(_row.code == bindparam("code"), _user.two_factor == false(), _as_read),
            challenges.redeemed(),
            _swapped(),
        ),
        issue_change=script(
            locked(_active, acting=True), links.made(), _only_the_last(), outbox.queue(links.there())
        ),
        redeem_change=script(
            _proving(~exists().where(_other.email == bindparam("email"), _held(_other))),
            *end_others,
            _unproved(),
            _changed(email=bindparam("email"), email_verified=true()),
            challenges.end_all(),
            outbox.queue(),
        ),
    )


def _find_proof() -> Select[Any]:
    return select(*(_row[name] for name in CHALLENGE)).where(
        _row.user_id == bindparam("user_id"),
        _row.kind == literal_column(f"'{Kind.REAUTHENTICATE}'"),
        _row.payload == bindparam("payload"),
        challenges.is_open(),
    )


def _proving(*conditions: ColumnElement[bool]) -> Select[Any]:
    """The lock of user, challenge and session, in this order as everywhere."""
    right = select(_user.id).join_from(ww_user, ww_challenge).join(ww_session, vouching())
    return right.where(_mine, challenges.is_open(), _active, *conditions).with_for_update()


def _unproved() -> ClauseElement:
    """Who only signed up with an address leaves it to who has proved it."""
    theirs = and_(_user.email == bindparam("email"), ~_held(_user))
    return delete(ww_user).where(theirs).returning(_user.id)


def _held(whose: Any) -> ColumnElement[bool]:
    """Whether somebody's address is theirs: unless they only signed up with it, and the time to confirm it is over."""
    link = and_(_others.user_id == whose.id, _others.kind == literal_column(f"'{Kind.VERIFY}'"))
    return or_(whose.status != _unverified, exists().where(link, challenges.is_open(_others)))


def _changed(**values: ColumnElement[Any]) -> ClauseElement:
    return update(ww_user).where(_users_row).values(values).returning(_user.id)


def _swapped() -> ClauseElement:
    values: dict[str, ColumnElement[Any]] = {name: bindparam(name) for name in SWAPPED}
    return update(ww_session).where(_session.sid == bindparam("keep")).values(values).returning(_session.sid)


def _only_the_last() -> ClauseElement:
    """The address that somebody has named last is the one that counts."""
    earlier = and_(
        _row.user_id == bindparam("user_id"),
        _row.kind == bindparam("kind"),
        _row.id != bindparam("challenge"),
        _row.ended_at.is_(None),
    )
    made = select(_row.id).where(_mine).scalar_subquery()
    gone = update(ww_challenge).where(earlier, made.is_not(None)).values(ended_at=Now())
    return gone.returning(_row.id)
