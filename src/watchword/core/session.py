"""The session record, its life and what a guard knows of it. Pure.

A session is one sign-in on one device and the unit of revocation. How its refresh tokens rotate is `rotation`;
how tokens look is `refresh_token` and `access_token`.
Sources: ASVS 5.0 7.1.1, 7.3.1, 7.3.2; NIST SP 800-63B-4 (idle and absolute limits).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Any

from watchword.core.rotation import Lineage
from watchword.core.user import Status, User
from watchword.settings import Mode

MAX_USER_AGENT = 512


class End(StrEnum):
    """Why somebody ended a session."""

    LOGOUT = "logout"
    REVOKED = "revoked"
    REPLACED = "replaced"
    REUSE = "reuse"
    PASSWORD = "password"  # noqa: S105 - the word for a reason
    DISABLED = "disabled"
    FACTOR = "factor"
    ADDRESS = "address"
    EVICTED = "evicted"
    """Its user signed in on one device more than `max_sessions`, and it was the one not used for longest."""


@dataclass(frozen=True, slots=True)
class Client:
    """Who sent a request, as far as the network tells: address (after proxy rules) and user agent."""

    ip: str = ""
    user_agent: str = ""

    @property
    def context(self) -> str:
        """A digest of browser and network, equal while neither changes: what rotation calls the context.

        IPv4 counts by /24 and IPv6 by /48, so that a new lease of the same network is no change.
        """
        return _context(self.ip, self.user_agent[:MAX_USER_AGENT])


@lru_cache(1024)
def _context(ip: str, user_agent: str) -> str:
    text = f"{network_of(ip)}\n{user_agent}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


@lru_cache(4096)
def network_of(ip: str) -> str:
    """`203.0.113.0/24` or `2001:db8:1::/48`; empty for what is no address."""
    try:
        address = ip_address(ip.partition("%")[0])
    except ValueError:
        return ""
    mapped = getattr(address, "ipv4_mapped", None) or address
    return str(ip_network((mapped, 24 if mapped.version == 4 else 48), strict=False))


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long things live, in µs: access token, idle session, whole session, rotation window, code."""

    access: int
    idle: int
    whole: int
    window: int
    code: int = 600_000_000

    @property
    def refresh_timeout(self) -> float:
        """After how many seconds a client gives a refresh call up: 40 % of the window, 8 when there is none."""
        seconds = self.window * 0.4 / 1_000_000 if self.window else 8
        return int(seconds) if seconds == int(seconds) else round(seconds, 6)


@dataclass(frozen=True, slots=True)
class Session:
    """One row. Instants in µs since 1970; `seed` makes its refresh tokens underivable from the key alone."""

    sid: str
    user_id: str
    mode: Mode
    seed: bytes = field(repr=False)
    lineage: Lineage
    created_at: int
    auth_time: int
    amr: tuple[str, ...]
    idle_until: int
    ends_at: int
    last_used_at: int
    ip: str
    user_agent: str
    ended_at: int | None = None
    end: End | None = None

    def expired(self, now: int) -> bool:
        return now >= self.idle_until or now >= self.ends_at

    def live(self, user: User, now: int) -> bool:
        """Neither ended nor expired, and its user active."""
        return self.ended_at is None and not self.expired(now) and user.status is Status.ACTIVE

    @property
    def replaced_at(self) -> int | None:
        return self.ended_at if self.end is End.REPLACED else None


def start(
    *,
    sid: str,
    seed: bytes,
    user_id: str,
    mode: Mode,
    amr: tuple[str, ...],
    client: Client,
    now: int,
    lives: Lifetimes,
) -> Session:
    """A new session, its first refresh token being generation 1."""
    ends_at = now + lives.whole
    return Session(
        sid=sid,
        user_id=user_id,
        mode=mode,
        seed=seed,
        lineage=Lineage(context=client.context),
        created_at=now,
        auth_time=now,
        amr=amr,
        idle_until=min(now + lives.idle, ends_at),
        ends_at=ends_at,
        last_used_at=now,
        ip=client.ip,
        user_agent=client.user_agent[:MAX_USER_AGENT],
    )


NOTE_EVERY = 60_000_000
"""µs between two notes of a session's use where no refresh token marks it."""


def used(session: Session, *, client: Client, now: int, lives: Lifetimes) -> Session:
    """The session after a use: its idle time begins anew."""
    return replace(
        session,
        idle_until=min(now + lives.idle, session.ends_at),
        last_used_at=now,
        ip=client.ip,
        user_agent=client.user_agent[:MAX_USER_AGENT],
    )


def worth_noting(session: Session, *, now: int, lives: Lifetimes) -> bool:
    """Whether a use is far enough from the last one that was noted: a minute, or an eighth of the idle time."""
    return abs(now - session.last_used_at) >= min(NOTE_EVERY, lives.idle // 8)


@dataclass(frozen=True, slots=True)
class Principal:
    """The verified result of authenticating a request: what guards hand to an app. Known without any I/O.

    `id` is the user's, `sid` the session's; `amr` are the methods used (RFC 8176); `auth_time`, `issued_at` and
    `expires_at` are whole seconds since 1970; `claims` holds what the app itself put into the token. `generation` is
    that of a token that has no refresh token beside it (decision 11), and None for any other.
    """

    id: str
    sid: str
    roles: tuple[str, ...]
    amr: tuple[str, ...]
    auth_time: int
    issued_at: int
    expires_at: int
    claims: Mapping[str, Any] = field(default_factory=dict)
    generation: int | None = field(default=None, repr=False)
