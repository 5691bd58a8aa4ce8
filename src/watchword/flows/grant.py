"""What a successful sign-in or renewal yields: the session, its user and the tokens that travel."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from watchword.core.session import Principal, Session
from watchword.core.user import User
from watchword.ports import LoadedSession, World
from watchword.settings import Mode


@dataclass(frozen=True, slots=True)
class Grant:
    """`access_token` authenticates requests: a JWT, or the opaque one of mode `session`. `refresh_token` is empty in
    modes that have none. `expires_in` and `refresh_expires_in` are remaining lives in seconds: of the access token,
    and of the session if nobody uses it; `ends_in` is what is left of the session at most. Not `newest` is a token that
    a step-up has replaced: it must not take the newer one's place in the jar."""

    session: Session
    user: User
    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_in: int
    refresh_expires_in: int
    ends_in: int
    newest: bool = True


def grant(world: World, session: Session, user: User, *, now: int, read_at: int) -> Grant:
    """A fresh access token, and the refresh token of the newest generation; neither outlives the session.

    `now` is the clock that decided. The access token is issued by the host's, which guards compare with, as of
    `read_at`, the instant before `user` was read: roles that changed since then make it an old one (ASVS 5.0 8.3.2).
    """
    left = max(0, session.idle_until - now) // 1_000_000
    whole = max(0, session.ends_at - now) // 1_000_000
    if session.mode is Mode.SESSION:
        token = world.session_tokens.mint(session.sid, session.lineage.newest, session.seed)
        return Grant(session, user, token, "", expires_in=left, refresh_expires_in=left, ends_in=whole)
    issued_at = _issued_at(user, read_at)
    ends_at = session.ends_at // 1_000_000
    access_token = world.access_tokens.issue(
        user_id=user.id,
        sid=session.sid,
        jti=secrets.token_urlsafe(12),
        roles=user.roles,
        amr=session.amr,
        auth_time=session.auth_time // 1_000_000,
        issued_at=issued_at,
        ends_at=ends_at,
        claims=world.claims(user) if world.claims else None,
        generation=None if session.mode.rotates else session.lineage.newest,
    )
    return Grant(
        session,
        user,
        access_token,
        refresh_token=world.refresh_tokens.mint(session) if session.mode.rotates else "",
        expires_in=world.access_tokens.expiry(issued_at, ends_at) - issued_at,
        refresh_expires_in=left,
        ends_in=whole,
    )


def principal(world: World, loaded: LoadedSession, *, read_at: int) -> Principal:
    """Whom a session that was looked up speaks for, as an access token issued now would say it."""
    session, user = loaded.session, loaded.user
    return Principal(
        id=user.id,
        sid=session.sid,
        roles=user.roles,
        amr=session.amr,
        auth_time=session.auth_time // 1_000_000,
        issued_at=_issued_at(user, read_at),
        expires_at=min(session.idle_until, session.ends_at) // 1_000_000,
        claims=world.claims(user) if world.claims else {},
        generation=session.lineage.newest,
    )


def _issued_at(user: User, read_at: int) -> int:
    return max(read_at // 1_000_000, user.tokens_from)
