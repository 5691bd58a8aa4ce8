"""What has to be done again after a database has lost its last commits, told by the events of that span. Pure.

Only what takes something away is done again: a session, a right to sign in, a user, a role. What gave something is
left to whoever decides about it by hand, as nobody can tell from an event what it was worth (SECURITY-TARGET F7).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from watchword import events
from watchword.core.record import MAX_DETAIL, Recorded
from watchword.core.session import End
from watchword.core.user import Status

_BY_HAND = frozenset({events.ADDRESS_CHANGED, events.FACTOR_ADDED, events.USER_CREATED})


@dataclass
class Lost:
    """What the lost span says in the end, by the ids of sessions and users. `passwords` are those who changed theirs,
    with the session that did so; `by_hand` is what no event holds enough of."""

    ended: dict[str, End] = field(default_factory=dict)
    disabled: set[str] = field(default_factory=set)
    passwords: dict[str, str | None] = field(default_factory=dict)
    roles: dict[str, Recorded] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    by_hand: list[Recorded] = field(default_factory=list)

    def __len__(self) -> int:
        """How many things there are to do."""
        return sum(map(len, (self.ended, self.disabled, self.passwords, self.roles, self.deleted)))


def lost(rows: Iterable[Recorded]) -> Lost:
    """Read the events of a span, in whatever order: of several about one user or session the last one counts."""
    found, enabled = Lost(), dict[str, Recorded]()
    for row in sorted(rows, key=lambda row: (row.event.at, row.id)):
        event, user = row.event, row.event.user_id
        if event.sid is not None and event.name in {events.SESSION_ENDED, events.REFRESH_REUSED}:
            found.ended.setdefault(event.sid, _end(event.name, event.detail))
        elif user is None:
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


def _end(name: str, detail: str | None) -> End:
    if name == events.REFRESH_REUSED:
        return End.REUSE
    try:
        return End(detail or "")
    except ValueError:  # of a later version
        return End.REVOKED
