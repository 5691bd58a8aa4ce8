"""Completing a registration by its link."""

from __future__ import annotations

from watchword import events
from watchword.core.password import normalise
from watchword.core.registration import Registration
from watchword.core.session import Client, End
from watchword.core.user import Status
from watchword.errors import AlreadyExists, InvalidCredentials
from watchword.events import Event
from watchword.flows.end import tell
from watchword.flows.limits import admit
from watchword.ports import LoadedLink, World


async def complete(world: World, found: LoadedLink, password: str | None, client: Client) -> bool:
    """The user is active from now on, with the password and name of the registration that this link is of, and nothing
    that anybody else has left: no other link, no session, no second step (SECURITY-TARGET attack 75).

    A password, if there is one, must be that registration's: who opens a link of a stranger's does not confirm it
    then. Raises InvalidCredentials, RateLimited, InvalidRequest.
    """
    challenge, user = found.challenge, found.user
    made = Registration.of(challenge.payload)
    if user.status is not Status.UNVERIFIED or user.email != challenge.payload["email"]:
        return False
    if password is not None:
        text = normalise(password)
        await admit(world, ("verify_link", challenge.id), client=client, user_id=user.id)
        if not await world.hasher.verify(made.digest, text):
            world.emit(Event(events.VERIFY_REFUSED, world.clock.now(), user.id, None, client.ip))
            raise InvalidCredentials("This is not the password that this link's registration was made with.")
    try:
        ended = await world.store.redeem_registration(challenge, user.email, made.digest, made.username)
    except AlreadyExists:  # somebody has the name by now, and the address is proved all the same
        ended = await world.store.redeem_registration(challenge, user.email, made.digest, None)
    if ended is None:  # another link was faster, or the user has changed
        return False
    now = world.clock.now()
    tell(world, ended, user_id=user.id, reason=End.PASSWORD, now=now, ip=client.ip)
    world.emit(Event(events.STATUS_CHANGED, now, user.id, None, client.ip, Status.ACTIVE.value))
    return True
