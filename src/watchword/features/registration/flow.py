"""Signing up: judge, hash, write once. Whether the address is free is nobody's business but its owner's."""

from __future__ import annotations

import secrets

from watchword import events
from watchword.core.device import device_label
from watchword.core.password import acceptable, normalise
from watchword.core.registration import Registration
from watchword.core.session import Client
from watchword.core.user import Status, User, canonical_email, canonical_username
from watchword.core.uuid7 import uuid7
from watchword.errors import Overloaded
from watchword.events import Event
from watchword.flows import verification
from watchword.flows.limits import address, admit, admit_here
from watchword.flows.outbox import sealed
from watchword.ports import World

TAKEN = "already_registered"
"""The kind of the message to the owner of an address that somebody has signed up with."""
ROUNDS = 3
"""How often a registration starts over because the address became free under it."""


async def register(
    world: World, email: str, password: str, *, username: str | None = None, client: Client
) -> None:
    """An unverified user, and a link to the address that makes it an active one with this password. Whoever has the
    address already is told by mail, and nobody else: nothing that is answered or done here tells whose it is (ASVS 5.0
    6.3.8, SECURITY-TARGET attacks 65, 73). The name is had when the link is followed, if it is free then.

    Raises InvalidRequest, and RateLimited, before anything is hashed; whoever chose badly has lost none of the
    registrations that an address may make.
    """
    text = normalise(password)
    to, name = canonical_email(email), canonical_username(username) if username is not None else None
    await admit_here(world, address("register_try", client), client=client)
    context = (to, name, world.url)
    text = await world.hasher.aside(lambda: acceptable(text, context=context))
    await admit(world, address("register", client), client=client)
    digest = await world.hasher.hash(text)
    made = Registration(digest, name, device_label(client.user_agent), client.ip)
    for _ in range(ROUNDS):
        now = world.clock.now()
        user = User(
            id=uuid7(now, secrets.token_bytes(10)),
            email=to,
            email_verified=False,
            username=None,
            digest=digest,
            status=Status.UNVERIFIED,
            roles=(),
            tokens_from=0,
            created_at=now,
        )
        challenge, mail = verification.link(world, made, to, user_id=user.id)
        taken = sealed(world, TAKEN, to, {"device": made.device, "ip": made.ip})
        told = await world.store.register(user, challenge, mail, taken)
        if told is not None:
            world.mail_queued()
            name_of_it = events.USER_CREATED if told.created else events.REGISTERED_AGAIN
            world.emit(Event(name_of_it, now, told.user_id, None, client.ip, "registration"))
            return
    raise Overloaded(retry_after=1)
