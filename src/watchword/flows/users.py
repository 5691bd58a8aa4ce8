"""What an administrator does with users: for `auth.users`, the command line and features alike."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from watchword import events
from watchword.core.session import End
from watchword.core.user import (
    Status,
    User,
    canonical_email,
    canonical_login,
    canonical_roles,
    canonical_username,
)
from watchword.core.uuid7 import uuid7
from watchword.errors import NotFound
from watchword.events import Event
from watchword.flows.end import tell
from watchword.flows.notices import FACTOR_REMOVED, notice
from watchword.ports import World


async def create(
    world: World,
    email: str,
    digest: str | None,
    *,
    username: str | None = None,
    roles: Sequence[str] = (),
    status: Status = Status.ACTIVE,
) -> User:
    """A new user, verified unless `status` says otherwise. Raises InvalidRequest, AlreadyExists."""
    now = world.clock.now()
    user = User(
        id=uuid7(now, secrets.token_bytes(10)),
        email=canonical_email(email),
        email_verified=status is not Status.UNVERIFIED,
        username=canonical_username(username) if username else None,
        digest=digest,
        status=status,
        roles=canonical_roles(tuple(roles)),
        tokens_from=0,
        created_at=now,
    )
    await world.store.create_user(user)
    world.emit(Event(events.USER_CREATED, now, user.id))
    return user


async def find(world: World, login_or_id: str) -> User:
    """By id, email or username, in this order: nobody may pass for another by a username that is his id.

    Raises NotFound.
    """
    login = canonical_login(login_or_id)
    user = await world.store.load_user(login_or_id) or (await world.store.find_user(login) if login else None)
    if user is None:
        raise NotFound("There is no such user.")
    return user


async def set_password(world: World, user: User, digest: str, *, keep: str | None = None) -> None:
    """A new password's digest; every session but `keep` ends (ASVS 5.0 7.4.3)."""
    now = world.clock.now()
    ended = await world.store.change_password(user.id, digest, now=now, keep=keep)
    if ended is None:
        raise NotFound("There is no such user.")
    world.emit(Event(events.PASSWORD_CHANGED, now, user.id))
    tell(world, ended, user_id=user.id, reason=End.PASSWORD, now=now)


async def enable(world: World, user: User) -> Status:
    """Let somebody sign in again, or who has never proved their address do so first: nobody's word takes the place of
    that proof, as the password may be of whoever signed up with somebody else's address (SECURITY-TARGET attack 75).
    Which of the two they are now."""
    now = world.clock.now()
    status = await world.store.enable_user(user.id)
    if status is None:
        raise NotFound("There is no such user.")
    world.emit(Event(events.STATUS_CHANGED, now, user.id, detail=status.value))
    return status


async def set_status(world: World, user: User, status: Status) -> None:
    """A status, whatever speaks for it; the sessions of who is not active end (ASVS 5.0 7.4.2)."""
    now = world.clock.now()
    ended = await world.store.change_status(user.id, status, now=now)
    if ended is None:
        raise NotFound("There is no such user.")
    world.emit(Event(events.STATUS_CHANGED, now, user.id, detail=status.value))
    tell(world, ended, user_id=user.id, reason=End.DISABLED, now=now)


async def set_roles(world: World, user: User, roles: Sequence[str]) -> None:
    """New roles; access tokens that name the old ones are refused from now on (ASVS 5.0 8.3.2)."""
    now = world.clock.now()
    names = canonical_roles(tuple(roles))
    row = await world.store.change_roles(user.id, names, now=now)
    if row is None:
        raise NotFound("There is no such user.")
    world.revocations.add(tokens_from=[row])
    world.revoked()
    world.emit(Event(events.ROLES_CHANGED, now, user.id, detail=",".join(names)))


async def turn_off_factors(world: World, user: User) -> int:
    """For who cannot take the second step any more, and has proved it to an administrator; how many were turned off.
    All sessions end with them, and the owner is told (ASVS 5.0 6.3.7, 7.4.3)."""
    factors = await world.store.list_factors(user.id)
    count = 0
    for factor in factors:
        now = world.clock.now()
        mail = notice(world, FACTOR_REMOVED, user, client=None, now=now)
        ended = await world.store.remove_factor(factor.id, user_id=user.id, now=now, keep=None, mail=mail)
        if ended is None:  # its owner was faster
            continue
        count += 1
        world.mail_queued()
        world.emit(Event(events.FACTOR_REMOVED, now, user.id, detail=factor.method.value))
        tell(world, ended, user_id=user.id, reason=End.FACTOR, now=now)
    return count


async def delete(world: World, user: User) -> None:
    """The user and all sessions go."""
    now = world.clock.now()
    ended = await world.store.delete_user(user.id, now=now)
    if ended is None:
        raise NotFound("There is no such user.")
    tell(world, ended, user_id=user.id, reason=End.REVOKED, now=now)
    world.emit(Event(events.USER_DELETED, now, user.id))
