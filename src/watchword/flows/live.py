"""Asking the database about a principal: for routes that demand it, and for guards whose feed has fallen silent."""

from __future__ import annotations

from watchword.core.access_token import LEEWAY
from watchword.core.session import Principal
from watchword.errors import Forbidden, ReauthenticationRequired, SessionEnded, TokenExpired
from watchword.ports import LoadedSession, World


async def load_live(world: World, principal: Principal) -> LoadedSession:
    """The principal's session and user, read now. Raises SessionEnded, TokenExpired (new roles), Unavailable."""
    loaded = await world.store.load_session(principal.sid)
    if loaded is None or loaded.user.id != principal.id or not loaded.session.live(loaded.user, loaded.now):
        raise SessionEnded
    if principal.issued_at < loaded.user.tokens_from:
        raise TokenExpired
    return loaded


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
        check_fresh(loaded, fresh)


def check_fresh(loaded: LoadedSession, seconds: int) -> None:
    """Raises ReauthenticationRequired if the last proof of who the user is lies further back (ASVS 5.0 7.5.1)."""
    age = loaded.now - loaded.session.auth_time
    if (
        not -LEEWAY * 1_000_000 <= age <= seconds * 1_000_000
    ):  # one that lies ahead is of a clock that went wrong
        raise ReauthenticationRequired(seconds)
