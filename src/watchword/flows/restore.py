"""Doing again what a restored database does not know of: from the events that were written beside it.

Which events are lost is asked of the table that they are in, too: what the file has and the table has not. What was
done again is put into the table under its old id, right behind the change, so that it is done once, however often
somebody asks for it: a password that was set again since stays (SECURITY-TARGET F7, decision 23).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

from watchword import events
from watchword.core.record import Recorded, budget_of
from watchword.core.restoration import Lost, left_roles, left_to_do, lost
from watchword.core.session import End
from watchword.core.user import Status, User
from watchword.errors import NotFound, Problem, Unavailable
from watchword.events import Event
from watchword.flows import users
from watchword.flows.end import end_all, forget, tell
from watchword.flows.notices import PASSWORD_LOST, notice
from watchword.ports import World
from watchword.spans import HOUR

PAGE = 1000
BATCH = 200
_DOUBT = HOUR
"""How far the clocks that ids and events are dated by may be apart."""


@dataclass
class Restored:
    """What was done, by the ids of whom it was done to; `known` sessions had ended before, `unknown` ones have no row
    here, so that there only was a token to refuse. `failed` is what could not be done, and why."""

    sessions: int = 0
    known: int = 0
    unknown: int = 0
    disabled: list[str] = field(default_factory=list)
    passwords: list[str] = field(default_factory=list)
    roles: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    by_hand: list[Recorded] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)


async def missing(world: World, rows: Iterable[Recorded], *, since: int) -> Lost:
    """What those of `since` or later say that the table does not have, as far as it is left to do and nothing that the
    table does have is newer. Changes nothing. Raises Unavailable."""
    given = {row.id: row for row in rows if row.event.at >= since}
    newest = dict[tuple[str, str], int]()
    before: str | None = None
    while given:
        page = await world.store.list_events(None, before=before, limit=PAGE)
        for row in page:
            given.pop(row.id, None)
            if (user_id := row.event.user_id) is not None:
                key = (user_id, row.event.name)
                newest[key] = max(row.event.at, newest.get(key, 0))
        if len(page) < PAGE or page[-1].event.at < since - _DOUBT:
            break
        before = page[-1].id
    found = lost(given.values(), newest)
    users_there = {}
    for user_id in found.users():
        if (user := await world.store.load_user(user_id)) is not None:
            users_there[user_id] = user
    return left_to_do(found, users_there)


async def reapply(world: World, what: Lost) -> Restored:
    """Do again what `missing` found, and keep its events. Raises Unavailable; then some of it has been done, and
    asking again does the rest."""
    done = Restored(by_hand=what.by_hand)
    for sid, end in what.ended.items():
        await _end(world, sid, end, done)
    changed = sorted({*what.disabled, *what.passwords, *what.roles, *what.deleted})
    theirs: dict[str, list[Recorded]] = {user_id: [] for user_id in changed}
    others: list[Recorded] = []
    for row in what.rows:
        if budget_of(row.event) is None:
            theirs.get(row.event.user_id or "", others).append(row)
    for user_id, rows in theirs.items():
        failed = len(done.failed)
        if user_id in what.disabled:
            await _each(world, user_id, done, partial(_disable, world, done))
        if user_id in what.passwords:
            await _each(world, user_id, done, partial(_forget, world, done, what.passwords[user_id]))
        if user_id in what.roles:
            await _each(world, user_id, done, partial(_roles, world, done, what.roles[user_id]))
        if user_id in what.deleted:
            await _each(world, user_id, done, partial(_delete, world, done))
        if len(done.failed) == failed:
            await _keep(world, rows)
    await _keep(world, others)
    return done


async def _keep(world: World, rows: Sequence[Recorded]) -> None:
    for start in range(0, len(rows), BATCH):
        await world.store.append_events(rows[start : start + BATCH])


async def end_everything(world: World) -> int:
    """End all sessions of everybody; how many. Raises Unavailable."""
    count, after = 0, None
    while page := await world.store.list_users(after=after, limit=PAGE):
        for user in page:
            count += await end_all(world, user.id, End.REVOKED)
        after = page[-1].id
    return count


async def _each(
    world: World, user_id: str, done: Restored, change: Callable[[User], Awaitable[None]]
) -> None:
    """Change a user, if there is one. What is refused for one is no reason to stop before the next."""
    user = await world.store.load_user(user_id)
    if user is None:
        return
    try:
        await change(user)
    except Unavailable:
        raise
    except NotFound:
        pass  # gone meanwhile
    except Problem as problem:
        done.failed.append((user_id, problem.detail or problem.title))


async def _end(world: World, sid: str, end: End, done: Restored) -> None:
    now, loaded = world.clock.now(), await world.store.load_session(sid)
    if loaded is None:
        # Somebody signed in and was signed out again within the span: their access token may be good for minutes.
        revoked = await world.store.revoke_unknown(sid, now=now)
        forget(world, [revoked] if revoked else [])
        done.unknown += 1
        return
    ended = await world.store.end_session(sid, end, now=now)
    tell(world, [ended] if ended else [], user_id=loaded.user.id, reason=end, now=now)
    done.sessions += ended is not None
    done.known += ended is None


async def _disable(world: World, done: Restored, user: User) -> None:
    await users.set_status(world, user, Status.DISABLED)
    done.disabled.append(user.id)


async def _forget(world: World, done: Restored, keep: str | None, user: User) -> None:
    """Nobody knows the new digest, and whoever knew the old password may be why it was changed."""
    now = world.clock.now()
    mail = notice(world, PASSWORD_LOST, user, client=None, now=now)
    ended = await world.store.forget_password(user.id, now=now, keep=keep, mail=mail)
    if ended is None:
        raise NotFound
    world.mail_queued()
    world.emit(Event(events.PASSWORD_CHANGED, now, user.id, detail="lost"))
    tell(world, ended, user_id=user.id, reason=End.PASSWORD, now=now)
    done.passwords.append(user.id)


async def _roles(world: World, done: Restored, row: Recorded, user: User) -> None:
    await users.set_roles(world, user, left_roles(user, row))
    done.roles.append(user.id)


async def _delete(world: World, done: Restored, user: User) -> None:
    await users.delete(world, user)
    done.deleted.append(user.id)
