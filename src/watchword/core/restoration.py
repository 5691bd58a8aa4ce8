"""What has to be done again after a database has lost its last commits, told by the events of that span. Pure.

Only what takes something away is done again: a session, a right to sign in, a user, a role. What gave something is
left to whoever decides about it by hand, as nobody can tell from an event what it was worth (SECURITY-TARGET F7).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from watchword import events
from watchword.core.record import MAX_DETAIL, Recorded
from watchword.core.session import End
from watchword.core.user import Status, User

_BY_HAND = frozenset({events.ADDRESS_CHANGED, events.FACTOR_ADDED, events.USER_CREATED})


@dataclass
class Lost:
    """What the lost span says in the end, by the ids of sessions and users. `passwords` are those who changed theirs,
    with the session that did so; `by_hand` is what no event holds enough of; `rows` are all events that were lost."""

    ended: dict[str, End] = field(default_factory=dict)
    disabled: set[str] = field(default_factory=set)
    passwords: dict[str, str | None] = field(default_factory=dict)
    roles: dict[str, Recorded] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    by_hand: list[Recorded] = field(default_factory=list)
    rows: list[Recorded] = field(default_factory=list)

    def users(self) -> set[str]:
        """Whom something is to be done to or decided about, by hand or not."""
        asked = {row.event.user_id for row in self.by_hand if row.event.user_id}
        return asked.union(self.disabled, self.passwords, self.roles, self.deleted)


def lost(rows: Iterable[Recorded], newest: Mapping[tuple[str, str], int] | None = None) -> Lost:
    """Read the events of a span, in whatever order: of several about one user or session the last one counts. `newest`
    is when the table last heard of a user and an event's name, in µs: what it heard later than a lost event holds."""
    newest = newest or {}
    found, enabled = Lost(rows=list(rows)), dict[str, Recorded]()
    for row in sorted(found.rows, key=lambda row: (row.event.at, row.id)):
        event, user = row.event, row.event.user_id
        if event.sid is not None and event.name in {events.SESSION_ENDED, events.REFRESH_REUSED}:
            found.ended.setdefault(event.sid, _end(event.name, event.detail))
        elif user is None or newest.get((user, event.name), event.at) > event.at:
            continue
        elif event.name == events.STATUS_CHANGED:
            found.disabled.discard(user)
            enabled.pop(user, None)
            if event.detail == Status.DISABLED:
                found.disabled.add(user)
            else:
                enabled[user] = row
        elif event.name == events.PASSWORD_CHANGED:
            found.passwords[user] = event.sid
        elif event.name == events.USER_DELETED:
            found.deleted.add(user)
        elif event.name == events.ROLES_CHANGED and len(event.detail or "") < MAX_DETAIL:
            found.roles[user] = row
        elif event.name in _BY_HAND or event.name == events.ROLES_CHANGED:
            found.by_hand.append(row)
    for user in found.deleted:
        found.disabled.discard(user)
        found.passwords.pop(user, None)
        found.roles.pop(user, None)
    remaining = [*found.by_hand, *enabled.values()]
    found.by_hand = [row for row in remaining if row.event.user_id not in found.deleted]
    return found


def left_to_do(found: Lost, users: Mapping[str, User]) -> Lost:
    """What of it is still to be done, given those of `found.users()` who are there. Of the others, only that they were
    made is told."""
    there = {user_id: row for user_id, row in found.roles.items() if user_id in users}
    given = [row for user_id, row in there.items() if _names(row) - set(users[user_id].roles)]
    told = [
        row
        for row in found.by_hand
        if (row.event.user_id not in users) == (row.event.name == events.USER_CREATED)
    ]
    return replace(
        found,
        disabled={
            each for each in found.disabled & users.keys() if users[each].status is not Status.DISABLED
        },
        passwords={
            user_id: sid
            for user_id, sid in found.passwords.items()
            if user_id in users and users[user_id].digest is not None
        },
        roles={each: row for each, row in there.items() if left_roles(users[each], row) != users[each].roles},
        deleted=found.deleted & users.keys(),
        by_hand=[*told, *given],
    )


def left_roles(user: User, row: Recorded) -> tuple[str, ...]:
    """Those of a user that a `roles_changed` names too. None is given."""
    return tuple(name for name in user.roles if name in _names(row))


def _names(row: Recorded) -> set[str]:
    return set((row.event.detail or "").split(",")) - {""}


def _end(name: str, detail: str | None) -> End:
    if name == events.REFRESH_REUSED:
        return End.REUSE
    try:
        return End(detail or "")
    except ValueError:  # of a later version
        return End.REVOKED
