"""Signing in with a password, and proving it again: load, hash, decide, write once."""

from __future__ import annotations

from dataclasses import replace

from watchword import events
from watchword.core.login import Step, next_step
from watchword.core.session import Client
from watchword.core.user import User, canonical_login
from watchword.errors import InvalidCredentials
from watchword.events import Event
from watchword.features.password.rules import normalise
from watchword.flows import refresh, sign_in
from watchword.flows.grant import Grant
from watchword.ports import LoadedSession, World
from watchword.settings import Mode

METHOD = "pwd"
"""How a password is called in `amr` (RFC 8176)."""
ROUNDS = 3
"""How often a sign-in starts over because its user changed under it."""


async def log_in(
    world: World, login: str, password: str, *, client: Client, mode: Mode, replaces: str | None
) -> Grant | Step:
    """A session for a right password, or `Step.VERIFY_EMAIL`. Raises InvalidCredentials for all else alike.

    Unknown, disabled and wrong cost one verification each (ASVS 5.0 6.3.8, SECURITY-TARGET attack 65).
    """
    text = normalise(password)
    for _ in range(ROUNDS):
        user = await world.store.find_user(canonical_login(login))
        right = await world.hasher.verify(user.digest if user else None, text)
        step = next_step(user, password_right=right)
        if user is None or step is Step.REFUSE:
            known = user.id if user else None
            world.emit(Event(events.SIGN_IN_FAILED, world.clock.now(), known, None, client.ip))
            break
        if step is Step.VERIFY_EMAIL:
            return step
        user = await _with_digest_of_today(world, user, text)
        grant = await sign_in.start_session(
            world, user, amr=(METHOD,), client=client, mode=mode, replaces=replaces
        )
        if grant is not None:
            return grant
    raise InvalidCredentials


async def reauthenticate(world: World, loaded: LoadedSession, password: str, *, client: Client) -> Grant:
    """The same session with a new `auth_time`. Raises InvalidCredentials, SessionEnded."""
    if not await world.hasher.verify(loaded.user.digest, normalise(password)):
        world.emit(
            Event(events.SIGN_IN_FAILED, world.clock.now(), loaded.user.id, loaded.session.sid, client.ip)
        )
        raise InvalidCredentials("The password is wrong.")
    return await refresh.reauthenticate(world, loaded, method=METHOD, client=client)


async def _with_digest_of_today(world: World, user: User, password: str) -> User:
    """Hash again with today's parameters, if the stored digest was made with older ones (ASVS 5.0 11.2.2)."""
    if user.digest is None or not world.hasher.outdated(user.digest):
        return user
    digest = await world.hasher.hash(password)
    return (
        replace(user, digest=digest)
        if await world.store.replace_digest(user.id, old=user.digest, new=digest)
        else user
    )
