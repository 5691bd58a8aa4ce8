"""Links that prove an address: what registering and asking for another link have in common."""

from __future__ import annotations

import secrets

from watchword.core.challenge import LINK_LIFE, SECRET, Challenge, Kind, digest_of_secret, token
from watchword.core.mail import Mail
from watchword.core.registration import Registration
from watchword.core.uuid7 import uuid7
from watchword.flows.outbox import sealed
from watchword.ports import World

MAIL = "verify"
"""The kind of the message that a link is sent in."""


def link(world: World, registration: Registration, email: str, *, user_id: str) -> tuple[Challenge, Mail]:
    """A link to `email` that completes a registration, for the verb that writes both. Its secret is in the mail alone.

    The mail names where the registration came from, not who asks for the link.
    """
    now, secret = world.clock.now(), secrets.token_bytes(SECRET)
    challenge = Challenge(
        id=uuid7(now, secrets.token_bytes(10)),
        kind=Kind.VERIFY,
        user_id=user_id,
        digest=digest_of_secret(secret),
        code=b"",
        payload=registration.payload(email),
        created_at=now,
        sent_at=now,
        expires_at=now + LINK_LIFE,
    )
    payload = {
        "token": token(secret),
        "minutes": LINK_LIFE // 60_000_000,
        "device": registration.device,
        "ip": registration.ip,
    }
    return challenge, sealed(world, MAIL, email, payload, expires_at=now + LINK_LIFE)
