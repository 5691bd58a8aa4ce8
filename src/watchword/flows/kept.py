"""Sessions in one cookie, without refresh tokens: a JWT that is issued again, an opaque token that is looked up.

Nothing rotates here but by a step-up, so a copied cookie is good for as long as its session is: whoever wants theft to
be noticed takes a mode that rotates.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from watchword.core import session_token
from watchword.core.session import Client, Principal, Session, used, worth_noting
from watchword.errors import InvalidToken, Overloaded, SessionEnded, TokenExpired
from watchword.flows.grant import Grant, grant, principal
from watchword.ports import LoadedSession, World
from watchword.settings import Mode

SWAPS = 16
"""Lost compare-and-swaps after which a use is not noted any more: far beyond what one session's clients can cause."""


async def renew(world: World, known: Principal, *, client: Client) -> Grant:
    """Another JWT for the session of one that was rightly signed, expired or not (DESIGN §5, mode `jwt_cookie`).

    It is of the same generation: what a step-up proved is for whoever holds the token that it brought.

    Raises SessionEnded, TokenExpired when the session's mode has refresh tokens that renew it, InvalidToken when
    another one was used since a step-up, Unavailable, Overloaded.
    """
    number = known.generation
    if number is None:
        raise TokenExpired

    def generation(found: LoadedSession | None) -> int:
        if found is None or found.user.id != known.id:
            raise SessionEnded
        if found.session.mode is not Mode.JWT_COOKIE:
            raise TokenExpired
        return number

    loaded, read_at, _ = await _use(world, known.sid, generation, client)
    session = loaded.session
    proved_at = min(known.auth_time * 1_000_000, session.auth_time)
    return _granted(world, loaded, _as_of(session, number, proved_at, known.amr), read_at=read_at)


async def look_up(world: World, token: bytes, *, client: Client) -> tuple[Principal, Grant, bool]:
    """Whom an opaque token speaks for, the same token to be set again, and whether its session's life was extended.

    Raises InvalidToken, SessionEnded, Unavailable, Overloaded.
    """
    named = world.session_tokens.read(token)
    if named is None:
        raise InvalidToken

    def generation(found: LoadedSession | None) -> int:
        if found is None or found.session.mode is not Mode.SESSION:
            raise InvalidToken
        if not world.session_tokens.genuine(named, found.session.seed):
            raise InvalidToken
        return named.generation

    loaded, read_at, extended = await _use(world, named.sid, generation, client)
    # The row keeps no other instant than that of the last proof, and the first: an older token has the first.
    session = loaded.session
    held = _as_of(session, named.generation, session.created_at, session.amr)
    again = _granted(world, loaded, held, read_at=read_at)
    return principal(world, replace(loaded, session=held), read_at=read_at), again, extended


async def is_good(world: World, token: bytes) -> bool:
    """Whether `look_up` would know an opaque token, whose use is not meant and not noted. Raises Unavailable."""
    named = world.session_tokens.read(token)
    loaded = await world.store.load_session(named.sid) if named else None
    if named is None or loaded is None:
        return False
    session = loaded.session
    return (
        session.mode is Mode.SESSION
        and world.session_tokens.genuine(named, session.seed)
        and session.live(loaded.user, loaded.now)
        and session_token.taken_up(
            session.lineage, named.generation, now=loaded.now, window=world.lives.window
        )
        is not None
    )


def _as_of(session: Session, generation: int, auth_time: int, amr: tuple[str, ...]) -> Session:
    """The session as a token of `generation` stands for it: with what was proved since only if it is the newest.

    Whoever copied an older one would otherwise share in the proof (ASVS 5.0 7.5.1).
    """
    if generation >= session.lineage.newest:
        return session
    lineage = replace(session.lineage, newest=generation)
    return replace(session, lineage=lineage, auth_time=auth_time, amr=amr)


def _granted(world: World, loaded: LoadedSession, held: Session, *, read_at: int) -> Grant:
    made = grant(world, held, loaded.user, now=loaded.now, read_at=read_at)
    return replace(made, session=loaded.session, newest=held is loaded.session)


async def _use(
    world: World, sid: str, generation: Callable[[LoadedSession | None], int], client: Client
) -> tuple[LoadedSession, int, bool]:
    """Load a live session and note that it was used, at most once a minute; with the instant before it was read.

    `generation` tells of what was loaded which generation the token is of, and raises when it is none.
    """
    for _ in range(SWAPS):
        read_at = world.clock.now()
        loaded = await world.store.load_session(sid)
        number = generation(loaded)
        assert loaded is not None  # noqa: S101 - `generation` raises
        if not loaded.session.live(loaded.user, loaded.now):
            raise SessionEnded
        after = _used(world, loaded.session, number, loaded.now, client)
        if after is loaded.session:
            return loaded, read_at, False
        if await world.store.swap_session(loaded.session, after):
            return replace(loaded, session=after), read_at, True
    raise Overloaded(retry_after=1)


def _used(world: World, session: Session, generation: int, now: int, client: Client) -> Session:
    """The session after a use, the same object when it is not worth a write. Raises InvalidToken."""
    lineage = session_token.taken_up(session.lineage, generation, now=now, window=world.lives.window)
    if lineage is None:
        raise InvalidToken
    if lineage is session.lineage and not worth_noting(session, now=now, lives=world.lives):
        return session
    return replace(used(session, client=client, now=now, lives=world.lives), lineage=lineage)
