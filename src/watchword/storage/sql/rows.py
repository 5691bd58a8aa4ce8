"""Records to parameters, and rows to records, by position. No SQL, no rule.

`USER` and `SESSION` name the columns in the order of the records' fields; every statement that reads a record selects
its columns in this order.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields
from functools import lru_cache
from typing import Any

from watchword.core.challenge import Challenge, Kind, Spent
from watchword.core.factor import Factor, Method
from watchword.core.mail import Mail, Queued, head_start
from watchword.core.record import Recorded
from watchword.core.rotation import Lineage
from watchword.core.session import End, Session
from watchword.core.user import Status, User
from watchword.events import Event
from watchword.ports import MOST_TAKEN
from watchword.rates import Rate
from watchword.settings import Mode
from watchword.spans import DAY

Row = Sequence[Any]
Parameters = dict[str, Any]

USER = tuple(field.name for field in fields(User))
LINEAGE = tuple(field.name for field in fields(Lineage))
SESSION = (
    *("sid", "user_id", "mode", "seed"),
    *LINEAGE,
    *("created_at", "auth_time", "amr", "idle_until", "ends_at", "last_used_at", "ip", "user_agent"),
    *("ended_at", "ended_as"),
)
SWAPPED = (*LINEAGE, "auth_time", "amr", "idle_until", "idle_day", "last_used_at", "ip", "user_agent")
"""What a swap writes; everything else of a session stays as it was at sign-in."""
STARTED = ("sid", "user_id", "mode", "seed", "created_at", "ends_at", *SWAPPED)
"""What an insert writes."""
CHALLENGE = tuple(field.name for field in fields(Challenge))
SPENT = tuple(field.name for field in fields(Spent))
FACTOR = tuple(field.name for field in fields(Factor))
MAIL = ("id", "to", "kind", "sealed", "created_at", "expires_at")
QUEUED = (*MAIL, "tries", "next_at", "sent_at", "last_error")
EVENT = ("id", "at", "name", "user_id", "sid", "ip", "detail", "by")


def user_of(row: Row) -> User:
    """A row of the columns `USER`."""
    return User(
        id=row[0],
        email=row[1],
        email_verified=bool(row[2]),
        username=row[3],
        digest=row[4],
        status=Status(row[5]),
        roles=names_of(row[6]),
        tokens_from=row[7],
        created_at=row[8],
        two_factor=bool(row[9]),
    )


def session_of(row: Row) -> Session:
    """A row of the columns `SESSION`."""
    return Session(
        sid=row[0],
        user_id=row[1],
        mode=Mode(row[2]),
        seed=row[3],
        lineage=Lineage(*row[4:13]),
        created_at=row[13],
        auth_time=row[14],
        amr=names_of(row[15]),
        idle_until=row[16],
        ends_at=row[17],
        last_used_at=row[18],
        ip=row[19],
        user_agent=row[20],
        ended_at=row[21],
        end=None if row[22] is None else End(row[22]),
    )


def user_parameters(user: User) -> Parameters:
    """All columns of `USER`."""
    return {
        "id": user.id,
        "email": user.email,
        "email_verified": user.email_verified,
        "username": user.username,
        "digest": user.digest,
        "status": user.status.value,
        "roles": text_of(user.roles),
        "tokens_from": user.tokens_from,
        "created_at": user.created_at,
        "two_factor": user.two_factor,
    }


def session_parameters(session: Session) -> Parameters:
    """The columns of `STARTED`."""
    return swapped_parameters(session) | {
        "sid": session.sid,
        "user_id": session.user_id,
        "mode": session.mode.value,
        "seed": session.seed,
        "created_at": session.created_at,
        "ends_at": session.ends_at,
    }


def swapped_parameters(session: Session) -> Parameters:
    """The columns of `SWAPPED`."""
    lineage = session.lineage
    return {
        "parent": lineage.parent,
        "floor": lineage.floor,
        "newest": lineage.newest,
        "before": lineage.before,
        "minted_at": lineage.minted_at,
        "rotated_at": lineage.rotated_at,
        "context": lineage.context,
        "crossings": lineage.crossings,
        "crossed": lineage.crossed,
        "auth_time": session.auth_time,
        "amr": text_of(session.amr),
        "idle_until": session.idle_until,
        "idle_day": session.idle_until // DAY * DAY,
        "last_used_at": session.last_used_at,
        "ip": session.ip,
        "user_agent": session.user_agent,
    }


def challenge_of(row: Row) -> Challenge:
    """A row of the columns `CHALLENGE`."""
    identity, kind, user_id, digest, code, payload, *rest = row[: len(CHALLENGE)]
    return Challenge(identity, Kind(kind), user_id, digest, code, json.loads(payload), *rest)


def challenge_parameters(challenge: Challenge) -> Parameters:
    """What an insert writes, and how long the code is good for: its instants are the database's."""
    return {
        "challenge": challenge.id,
        "kind": challenge.kind.value,
        "user_id": challenge.user_id,
        "secret": challenge.digest,
        "code": challenge.code,
        "payload": json.dumps(challenge.payload),
        "ttl": challenge.expires_at - challenge.created_at,
    }


def factor_of(row: Row) -> Factor:
    """A row of the columns `FACTOR`."""
    return Factor(row[0], row[1], Method(row[2]), row[3])


def queued_of(row: Row) -> Queued:
    """A row of the columns `QUEUED`: when it is due is what its order is by, and its head start."""
    mail = Mail(*row[:6])
    tries, next_at, sent_at, last_error = row[6:]
    return Queued(mail, tries, None if next_at is None else next_at + head_start(mail), sent_at, last_error)


def mail_parameters(mail: Mail, *, of: str = "mail") -> Parameters:
    """The columns of `MAIL`, under names that collide with no other record's: a message is queued in the transaction
    of what it announces. `of` is as for `outbox.queue`."""
    columns = {f"{of}_{name}": getattr(mail, name) for name in MAIL}
    return columns | {f"{of}_head_start": head_start(mail)}


def recorded_of(row: Row) -> Recorded:
    """A row of the columns `EVENT` and `written_at`."""
    identity, at, name, *rest, written_at = row
    return Recorded(identity, Event(name, at, *rest), written_at)


def event_parameters(events: Sequence[Recorded]) -> Parameters:
    """Any number of rows in one parameter: a JSON list of lists in the order of `EVENT`."""
    rows = []
    for one in events:
        columns = {"id": one.id} | {name: getattr(one.event, name) for name in EVENT[1:]}
        rows.append([columns[name] for name in EVENT])
    return {"rows": json.dumps(rows)}


def throttle_parameters(asked: Sequence[tuple[str, Rate]]) -> Parameters:
    """Of a script of `throttle.take`: in one order whoever asks, the places that are left empty."""
    parameters: dict[str, Any] = {}
    places = [*sorted(asked), *[(None, None)] * MOST_TAKEN][:MOST_TAKEN]
    for place, (key, rate) in enumerate(places, 1):
        parameters |= {
            f"key_{place}": key,
            f"step_{place}": rate and rate.step,
            f"room_{place}": rate and rate.room,
        }
    return parameters


@lru_cache(1024)
def names_of(text: str) -> tuple[str, ...]:
    """A stored JSON list of role or method names. Cached: there are few such lists, and one is read with every row."""
    return tuple(json.loads(text))


@lru_cache(1024)
def text_of(names: tuple[str, ...]) -> str:
    """The JSON list that `names_of` reads."""
    return json.dumps(names)
