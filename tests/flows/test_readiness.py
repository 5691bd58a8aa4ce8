"""Whether a process may get traffic: what it says from its start to its end."""

import pytest

from tests.flows.stepping import Lab, step
from watchword.errors import Unavailable
from watchword.flows.follow import poll
from watchword.flows.readiness import Readiness


def test_a_process_is_ready_between_its_first_reading_and_the_word_that_it_leaves(lab: Lab) -> None:
    """F16, F20."""
    readiness = Readiness(lab.world)
    with pytest.raises(Unavailable):
        step(readiness.check())
    step(poll(lab.world, None))
    step(readiness.check())
    readiness.leave()
    with pytest.raises(Unavailable):
        step(readiness.check())
    readiness.stay()
    step(readiness.check())


def test_who_waits_is_let_go_when_it_closes_and_not_when_it_leaves(lab: Lab) -> None:
    """F16: who was let go earlier would come back to the same process."""
    readiness, told = Readiness(lab.world), []
    readiness.on_close(lambda: told.append("gone"))
    readiness.leave()
    assert (told, readiness.closing) == ([], False)
    readiness.close()
    assert (told, readiness.leaving, readiness.closing) == (["gone"], True, True)
