"""A login that waits for its second step: the challenge, the code on its way, and the refusals that budgets cause.

Begun by whatever took the first step; taken by the feature of its method. Until then there is no session and no token
but the challenge's own, which authenticates nothing (SECURITY-TARGET attack 58).
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import NoReturn

from watchword import events
from watchword.core.challenge import (
    CODES,
    OVER,
    SECRET,
    Challenge,
    Kind,
    Refused,
    Why,
    code_text,
    digest_of_secret,
    may_begin,
    token,
)
from watchword.core.device import device_label
from watchword.core.factor import Method
from watchword.core.mail import Mail
from watchword.core.session import Client
from watchword.core.user import User
from watchword.core.uuid7 import uuid7
from watchword.errors import ChallengeExpired, RateLimited, TooManyAttempts
from watchword.events import Event
from watchword.flows.outbox import sealed
from watchword.ports import World
from watchword.settings import Mode

MAIL = "code"
"""The kind of the message, which names its template."""


@dataclass(frozen=True, slots=True)
class SecondStep:
    """What a client needs to go on: the challenge's secret, the methods it may choose from, and how many seconds the
    code is good for. `mode` will be the session's."""

    token: str = field(repr=False)
    mode: Mode
    methods: tuple[Method, ...]
    expires_in: int


async def begin(
    world: World, user: User, *, client: Client, mode: Mode, amr: tuple[str, ...], known: bool = False
) -> SecondStep | None:
    """Send a code to a user who has taken the first step by `amr`, unless their password or status has changed since
    they were read: then None. `known` as `sign_in.start_session` will be told. Raises TooManyAttempts, RateLimited."""
    now, secret = world.clock.now(), secrets.token_bytes(SECRET)
    challenge_id = uuid7(now, secrets.token_bytes(10))
    code, mail = compose(world, user, challenge_id, client=client, now=now, expires_at=now + world.lives.code)
    challenge = Challenge(
        id=challenge_id,
        kind=Kind.LOGIN,
        user_id=user.id,
        digest=digest_of_secret(secret),
        code=code,
        payload={"mode": mode.value, "amr": list(amr), "known": known},
        created_at=now,
        sent_at=now,
        expires_at=now + world.lives.code,
    )
    issued = await world.store.issue_challenge(challenge, mail, digest=user.digest)
    if issued is None:
        return None
    if not issued.done:
        refuse(world, may_begin(issued.spent), now=issued.now, user_id=user.id, client=client)
    world.mail_queued()
    world.emit(Event(events.CODE_SENT, now, user.id, None, client.ip, Kind.LOGIN.value))
    return SecondStep(token(secret), mode, (Method.EMAIL,), world.lives.code // 1_000_000)


def compose(
    world: World,
    user: User,
    challenge_id: str,
    *,
    client: Client,
    now: int,
    expires_at: int,
    kind: str = MAIL,
) -> tuple[bytes, Mail]:
    """A new code: what the challenge's row holds of it, and the message that tells it.

    The message names the device, as what a code opens is the login of whoever asked for it (attack 61); `kind` is its
    template.
    """
    code = code_text(secrets.randbelow(CODES))
    payload = {
        "code": code,
        "device": device_label(client.user_agent),
        "ip": client.ip,
        "minutes": max(1, (expires_at - now) // 60_000_000),
    }
    mail = sealed(world, kind, user.email, payload, expires_at=expires_at)
    return world.codes.digest(code, challenge_id=challenge_id), mail


def refuse(
    world: World, refused: Refused | None, *, now: int, user_id: str | None, client: Client
) -> NoReturn:
    """Say no, and note it. None, where the clock has just passed the instant that forbade it, is told as over.

    Raises ChallengeExpired, TooManyAttempts, RateLimited.
    """
    refused = refused or OVER
    world.emit(Event(events.CODE_REFUSED, now, user_id, None, client.ip, refused.why.value))
    seconds = max(1, -((now - (refused.until or now)) // 1_000_000))
    match refused.why:
        case Why.OVER:
            raise ChallengeExpired
        case Why.SPENT:
            raise TooManyAttempts("Too many wrong codes: begin again.", retry_after=seconds)
        case Why.TRIED:
            raise TooManyAttempts(retry_after=seconds)
        case Why.SENT:
            raise RateLimited("Too many codes: try again later.", retry_after=seconds)
