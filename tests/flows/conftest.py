"""Every flow test has a world of its own, with one user in it."""

import pytest

from tests.flows.stepping import Lab, lab_with_user
from watchword.settings import RefreshFormat


@pytest.fixture
def refresh_format() -> RefreshFormat:
    """How the lab's refresh tokens look. Modules that are about refresh tokens have it in both formats."""
    return RefreshFormat.OPAQUE


@pytest.fixture
def lab(refresh_format: RefreshFormat) -> Lab:
    return lab_with_user(refresh_format=refresh_format)
