"""What follows when somebody gave a login and a password. Pure.

Sources: ASVS 5.0 2.3.1, 6.3.8 (nothing tells an unknown account from a wrong password).
"""

from __future__ import annotations

from enum import StrEnum

from watchword.core.user import Status, User


class Step(StrEnum):
    """The next step of a login."""

    REFUSE = "refuse"
    VERIFY_EMAIL = "verify_email"
    START_SESSION = "start_session"


def next_step(user: User | None, *, password_right: bool) -> Step:
    """Unknown, disabled and wrong are one answer; only who knows the password learns that the address is unverified."""
    if user is None or not password_right or user.status is Status.DISABLED:
        return Step.REFUSE
    if user.status is Status.UNVERIFIED:
        return Step.VERIFY_EMAIL
    return Step.START_SESSION
