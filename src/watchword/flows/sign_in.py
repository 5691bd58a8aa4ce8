"""Starting a session for a user who has proved who they are, whatever the proof was."""

from __future__ import annotations

import secrets

from watchword import events
from watchword.core import session as sessions
from watchword.core.challenge import Challenge
from watchword.core.known_device import newcomer, unfamiliar
from watchword.core.session import Client, Session
from watchword.core.user import User
from watchword.core.uuid7 import uuid7
from watchword.events import Event
from watchword.flows.end import tell
from watchword.flows.grant import Grant, grant
from watchword.flows.notices import CROWDED, NEW_DEVICE, notice
from watchword.ports import Room, World
from watchword.settings import Mode


async def start_session(
    world: World,
    user: User,
    *,
    read_at: int,
    amr: tuple[str, ...],
    client: Client,
    mode: Mode,
    replaces: str | None,
    known: bool = False,
    redeeming: Challenge | None = None,
) -> Grant | None:
    """A new session, unless the user's password, second step or status has changed since `user` was read: then None.

    `read_at` (µs) is the instant before that reading: roles that changed since make the access token an old one.
    `replaces` is the session that the same browser was signed in with; it ends in the same transaction
    (ASVS 5.0 7.2.4, SECURITY-TARGET attack 32). `known` says that the browser has proved that the user has signed in on
    it before: the owner is told of any other, unless a live session is of the same browser and network, and of sessions
    that end because there are more than `max_sessions` (ASVS 5.0 6.3.5, 7.1.2). Most sign-ins are neither, and no
    message is sealed for those. `redeeming` is the challenge whose
    answer was right: it and no other request opens the session, in that transaction too; None if it was redeemed or has
    ended meanwhile (attack 53).
    """
    now = world.clock.now()
    session = sessions.start(
        sid=uuid7(now, secrets.token_bytes(10)),
        seed=secrets.token_bytes(32),
        user_id=user.id,
        mode=mode,
        amr=amr,
        client=client,
        now=now,
        lives=world.lives,
    )
    if (
        replaces is None
        and redeeming is None
        and await world.store.insert_quietly(
            session,
            digest=user.digest,
            two_factor=user.two_factor,
            most=world.max_sessions,
            known=known,
            newcomer=newcomer(user, now),
        )
    ):
        return _started(world, session, user, now=now, read_at=read_at)
    new = not known and unfamiliar(client, user, await world.store.list_sessions(user.id, now=now), now)
    mail = notice(world, NEW_DEVICE, user, client=client, now=now) if new else None
    most = world.max_sessions
    room = Room(most, notice(world, CROWDED, user, client=client, now=now, new=new, most=most))
    if redeeming is None:
        displaced = await world.store.insert_session(
            session,
            digest=user.digest,
            two_factor=user.two_factor,
            replaces=replaces,
            mail=mail,
            room=room,
        )
    else:
        displaced = await world.store.redeem_challenge(
            redeeming, session, replaces=replaces, mail=mail, room=room
        )
    if displaced is None:
        return None
    if new or displaced:
        world.mail_queued()
    for row in displaced:
        tell(world, [row], user_id=row.user_id, reason=row.end, now=now, ip=client.ip)
    return _started(world, session, user, now=now, read_at=read_at)


def _started(world: World, session: Session, user: User, *, now: int, read_at: int) -> Grant:
    """Tell of a session that is written."""
    world.emit(Event(events.SIGNED_IN, now, user.id, session.sid, session.ip, "+".join(session.amr)))
    return grant(world, session, user, now=now, read_at=read_at)
