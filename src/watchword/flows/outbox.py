"""Mail: sealing a message for the outbox, and one step of sending what is in there.

A message is sent at least once. It is leased, handed to the server, and noted as sent when the server has said that it
took it over; whoever dies in between leaves it to be leased by the next. So it arrives twice only if we died, or the
server fell silent, after it had it and before we knew. Which server and how is a port.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from watchword import events
from watchword.core.mail import LIFE, NONCE, Letter, Mail, Queued, next_wait, noted
from watchword.core.uuid7 import uuid7
from watchword.errors import MailDelayed, MailError, MailRefused, MailUnreachable
from watchword.events import Event
from watchword.ports import Mailer, World

LEASE = 60_000_000
"""How long one try may take, with its report; a mailer gives up in half of that."""


def sealed(
    world: World, kind: str, to: str, payload: Mapping[str, Any], *, expires_at: int | None = None
) -> Mail:
    """A message for the verb that writes what it announces. When that has been written: `world.mail_queued()`.

    `to` must be an address as stored, `kind` the name of a template. Of no use from `expires_at` on, else after three
    days.
    """
    now = world.clock.now()
    mail_id = uuid7(now, secrets.token_bytes(10))
    nonce = secrets.token_bytes(NONCE)
    return Mail(
        id=mail_id,
        to=to,
        kind=kind,
        sealed=world.seals.seal(payload, mail_id=mail_id, nonce=nonce),
        created_at=now,
        expires_at=now + LIFE if expires_at is None else expires_at,
    )


def opened(world: World, mail: Mail) -> Letter:
    """What its reader will see. Raises MailDelayed."""
    payload = world.seals.open(mail.sealed, mail_id=mail.id)
    if payload is None:
        raise MailDelayed("it was sealed under a secret that this process does not have")
    return world.letters.write(mail, payload)


async def send_next(world: World, mailer: Mailer, unnoted: list[str]) -> bool:
    """Send the message that has been due for longest. False when there is none, or no server: time to rest.

    `unnoted` is the caller's to keep between calls: what the server has and the store does not know of yet, because it
    did not answer. Raises Unavailable.
    """
    await _note(world, unnoted)
    queued = await world.store.lease_mail(span=LEASE)
    if queued is None:
        return False
    try:
        if queued.mail.expires_at <= world.clock.now():
            raise MailRefused("it has expired")
        await mailer.send(opened(world, queued.mail))
    except MailError as error:
        await _report(world, queued, error)
        return not isinstance(error, MailUnreachable)
    except Exception as error:  # noqa: BLE001 - an app's own mailer or template: it must not be tried without a pause
        await _report(world, queued, MailDelayed(f"{type(error).__name__} in the mailer or a template"))
        return True
    unnoted.append(queued.mail.id)
    await _note(world, unnoted)
    return True


async def _note(world: World, unnoted: list[str]) -> None:
    while unnoted:
        await world.store.mail_sent(unnoted[0])
        del unnoted[0]


async def _report(world: World, queued: Queued, error: MailError) -> None:
    now = world.clock.now()
    jitter = secrets.randbelow(1000) / 1000
    wait = next_wait(queued, refused=isinstance(error, MailRefused), now=now, jitter=jitter)
    if await world.store.mail_failed(queued, noted(str(error)), wait=wait):
        name = events.MAIL_FAILED if wait is None else events.MAIL_DELAYED
        world.emit(Event(name, now, detail=f"{queued.mail.kind} {queued.mail.id}: {error.reason}"))
