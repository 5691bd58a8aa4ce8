"""How users, sessions and factors look in answers: what the HTTP contract names, no more (ASVS 5.0 15.3.1)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from watchword.core.device import device_label
from watchword.core.factor import Factor
from watchword.core.session import Session, network_of
from watchword.core.user import User


def instant(micros: int) -> str:
    """RFC 3339 in UTC, whole seconds."""
    return datetime.fromtimestamp(micros // 1_000_000, UTC).isoformat()[:-6] + "Z"


def user_json(user: User) -> dict[str, Any]:
    """A user, as the user may see it."""
    return {
        "id": user.id,
        "email": user.email,
        "email_verified": user.email_verified,
        "username": user.username,
        "roles": list(user.roles),
        "two_factor": user.two_factor,
        "created_at": instant(user.created_at),
    }


def session_json(session: Session) -> dict[str, Any]:
    """A session, as its user may see it."""
    return {
        "id": session.sid,
        "created_at": instant(session.created_at),
        "expires_at": instant(min(session.idle_until, session.ends_at)),
        "auth_time": instant(session.auth_time),
    }


def device_json(session: Session, *, current: str) -> dict[str, Any]:
    """A line of the devices page: of the address the network, which is what its user recognises (ASVS 5.0 14.2.6)."""
    return {
        "id": session.sid,
        "label": device_label(session.user_agent),
        "ip": network_of(session.ip),
        "created_at": instant(session.created_at),
        "last_used_at": instant(session.last_used_at),
        "current": session.sid == current,
    }


def factor_json(factor: Factor) -> dict[str, Any]:
    """A second step, as its user may see it."""
    return {"id": factor.id, "method": factor.method.value, "created_at": instant(factor.created_at)}
