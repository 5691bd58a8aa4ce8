"""Asking the database about a principal: for routes that demand it, and for guards whose feed has fallen silent."""

from __future__ import annotations

from watchword.core.access_token import LEEWAY
from watchword.core.session import Principal
from watchword.errors import Forbidden, ReauthenticationRequired, SessionEnded, TokenExpired
from watchword.ports import LoadedSession, World

FRESH_SECONDS = 300
"""How recent a sign-in must be to end other sessions or to change who may sign in (ASVS 5.0 7.5.1)."""


async def load_live(world: World, principal: Principal) -> LoadedSession:
    """The principal's session and user, read now. Raises SessionEnded, TokenExpired (new roles), Unavailable."""
    return judge(await world.store.load_session(principal.sid), principal)


def judge(loaded: LoadedSession | None, principal: Principal) -> LoadedSession:
    """What was read, if the principal still is what a guard took it for. Raises SessionEnded, TokenExpired."""
    if loaded is None or loaded.user.id != principal.id or not loaded.session.live(loaded.user, loaded.now):
        raise SessionEnded
    if principal.issued_at < loaded.user.tokens_from:
        raise TokenExpired
    return loaded


async def still_live(world: World, loaded: LoadedSession) -> None:
    """Why a write was refused that a session must vouch for, if that is why. Raises SessionEnded."""
    again = await world.store.load_session(loaded.session.sid)
    if again is None or not again.session.live(again.user, again.now):
        raise SessionEnded


async def demand(
    world: World,
    principal: Principal,
    *,
    fresh: int | None = None,
    live: bool = False,
    role: str | None = None,
) -> None:
    """What a guarded route asks beyond a valid token; `fresh` is the greatest age of the sign-in, in seconds.

    Raises Forbidden, ReauthenticationRequired (RFC 9470), SessionEnded, TokenExpired, Unavailable.
    """
    if role is not None and role not in principal.roles:
        raise Forbidden(f"This needs the role {role}.")
    if fresh is None and not live:
        return
    loaded = await load_live(world, principal)
    if role is not None and role not in loaded.user.roles:
        raise Forbidden(f"This needs the role {role}.")
    if fresh is not None:
        check_fresh(principal, loaded, fresh)


def check_fresh(principal: Principal, loaded: LoadedSession, seconds: int) -> None:
    """Raises ReauthenticationRequired if the last proof of who the user is lies further back (ASVS 5.0 7.5.1).

    Both the session's and the token's: an access token or a session cookie that was stolen before the user proved it
    again has no part in that, however it is renewed. A refresh token from before has, until its reuse is noticed: it
    brings what the newest one would, so that an honest client whose answer was lost goes on (decisions 1 and 11).
    """
    age = loaded.now - loaded.session.auth_time
    ahead = age < -LEEWAY * 1_000_000  # of a clock that went wrong
    if ahead or age > seconds * 1_000_000 or loaded.now // 1_000_000 - principal.auth_time > seconds:
        raise ReauthenticationRequired(seconds)
