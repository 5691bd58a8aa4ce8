"""Refreshing: read the session, let `rotation.decide` judge, swap, answer; and proving again who one is."""

from __future__ import annotations

from dataclasses import replace

from watchword import events
from watchword.core.derived_token import Presented
from watchword.core.rotation import MINTS, Kind, Lineage, branch, decide
from watchword.core.session import Client, End, Session, used
from watchword.errors import InvalidToken, Overloaded, RefreshReused, RefreshSuperseded, SessionEnded
from watchword.events import Event
from watchword.flows.end import end_once, forget
from watchword.flows.grant import Grant, grant
from watchword.flows.limits import admit_refresh
from watchword.flows.notices import REUSED, notice
from watchword.meters import REFRESHES
from watchword.ports import LoadedSession, World
from watchword.settings import Mode

SWAPS = 16
"""Lost compare-and-swaps after which a request gives up: far beyond what one session's clients can cause."""


async def refresh(
    world: World, token: str, *, in_cookie: bool, client: Client, mode: Mode | None = None
) -> Grant:
    """New tokens for a refresh token, as DESIGN §4.1's table says (RFC 9700 §4.14.2, ASVS 5.0 10.4.5).

    With `mode` only a session of that mode is renewed; the token of another one is left as it is.

    Raises InvalidToken, SessionEnded, RefreshSuperseded, RefreshReused, RateLimited; Overloaded when the row keeps
    changing.
    """
    presented = world.refresh_tokens.read(token)
    if presented is None:
        world.counts.add(REFRESHES, Kind.UNKNOWN.value)
        raise InvalidToken
    for turn in range(SWAPS):
        read_at = world.clock.now()
        loaded = await world.store.load_session(presented.sid)
        if loaded is None or not _ours(world, loaded.session, presented, in_cookie=in_cookie):
            world.counts.add(REFRESHES, Kind.UNKNOWN.value)
            raise InvalidToken
        if mode is not None and loaded.session.mode is not mode:
            raise InvalidToken
        session, user, now = loaded.session, loaded.user, loaded.now
        if not turn:
            await admit_refresh(world, session.sid, user.id, client=client)
        decision = decide(
            session.lineage,
            presented.generation,
            context=client.context,
            now=now,
            window=world.lives.window,
            # Of a mode that is enabled no more its tokens would go where nobody looks for them.
            live=session.live(user, now) and session.mode in world.modes,
            replaced_at=session.replaced_at,
        )
        if decision.kind not in MINTS:  # what is minted counts once it is written
            world.counts.add(REFRESHES, decision.kind.value)
        match decision.kind:
            case Kind.UNKNOWN:
                raise InvalidToken
            case Kind.ENDED:
                raise SessionEnded
            case Kind.SUPERSEDED:
                raise RefreshSuperseded(retry_after=1)
            case Kind.REUSE:
                await _end_reused(world, loaded, client)
                raise RefreshReused
            case Kind.REPEAT:
                if decision.lineage is not session.lineage:
                    await world.store.record_crossing(session.sid, decision.lineage)
                return grant(world, session, user, now=now, read_at=read_at)
            case _:
                after = _minted(world, session, decision.lineage, now, client)
                if await world.store.swap_session(session, after):
                    world.counts.add(REFRESHES, decision.kind.value)
                    if decision.kind is Kind.AHEAD:
                        detail = f"generation {presented.generation} after {session.lineage.newest}"
                        world.emit(Event(events.SESSION_AHEAD, now, user.id, session.sid, client.ip, detail))
                    return grant(world, after, user, now=now, read_at=read_at)
    raise Overloaded(retry_after=1)


async def reauthenticate(world: World, loaded: LoadedSession, *, method: str, client: Client) -> Grant:
    """Renew `auth_time` of a live session whose user has just proved who they are by `method`; the sid stays.

    Raises SessionEnded when the session ended meanwhile, as it does by a new password unless it was set from here.
    """
    sid = loaded.session.sid
    for _ in range(SWAPS):
        read_at = world.clock.now()
        current = await world.store.load_session(sid)
        if current is None or not current.session.live(current.user, current.now):
            raise SessionEnded
        after = proved(world, current, method=method, client=client)
        if await world.store.swap_session(current.session, after):
            return granted(world, after, current, method=method, client=client, read_at=read_at)
    raise Overloaded(retry_after=1)


def proved(world: World, current: LoadedSession, *, method: str, client: Client) -> Session:
    """The session once its user has proved by `method` who they are: a branch, so that no token in flight is lost."""
    session, now = current.session, current.now
    lineage = branch(session.lineage, context=client.context, now=now).lineage
    amr = session.amr if method in session.amr else (*session.amr, method)
    return replace(_minted(world, session, lineage, now, client), auth_time=now, amr=amr)


def granted(
    world: World, after: Session, before: LoadedSession, *, method: str, client: Client, read_at: int
) -> Grant:
    """Tell what `proved` made, once it is written."""
    user, now = before.user, before.now
    world.emit(Event(events.REAUTHENTICATED, now, user.id, after.sid, client.ip, method))
    return grant(world, after, user, now=now, read_at=read_at)


def _ours(world: World, session: Session, presented: Presented, *, in_cookie: bool) -> bool:
    """Genuine, and brought the way this session's tokens travel."""
    genuine = world.refresh_tokens.genuine(presented, session)
    return genuine and session.mode.rotates and session.mode.refresh_in_cookie is in_cookie


def _minted(world: World, session: Session, lineage: Lineage, now: int, client: Client) -> Session:
    return replace(used(session, client=client, now=now, lives=world.lives), lineage=lineage)


async def _end_reused(world: World, loaded: LoadedSession, client: Client) -> None:
    """Whoever comes with it, thief or victim, the owner is told (RFC 9700 §4.14.2)."""
    session, now = loaded.session, loaded.now
    mail = notice(world, REUSED, loaded.user, client=client, now=now)
    ended = await end_once(world, session.sid, End.REUSE, now=now, user_id=session.user_id, mail=mail)
    if ended is not None:
        world.mail_queued()
        forget(world, [ended])
        world.emit(Event(events.REFRESH_REUSED, now, session.user_id, session.sid, client.ip))


assert MINTS == {Kind.AHEAD, Kind.ROTATE, Kind.BRANCH}  # noqa: S101 - the `case _` above relies on it
