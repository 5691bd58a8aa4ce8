"""The next step of a login."""

from __future__ import annotations

from dataclasses import replace

import pytest

from watchword.core.login import Step, next_step
from watchword.core.user import Status, User
from watchword.settings import TwoFactor


def user(status: Status) -> User:
    return User(
        id="u",
        email="ada@example.com",
        email_verified=status is not Status.UNVERIFIED,
        username=None,
        digest="digest",
        status=status,
        roles=(),
        tokens_from=0,
        created_at=0,
    )


@pytest.mark.parametrize(
    ("status", "right", "step"),
    [
        (None, False, Step.REFUSE),
        (None, True, Step.REFUSE),
        (Status.ACTIVE, False, Step.REFUSE),
        (Status.ACTIVE, True, Step.START_SESSION),
        (Status.DISABLED, False, Step.REFUSE),
        (Status.DISABLED, True, Step.REFUSE),
        (Status.UNVERIFIED, False, Step.REFUSE),
        (Status.UNVERIFIED, True, Step.VERIFY_EMAIL),
    ],
)
def test_only_who_knows_the_password_learns_anything_of_the_account(
    status: Status | None, right: bool, step: Step
) -> None:
    """Attacks 44, 65; ASVS 2.3.1, 6.3.8; R35."""
    assert next_step(user(status) if status else None, password_right=right) is step


@pytest.mark.parametrize(
    ("setting", "enrolled", "step"),
    [
        (TwoFactor.OFF, True, Step.START_SESSION),
        (TwoFactor.OPTIONAL, False, Step.START_SESSION),
        (TwoFactor.OPTIONAL, True, Step.TWO_FACTOR),
        (TwoFactor.REQUIRED, False, Step.TWO_FACTOR),
        (TwoFactor.REQUIRED, True, Step.TWO_FACTOR),
    ],
)
def test_a_second_step_comes_behind_a_right_password_alone(
    setting: TwoFactor, enrolled: bool, step: Step
) -> None:
    """R35; ASVS 6.3.3; attack 65: nobody else learns who takes one."""
    someone = replace(user(Status.ACTIVE), two_factor=enrolled)
    assert next_step(someone, password_right=True, two_factor=setting) is step
    assert next_step(someone, password_right=False, two_factor=setting) is Step.REFUSE
    for status, other in ((Status.DISABLED, Step.REFUSE), (Status.UNVERIFIED, Step.VERIFY_EMAIL)):
        row = replace(someone, status=status)
        assert next_step(row, password_right=True, two_factor=setting) is other
