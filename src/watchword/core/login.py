"""What follows when somebody gave a login and a password. Pure.

Sources: ASVS 5.0 2.3.1, 6.3.8 (nothing tells an unknown account from a wrong password).
"""

from __future__ import annotations

from enum import StrEnum

from watchword.core.user import Status, User
from watchword.settings import TwoFactor


class Step(StrEnum):
    """The next step of a login."""

    REFUSE = "refuse"
    VERIFY_EMAIL = "verify_email"
    TWO_FACTOR = "two_factor"
    START_SESSION = "start_session"


def next_step(user: User | None, *, password_right: bool, two_factor: TwoFactor = TwoFactor.OFF) -> Step:
    """Unknown, disabled and wrong are one answer; only who knows the password learns anything else."""
    if user is None or not password_right or user.status is Status.DISABLED:
        return Step.REFUSE
    if user.status is Status.UNVERIFIED:
        return Step.VERIFY_EMAIL
    if two_factor is TwoFactor.REQUIRED or (two_factor is TwoFactor.OPTIONAL and user.two_factor):
        return Step.TWO_FACTOR
    return Step.START_SESSION
