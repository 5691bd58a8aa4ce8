"""What a successful sign-in or refresh yields: the session, its user and the tokens that travel."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from watchword.core.session import Session
from watchword.core.user import User
from watchword.ports import World


@dataclass(frozen=True, slots=True)
class Grant:
    """`expires_in` and `refresh_expires_in` are the tokens' remaining lives in seconds."""

    session: Session
    user: User
    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_in: int
    refresh_expires_in: int


def grant(world: World, session: Session, user: User, *, now: int, read_at: int) -> Grant:
    """A fresh access token, and the refresh token of the newest generation; neither outlives the session.

    `now` is the clock that decided. The access token is issued by the host's, which guards compare with, as of
    `read_at`, the instant before `user` was read: roles that changed since then make it an old one (ASVS 5.0 8.3.2).
    """
    issued_at = max(read_at // 1_000_000, user.tokens_from)
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
    )
    return Grant(
        session,
        user,
        access_token,
        refresh_token=world.refresh_tokens.mint(session.sid, session.lineage.newest, session.seed),
        expires_in=world.access_tokens.expiry(issued_at, ends_at) - issued_at,
        refresh_expires_in=max(0, session.idle_until - now) // 1_000_000,
    )
