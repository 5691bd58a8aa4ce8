"""Ending sessions, by whoever may: the user, an administrator, a rule. Applied in this process at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from watchword import events
from watchword.core.challenge import digest_of
from watchword.core.mail import Mail
from watchword.core.revocation import Revoked
from watchword.core.session import End, Principal
from watchword.errors import InvalidToken, Problem, Unavailable
from watchword.events import Event
from watchword.ports import LoadedSession, World
from watchword.settings import Mode

LOST = 15_000_000
"""µs that lie between the end of a session and the news that its answer was lost, at most: what a store waits."""


@dataclass(frozen=True, slots=True)
class Brought:
    """The tokens that a request brings, none of them checked: a refresh token, an access token, the JWT of mode
    `jwt_cookie`, the token of mode `session`, that of a login that waits for its second step."""

    refresh: str | None = field(default=None, repr=False)
    access: bytes | None = field(default=None, repr=False)
    jwt: bytes | None = field(default=None, repr=False)
    session: bytes | None = field(default=None, repr=False)
    challenge: str | None = field(default=None, repr=False)


async def log_out(world: World, brought: Brought, *, ip: str) -> bool:
    """End the session of a genuine refresh or session token, else of an access token with a right signature, expired
    or not, and a login under way. False when there was no session to end, which is no error."""
    await _abandon(world, brought)
    loaded = await holder(world, brought)
    if loaded is None:
        return False
    return await end_one(world, loaded.session.sid, End.LOGOUT, user_id=loaded.user.id, ip=ip)


async def log_out_everywhere(world: World, brought: Brought, *, ip: str) -> int:
    """End all sessions of the user whose session a token is of; how many.

    Only for a token that could still renew or authenticate that session: an old one may be in anybody's hands, and
    ends its own session at most.
    """
    await _abandon(world, brought)
    loaded = await holder(world, brought)
    if loaded is None:
        return 0
    if not (_renews(world, loaded, brought) or _authenticates(world, loaded, brought.access)):
        return int(await end_one(world, loaded.session.sid, End.LOGOUT, user_id=loaded.user.id, ip=ip))
    return await end_all(world, loaded.user.id, End.LOGOUT, ip=ip)


async def end_one(world: World, sid: str, end: End, *, user_id: str, ip: str | None = None) -> bool:
    """End one session of a user; False when they have none such, or it had ended before."""
    now = world.clock.now()
    ended = await end_once(world, sid, end, now=now, user_id=user_id)
    tell(world, [ended] if ended else [], user_id=user_id, reason=end, now=now, ip=ip)
    return ended is not None


async def end_once(
    world: World, sid: str, end: End, *, now: int, user_id: str, mail: Mail | None = None
) -> Revoked | None:
    """As `Store.end_session`; if its answer is lost, what became of it is looked up: who asks again would be told that
    there was nothing to end, and nobody would ever tell of this end (SECURITY-TARGET F4). Raises Unavailable."""
    try:
        return await world.store.end_session(sid, end, now=now, user_id=user_id, mail=mail)
    except Unavailable:
        loaded = await world.store.load_session(sid)
        if loaded is None or loaded.user.id != user_id or loaded.session.end is not end:
            raise
        ended_at = loaded.session.ended_at
        if ended_at is None or loaded.now - ended_at > LOST:
            raise
        return Revoked(sid, ended_at)


async def end_all(
    world: World, user_id: str, end: End, *, keep: str | None = None, ip: str | None = None
) -> int:
    """End all sessions of a user but `keep`; how many."""
    now = world.clock.now()
    ended = await world.store.end_sessions(user_id, end, now=now, keep=keep)
    tell(world, ended, user_id=user_id, reason=end, now=now, ip=ip)
    return len(ended)


async def holder(world: World, brought: Brought) -> LoadedSession | None:
    """The session that these tokens are of, live or not: the refresh token's first; None if none of them is genuine."""
    presented = world.refresh_tokens.read(brought.refresh) if brought.refresh else None
    loaded = await world.store.load_session(presented.sid) if presented else None
    if presented and loaded and world.refresh_tokens.genuine(presented, loaded.session):
        return loaded
    named = world.session_tokens.read(brought.session) if brought.session else None
    loaded = await world.store.load_session(named.sid) if named else None
    if named and loaded and world.session_tokens.genuine(named, loaded.session.seed):
        return loaded
    loaded = await _holder_of_jwt(world, brought.jwt)
    if loaded and loaded.session.mode is Mode.JWT_COOKIE:  # in its cookie no other could be renewed
        return loaded
    return await _holder_of_jwt(world, brought.access)


async def _holder_of_jwt(world: World, token: bytes | None) -> LoadedSession | None:
    principal = _signed(world, token)
    return await world.store.load_session(principal.sid) if principal else None


def _signed(world: World, token: bytes | None) -> Principal | None:
    """What a JWT says that was rightly signed, expired or not."""
    try:
        return world.access_tokens.known(token, world.clock.now()) if token else None
    except InvalidToken:
        return None


def tell(
    world: World, ended: Iterable[Revoked], *, user_id: str, reason: End, now: int, ip: str | None = None
) -> None:
    """Make ended sessions known: to this process's guards, and as events."""
    rows = list(ended)
    forget(world, rows)
    for row in rows:
        world.emit(Event(events.SESSION_ENDED, now, user_id, row.sid, ip, reason.value))


def forget(world: World, ended: Iterable[Revoked]) -> None:
    """Let this process's guards refuse the access tokens of ended sessions from now on, and others hear of it."""
    rows = list(ended)
    if rows:
        world.verifier.forget(world.revocations.add(rows))
        world.revoked()


async def _abandon(world: World, brought: Brought) -> None:
    """Whoever signs out in the middle of a login does not mean to complete it (SECURITY-TARGET attack 60)."""
    digest = digest_of(brought.challenge or "")
    if digest is not None:
        await world.store.end_challenge(digest)


def _renews(world: World, loaded: LoadedSession, brought: Brought) -> bool:
    """Whether this session is live, and what was brought of it could renew it: the parent or one of its children; a
    session token or a JWT that renews itself, unless one from after a step-up was used since."""
    session = loaded.session
    if not session.live(loaded.user, loaded.now):
        return False
    # Asked again: the session may have been found by another token, and anybody can write one for a sid.
    if session.mode is Mode.SESSION:
        named = world.session_tokens.read(brought.session) if brought.session else None
        if named is None or named.sid != session.sid or not world.session_tokens.genuine(named, session.seed):
            return False
        return named.generation > session.lineage.parent
    if session.mode is Mode.JWT_COOKIE:
        known = _signed(world, brought.jwt)
        if known is None or (known.sid, known.id) != (session.sid, session.user_id):
            return False
        return known.generation is not None and known.generation > session.lineage.parent
    presented = world.refresh_tokens.read(brought.refresh) if brought.refresh else None
    if presented is None or not world.refresh_tokens.genuine(presented, session):
        return False
    return presented.generation > session.lineage.floor or presented.generation == session.lineage.parent


def _authenticates(world: World, loaded: LoadedSession, access: bytes | None) -> bool:
    """Whether the access token is valid now, and of this very session: not of another that came along with it."""
    if access is None:
        return False
    try:
        return world.verifier.verify(access, world.clock.now()).sid == loaded.session.sid
    except Problem:
        return False
