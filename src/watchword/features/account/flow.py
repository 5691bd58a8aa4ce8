"""Deleting one's account, and asking for another address: load, decide, write once, tell.

Following the link to the new address is `features.email_verification`'s, as all such links have one route.
"""

from __future__ import annotations

import secrets

from watchword import events
from watchword.core.challenge import (
    LINK_LIFE,
    SECRET,
    Challenge,
    Kind,
    digest_of_secret,
    token,
)
from watchword.core.device import device_label
from watchword.core.session import Client, End
from watchword.core.user import Status, canonical_email, masked
from watchword.core.uuid7 import uuid7
from watchword.errors import FieldError, InvalidRequest, RateLimited, SessionEnded
from watchword.events import Event
from watchword.flows.end import tell
from watchword.flows.limits import admit
from watchword.flows.outbox import sealed
from watchword.ports import LoadedSession, World
from watchword.spans import HOUR, SECOND

DELETED = "account_deleted"
"""The kind of the message that tells the owner of the end."""
LINK = "address"
"""The kind of the message that a link to a new address is sent in."""
TAKEN = "address_taken"
"""The kind of the message to an address that somebody has already."""


async def delete(world: World, loaded: LoadedSession, *, client: Client) -> None:
    """The user and all that is theirs go; what was revoked stays known until every access token has expired. The owner
    is told where they were reached last. Raises SessionEnded, StillReferenced."""
    user, sid, now = loaded.user, loaded.session.sid, world.clock.now()
    mail = sealed(world, DELETED, user.email, _from(client))
    ended = await world.store.delete_own_user(user.id, keep=sid, mail=mail)
    if ended is None:
        raise SessionEnded
    world.mail_queued()
    tell(world, ended, user_id=user.id, reason=End.REVOKED, now=now, ip=client.ip)
    world.emit(Event(events.USER_DELETED, now, user.id, sid, client.ip))


async def ask_change(world: World, loaded: LoadedSession, email: str, *, client: Client) -> None:
    """Send a link to a new address, which is the user's once it was followed: until then nothing changes.

    Nothing that is asked, written or answered tells whether the address is somebody's already; its owner is told then,
    and there is no link (SECURITY-TARGET attack 65). The link counts while the session that asked for it has not ended,
    so that whoever is thrown out takes no account along (attack 76). Raises InvalidRequest, RateLimited, SessionEnded.
    """
    user, sid, now = loaded.user, loaded.session.sid, world.clock.now()
    new = canonical_email(email)
    if new == user.email:
        raise InvalidRequest(errors=(FieldError("email", "unchanged", "This is your address already."),))
    # As one: who has had enough of their own spends nothing of an address, which may be waiting for its owner.
    asked = ("email_change_user", user.id), ("email_change", new)
    await admit(world, *asked, client=client, user_id=user.id)
    holder = await world.store.find_user(new)
    # Who only signed up with it has proved nothing, and must keep nobody from their own address.
    taken = holder is not None and holder.status is not Status.UNVERIFIED
    secret = secrets.token_bytes(SECRET)
    challenge = Challenge(
        id=uuid7(now, secrets.token_bytes(10)),
        kind=Kind.ADDRESS,
        user_id=user.id,
        digest=digest_of_secret(secret),
        code=b"",
        payload={"email": user.email, "new": new, "sid": sid},
        created_at=now,
        sent_at=now,
        expires_at=now + LINK_LIFE,
    )
    # Who waits for a link of their own must see that this one is of somebody else's account.
    told = {"account": masked(user.email), **_from(client)}
    payload = {"token": token(secret), "minutes": LINK_LIFE // 60_000_000, **told}
    kind, values = (TAKEN, _from(client)) if taken else (LINK, payload)
    mail = sealed(world, kind, new, values, expires_at=now + LINK_LIFE)
    issued = await world.store.issue_change(challenge, mail, keep=sid)
    if issued is None:
        raise SessionEnded
    if not issued:
        raise RateLimited("Too many changes of address: try again later.", retry_after=HOUR // SECOND)
    world.mail_queued()
    world.emit(Event(events.ADDRESS_REQUESTED, now, user.id, sid, client.ip))


def _from(client: Client) -> dict[str, str]:
    return {"device": device_label(client.user_agent), "ip": client.ip}
