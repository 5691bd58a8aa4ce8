"""Completing a change of address by its link."""

from __future__ import annotations

from watchword import events
from watchword.core.device import device_label
from watchword.core.session import Client, End
from watchword.events import Event
from watchword.flows.end import tell
from watchword.flows.outbox import sealed
from watchword.flows.sweep import UNVERIFIED
from watchword.ports import LoadedLink, World

CHANGED = "address_changed"
"""The kind of the message that tells the old address (ASVS 5.0 6.3.7)."""


async def complete(world: World, found: LoadedLink, password: str | None, client: Client) -> bool:
    """The user is at the new address from now on. Every session ends but the one that asked for it, and so does every
    link and code; the old address is told (ASVS 5.0 7.4.3; SECURITY-TARGET attacks 76, 77).

    A password is not asked for: whoever asked for the link had just proved who they are, and their session has not
    ended since. False, and nobody is told, when it has, or when somebody else has the address by now.
    """
    challenge, user, now = found.challenge, found.user, world.clock.now()
    if user.email != challenge.payload["email"]:  # it is from before another change
        return False
    new, sid = challenge.payload["new"], challenge.payload["sid"]
    payload = {"device": device_label(client.user_agent), "ip": client.ip}
    mail = sealed(world, CHANGED, user.email, payload)
    moved = await world.store.redeem_change(challenge, new, keep=sid, mail=mail)
    if moved is None:
        return False
    world.mail_queued()
    world.emit(Event(events.ADDRESS_CHANGED, now, user.id, sid, client.ip))
    for gone in moved.unproved:
        world.emit(Event(events.USER_DELETED, now, gone, None, client.ip, UNVERIFIED))
    tell(world, moved.ended, user_id=user.id, reason=End.ADDRESS, now=now, ip=client.ip)
    return True
