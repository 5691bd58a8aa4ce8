"""Every statement, composed once from the tables and compiled at start-up to the text that a driver takes.

No value is ever part of a text: all are parameters by name, and a text whose parameters are not all named here does
not compile. The statements are the same for both databases; what differs (the clock, row locks, the spelling of
parameters) is rendered by the dialect. Which statement a verb runs, and with what, is `verbs`.

A **script** is the texts of one transaction, run in order with the same parameters. Its first statement is the
condition: when that returns no row, it has changed nothing and the rest is not run.

A script may be the head of a longer one: which tail it gets, a message or the end of other sessions, its verb says.

On PostgreSQL, whatever ends several sessions or must not miss a sign-in under way locks the user's row first, by
updating it or with FOR UPDATE, and so does an insert of a session, with FOR NO KEY UPDATE: so either the new session
is seen and ended, or the insert sees what was changed, and of many who sign in at once each counts what the one before
has left. It also keeps two such scripts about one user from a deadlock. SQLite has one writer at a time and renders no
row locks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    BindParameter,
    ClauseElement,
    Dialect,
    Select,
    bindparam,
    case,
    delete,
    exists,
    func,
    literal_column,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from watchword.core.revocation import ROLES_MARGIN
from watchword.storage.sql import (
    arrivals,
    challenges,
    events,
    feed,
    links,
    outbox,
    own,
    registrations,
    throttle,
)
from watchword.storage.sql.clauses import Hint, Now, compiled, ending, limited, revoking, sweeping
from watchword.storage.sql.clauses import Script as Script
from watchword.storage.sql.rows import SESSION, SWAPPED, USER
from watchword.storage.sql.tables import text, ww_revocation, ww_schema_version, ww_session, ww_user


@dataclass(frozen=True, slots=True)
class Statements:
    """The texts for one driver: a `str` is read alone, a `Script` writes in one transaction."""

    load_user: str
    find_by_email: str
    find_by_username: str
    list_users: str
    load_session: str
    list_sessions: str
    read_revocations: str
    read_version: str
    list_mail: str
    count_mail: str
    load_challenge: str
    list_factors: str
    load_link: str
    recent_links: str
    long_unverified: str

    create_user: Script
    replace_digest: Script
    change_password: Script
    enable: Script
    enable_user: Script
    disable: Script
    change_roles: Script
    delete_user: Script
    insert_session: Script
    insert_quietly: Script
    replace: Script
    tell: Script
    tell_unless_crowded: Script
    tell_if_crowded: Script
    evict: Script
    swap_session: Script
    record_crossing: Script
    end_session: Script
    end_sessions: Script
    sweep_sessions: Script
    sweep_revocations: Script
    queue_mail: Script
    lease_mail: Script
    mail_sent: Script
    mail_failed: Script
    sweep_mail: Script
    take_lease: Script
    take: Script
    sweep_throttle: Script
    issue_challenge: Script
    attempt_challenge: Script
    resend_challenge: Script
    redeem_challenge: Script
    end_challenge: Script
    sweep_challenges: Script
    add_factor: Script
    tell_if_added: Script
    remove_factor: Script
    tell_of_removal: Script
    issue_link: Script
    redeem_reset: Script
    register: Script
    redeem_registration: Script
    forget_unverified: Script
    revoke_unknown: Script
    own: own.OwnStatements
    events: events.EventStatements


_user, _session, _revocation = ww_user.c, ww_session.c, ww_revocation.c
_active = _user.status == literal_column("'active'")
_users_row = _user.id == bindparam("user_id")
_users_sessions = _session.user_id == bindparam("user_id")


def compose(dialect: Dialect) -> Statements:
    """Compile everything for one dialect."""
    change_password = update(ww_user).where(_users_row).values(digest=bindparam("digest")).returning(_user.id)
    change_status = update(ww_user).where(_users_row).values(status=bindparam("status")).returning(_user.id)
    lock_user = select(_user.id).where(_users_row).with_for_update()
    end_all = ending(_users_sessions)
    others = _users_sessions, _session.sid.is_distinct_from(bindparam("keep"))
    end_others = ending(*others)
    end_replaced = ending(_session.sid == bindparam("replaces"))
    theirs_or_anybodys = _session.user_id == func.coalesce(
        bindparam("user_id", type_=text()), _session.user_id
    )

    def one(statement: ClauseElement) -> str:
        return compiled(statement, dialect)

    def script(*statements: ClauseElement) -> Script:
        return tuple(compiled(statement, dialect) for statement in statements)

    return Statements(
        load_user=one(_select_user().where(_users_row)),
        find_by_email=one(_select_user().where(_user.email == bindparam("login"))),
        find_by_username=one(_select_user().where(_user.username == bindparam("login"))),
        list_users=one(limited(_select_user().where(_user.id > bindparam("after")).order_by(_user.id))),
        load_session=one(_load_session()),
        list_sessions=one(_list_sessions()),
        read_revocations=one(feed.read()),
        read_version=one(select(ww_schema_version.c.version_num)),
        list_mail=one(outbox.listing()),
        count_mail=one(outbox.depth()),
        create_user=script(_create_user(dialect)),
        replace_digest=script(_replace_digest()),
        change_password=script(change_password, *end_others, challenges.end_all()),
        enable=script(change_status),
        enable_user=script(_enable_user()),
        disable=script(change_status, *end_all, challenges.end_all()),
        change_roles=script(_change_roles()),
        delete_user=script(lock_user, *end_all, delete(ww_user).where(_users_row).returning(_user.id)),
        insert_session=script(arrivals.insert_session(*arrivals.AS_VERIFIED)),
        insert_quietly=script(*arrivals.insert_quietly(dialect)),
        replace=script(*end_replaced),
        tell=script(arrivals.tell(crowded=None)),
        tell_unless_crowded=script(arrivals.tell(crowded=False)),
        tell_if_crowded=script(arrivals.tell(crowded=True)),
        evict=script(*arrivals.evict()),
        swap_session=script(_swap_session()),
        record_crossing=script(_record_crossing()),
        end_session=script(*ending(_session.sid == bindparam("sid"), theirs_or_anybodys)),
        end_sessions=script(lock_user, *end_others),
        revoke_unknown=script(revoking(bindparam("sid", type_=text()))),
        sweep_sessions=script(_sweep_sessions()),
        sweep_revocations=script(_sweep_revocations()),
        queue_mail=script(outbox.queue()),
        lease_mail=script(outbox.lease()),
        mail_sent=script(outbox.sent()),
        mail_failed=script(outbox.failed()),
        sweep_mail=script(outbox.sweep()),
        take_lease=script(outbox.take_lease(dialect)),
        take=script(*throttle.take(dialect)),
        sweep_throttle=script(throttle.sweep()),
        load_challenge=one(challenges.load()),
        list_factors=one(challenges.list_factors()),
        issue_challenge=script(*challenges.issue()),
        attempt_challenge=script(*challenges.attempt()),
        resend_challenge=script(*challenges.resend()),
        redeem_challenge=script(*challenges.redeem(), arrivals.insert_session()),
        end_challenge=script(challenges.end()),
        sweep_challenges=script(challenges.sweep(~registrations.waited_for())),
        add_factor=script(*challenges.add_factor(acting=False), *ending(*others, challenges.added())),
        tell_if_added=script(outbox.queue(challenges.added())),
        remove_factor=script(*challenges.remove_factor(acting=False), *end_others),
        tell_of_removal=script(outbox.queue(challenges.to_be_removed())),
        load_link=one(links.load()),
        issue_link=script(*links.issue(dialect)),
        recent_links=one(registrations.recent()),
        register=script(*registrations.register(dialect, _create_user(dialect))),
        redeem_registration=script(
            registrations.redeemable(), *end_all, *registrations.redeem(), challenges.end_all()
        ),
        long_unverified=one(registrations.long_unverified()),
        forget_unverified=script(*registrations.forget()),
        redeem_reset=script(
            links.redeemable(), *end_all, *links.reset(), challenges.end_all(), outbox.queue()
        ),
        own=own.compose(dialect),
        events=events.compose(dialect),
    )


def _select_user() -> Select[Any]:
    return select(*(_user[name] for name in USER))


def _load_session() -> Select[Any]:
    return (
        select(*(_session[name] for name in SESSION), *(_user[name] for name in USER), Now())
        .join_from(ww_session, ww_user)
        .where(_session.sid == bindparam("sid"))
    )


def _list_sessions() -> Select[Any]:
    now = bindparam("now", type_=BigInteger)
    return (
        select(*(_session[name] for name in SESSION))
        .where(
            _users_sessions, _session.ended_at.is_(None), _session.idle_until > now, _session.ends_at > now
        )
        .order_by(_session.sid.desc())
    )


def _create_user(dialect: Dialect) -> ClauseElement:
    """A taken id, email or name is an answer and no error; only the spelling of that is each dialect's own."""
    values: dict[str, BindParameter[Any]] = {name: bindparam(name) for name in USER}
    if dialect.name == "sqlite":
        return sqlite.insert(ww_user).values(values).on_conflict_do_nothing().returning(_user.id)
    return postgresql.insert(ww_user).values(values).on_conflict_do_nothing().returning(_user.id)


def _replace_digest() -> ClauseElement:
    return (
        update(ww_user)
        .where(_users_row, _user.digest == bindparam("old"))
        .values(digest=bindparam("digest"))
        .returning(_user.id)
    )


def _enable_user() -> ClauseElement:
    """Judged by the row as it is now: who proves their address at the same moment is active either way."""
    status = case((_user.email_verified, literal_column("'active'")), else_=literal_column("'unverified'"))
    return update(ww_user).where(_users_row).values(status=status).returning(_user.status)


def _change_roles() -> ClauseElement:
    """The later of two clocks, read once the row is ours: who refreshes meanwhile still reads the old roles. A second
    change within the second is told from the first: tokens were issued in between."""
    here, there = bindparam("second", type_=BigInteger), Now() // literal_column("1000000", BigInteger)
    margin, one = (literal_column(str(number), BigInteger) for number in (ROLES_MARGIN, 1))
    latest, following = case((here > there, here), else_=there) + margin, _user.tokens_from + one
    return (
        update(ww_user)
        .where(_users_row)
        .values(
            roles=bindparam("roles"),
            tokens_from=case((latest > following, latest), else_=following),
            tokens_from_at=Now(),
        )
        .returning(_user.tokens_from, Hint())
    )


def _swap_session() -> ClauseElement:
    """The compare-and-swap of a rotation. A concurrent end of the session, for whatever reason, wins over it."""
    return (
        update(ww_session)
        .where(
            _session.sid == bindparam("sid"),
            _session.parent == bindparam("was_parent"),
            _session.newest == bindparam("was_newest"),
            _session.crossed == bindparam("was_crossed"),
            _session.ended_at.is_(None),
            exists().where(_user.id == _session.user_id, _active),
        )
        .values({name: bindparam(name) for name in SWAPPED})
        .returning(_session.sid)
    )


def _record_crossing() -> ClauseElement:
    return (
        update(ww_session)
        .where(_session.sid == bindparam("sid"), _session.crossed < bindparam("now_crossed"))
        .values(crossings=bindparam("crossings"), crossed=bindparam("now_crossed"))
        .returning(_session.sid)
    )


def _sweep_sessions() -> ClauseElement:
    horizon = bindparam("horizon", type_=BigInteger)
    # The day is what the index knows; the instant, which no index could be chosen for, is what counts.
    over = func.coalesce(_session.ended_at, _session.idle_until) < horizon
    gone = (_session.ended_at < horizon) | ((_session.idle_day < horizon) & over)
    return sweeping(_session.sid, gone)


def _sweep_revocations() -> ClauseElement:
    horizon = bindparam("horizon", type_=BigInteger)
    return sweeping(_revocation.sid, _revocation.created_at < horizon)
