"""Ending sessions, by whoever may: the user, an administrator, a rule. Applied in this process at once."""

from __future__ import annotations

from collections.abc import Iterable

from watchword import events
from watchword.core import refresh_token
from watchword.core.revocation import Revoked
from watchword.core.session import End
from watchword.errors import InvalidToken, Problem
from watchword.events import Event
from watchword.ports import LoadedSession, World


async def log_out(world: World, *, refresh: str | None, access: bytes | None, ip: str) -> bool:
    """End the session of a genuine refresh token, else of an access token with a right signature, expired or not.

    False when there was nothing to end, which is no error.
    """
    loaded = await _holder(world, refresh, access)
    if loaded is None:
        return False
    return await end_one(world, loaded.session.sid, End.LOGOUT, user_id=loaded.user.id, ip=ip)


async def log_out_everywhere(world: World, *, refresh: str | None, access: bytes | None, ip: str) -> int:
    """End all sessions of the user whose session a token is of; how many.

    Only for a token that could still renew or authenticate that session: an old one may be in anybody's hands, and
    ends its own session at most.
    """
    loaded = await _holder(world, refresh, access)
    if loaded is None:
        return 0
    if not (_renews(loaded, refresh) or _authenticates(world, loaded, access)):
        return int(await end_one(world, loaded.session.sid, End.LOGOUT, user_id=loaded.user.id, ip=ip))
    return await end_all(world, loaded.user.id, End.LOGOUT, ip=ip)


async def end_one(world: World, sid: str, end: End, *, user_id: str, ip: str | None = None) -> bool:
    """End one session of a user; False when they have none such, or it had ended before."""
    now = world.clock.now()
    ended = await world.store.end_session(sid, end, now=now, user_id=user_id)
    tell(world, [ended] if ended else [], user_id=user_id, reason=end, now=now, ip=ip)
    return ended is not None


async def end_all(
    world: World, user_id: str, end: End, *, keep: str | None = None, ip: str | None = None
) -> int:
    """End all sessions of a user but `keep`; how many."""
    now = world.clock.now()
    ended = await world.store.end_sessions(user_id, end, now=now, keep=keep)
    tell(world, ended, user_id=user_id, reason=end, now=now, ip=ip)
    return len(ended)


async def genuine_session(world: World, token: str | None) -> LoadedSession | None:
    """The session of a genuine refresh token, live or not; None for anything else."""
    presented = refresh_token.read(token) if token else None
    loaded = await world.store.load_session(presented.sid) if presented else None
    if (
        presented is None
        or loaded is None
        or not world.refresh_tokens.genuine(presented, loaded.session.seed)
    ):
        return None
    return loaded


def tell(
    world: World, ended: Iterable[Revoked], *, user_id: str, reason: End, now: int, ip: str | None = None
) -> None:
    """Make ended sessions known: to this process's guards, and as events."""
    rows = list(ended)
    forget(world, rows)
    for row in rows:
        world.emit(Event(events.SESSION_ENDED, now, user_id, row.sid, ip, reason.value))


def forget(world: World, ended: Iterable[Revoked]) -> None:
    """Let this process's guards refuse the access tokens of ended sessions from now on."""
    world.verifier.forget(world.revocations.add(ended))


async def _holder(world: World, refresh: str | None, access: bytes | None) -> LoadedSession | None:
    """The session that either token is of, the refresh token's first."""
    loaded = await genuine_session(world, refresh)
    if loaded is not None or access is None:
        return loaded
    try:
        principal = world.access_tokens.verify(access, world.clock.now())
    except InvalidToken:
        return None
    return await world.store.load_session(principal.sid)


def _renews(loaded: LoadedSession, refresh: str | None) -> bool:
    """Whether this session is live and the refresh token its parent or one of its children."""
    presented = refresh_token.read(refresh) if refresh else None
    if presented is None or presented.sid != loaded.session.sid:
        return False
    lineage = loaded.session.lineage
    current = presented.generation > lineage.floor or presented.generation == lineage.parent
    return current and loaded.session.live(loaded.user, loaded.now)


def _authenticates(world: World, loaded: LoadedSession, access: bytes | None) -> bool:
    """Whether the access token is valid now, and of this very session: not of another that came along with it."""
    if access is None:
        return False
    try:
        return world.verifier.verify(access, world.clock.now()).sid == loaded.session.sid
    except Problem:
        return False
