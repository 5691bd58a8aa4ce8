"""Following a link that proves an address, and asking for another one.

One route takes all such links; what follows is the business of each kind, and `COMPLETED_BY` says whose.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import NoReturn

from watchword import events
from watchword.core.challenge import Kind, digest_of
from watchword.core.device import device_label
from watchword.core.registration import Registration, meant
from watchword.core.session import Client
from watchword.core.user import Status, User, canonical_login
from watchword.core.uuid7 import uuid7
from watchword.errors import ChallengeExpired
from watchword.events import Event
from watchword.features.email_verification import new_address, registration
from watchword.flows import verification
from watchword.flows.limits import address, admit
from watchword.ports import LoadedLink, World

Complete = Callable[[World, LoadedLink, str | None, Client], Awaitable[bool]]
"""Does what a link of some kind was sent for, given a password if one came along; False when it is over by now."""

COMPLETED_BY: Mapping[Kind, Complete] = {
    Kind.VERIFY: registration.complete,
    Kind.ADDRESS: new_address.complete,
}
"""Every kind of link that proves an address. Another one is a line here and a file beside this one."""


async def verify(world: World, presented: str | None, password: str | None, *, client: Client) -> None:
    """Do what a link was sent for. Whoever followed it is signed in to nothing: they sign in as usual.

    Raises RateLimited; ChallengeExpired, for everything that is no open link alike and before a password is looked
    at; what its kind raises, the link being as good as before.
    """
    await admit(world, address("verify", client), client=client)
    found = await _found(world, presented)
    if found is None or not found.challenge.open(found.now):
        _refuse(world, found, client)
    if not await COMPLETED_BY[found.challenge.kind](world, found, password, client):
        _refuse(world, found, client)


async def resend(world: World, email: str, *, client: Client) -> None:
    """Send the link of a registration again, with another secret, if the address is of somebody who has not verified
    it: nothing that is asked, done or answered here tells whether it is (SECURITY-TARGET attack 65). Earlier links stay
    as good as they were. Raises RateLimited for an address that asks too often, whomever it asks about.
    """
    await admit(world, address("verify_resend", client), client=client)
    now, login = world.clock.now(), canonical_login(email)
    nobody = uuid7(now, secrets.token_bytes(10))
    user = await world.store.find_user(login if "@" in login else "")
    waits = user is not None and user.status is Status.UNVERIFIED
    whose = user.id if user is not None and waits else nobody
    again = meant(await world.store.recent_links(whose, Kind.VERIFY), client.ip)
    made = Registration.of(again.payload) if again else _left(user if waits else None)
    to = user.email if user is not None else login
    challenge, mail = verification.link(world, made, to, user_id=whose if made.digest else nobody)
    sent = await world.store.issue_link(challenge, mail)
    world.mail_queued()
    world.emit(Event(events.VERIFY_REQUESTED, now, whose if sent else None, None, client.ip))


def _left(user: User | None) -> Registration:
    """What somebody is verified with whose links an administrator has ended, by a password of theirs or by disabling:
    the password that the user has. Without any there is nothing to send."""
    digest = user.digest if user is not None else None
    return Registration(digest or "", None, device_label(""), "")


async def _found(world: World, presented: str | None) -> LoadedLink | None:
    digest = digest_of(presented or "")
    if digest is None:
        return None
    for kind in COMPLETED_BY:
        found = await world.store.load_link(digest, kind)
        if found is not None:
            return found
    return None


def _refuse(world: World, found: LoadedLink | None, client: Client) -> NoReturn:
    whose = found.user.id if found else None
    world.emit(Event(events.VERIFY_REFUSED, world.clock.now(), whose, None, client.ip))
    raise ChallengeExpired("This link has expired or was used already: ask for another.")
