"""Starting a session for a user who has proved who they are, whatever the proof was."""

from __future__ import annotations

import secrets

from watchword import events
from watchword.core import session as sessions
from watchword.core.session import Client, End
from watchword.core.user import User
from watchword.core.uuid7 import uuid7
from watchword.events import Event
from watchword.flows.end import tell
from watchword.flows.grant import Grant, grant
from watchword.ports import World
from watchword.settings import Mode


async def start_session(
    world: World, user: User, *, amr: tuple[str, ...], client: Client, mode: Mode, replaces: str | None
) -> Grant | None:
    """A new session, unless the user's password or status has changed since `user` was read: then None.

    `replaces` is the session that the same browser was signed in with; it ends in the same transaction
    (ASVS 5.0 7.2.4, SECURITY-TARGET attack 32).
    """
    now = world.clock.now()
    current = await world.store.load_user(user.id)  # roles may have changed while the password was checked
    if current is None or current.digest != user.digest:
        return None
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
    replaced = await world.store.insert_session(session, digest=user.digest, replaces=replaces)
    if replaced is None:
        return None
    tell(world, replaced, user_id=user.id, reason=End.REPLACED, now=now, ip=client.ip)
    world.emit(Event(events.SIGNED_IN, now, user.id, session.sid, client.ip, "+".join(amr)))
    return grant(world, session, current, now=now, read_at=now)
