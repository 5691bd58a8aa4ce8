"""Mail that tells owners what happened to their account: who did it, from where and when, and nothing that opens
anything. What each kind says is its template's; which verb queues it, its flow's.

Sources: ASVS 5.0 6.3.5, 6.3.7, 7.1.2; RFC 9700 §4.14.2.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from watchword.core.device import device_label
from watchword.core.mail import Mail
from watchword.core.session import Client
from watchword.core.user import User
from watchword.flows.outbox import sealed
from watchword.ports import World

NEW_DEVICE = "new_device"
CROWDED = "session_evicted"
REUSED = "refresh_reused"
FACTOR_ADDED = "factor_added"
FACTOR_REMOVED = "factor_removed"
PASSWORD_LOST = "password_lost"  # noqa: S105 - the name of a kind of mail


def notice(world: World, kind: str, user: User, *, client: Client | None, now: int, **more: Any) -> Mail:
    """For the verb that writes what it tells of. `now` (µs) is when it happened; no `client` is an administrator."""
    payload = {
        "device": device_label(client.user_agent) if client else "",
        "ip": client.ip if client else "",
        "at": datetime.fromtimestamp(now // 1_000_000, UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }
    return sealed(world, kind, user.email, payload | more)
