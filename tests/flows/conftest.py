"""Every flow test has a world of its own, with one user in it."""

import pytest

from tests.flows.stepping import Lab, lab_with_user


@pytest.fixture
def lab() -> Lab:
    return lab_with_user()
