"""A session ended on one server process is refused by another."""

import random
import time
from collections.abc import Callable
from pathlib import Path

from tests.servers import Browser, Server, prepared, serving

TRIALS = 100
NOWHERE = "/nowhere"
"""A path that only guards decide about, with no look at the database: 404 for the signed-in, 401 for all else."""


def test_a_token_logged_out_on_one_process_is_refused_by_another_within_a_second(
    tmp_path: Path, measured: Callable[[str], None]
) -> None:
    """ASVS 7.4.1, R33, attack 21: the worst of 100 over one SQLite file."""
    env = prepared(f"sqlite:///{tmp_path}/watchword.db")
    with serving(env) as here, serving(env, origin=here.url) as there:
        took = sorted(_seconds_until_refused(here, there) for _ in range(TRIALS))
    measured(
        f"refused elsewhere after {took[TRIALS // 2] * 1000:.0f} ms (median), {took[-1] * 1000:.0f} ms (worst)"
    )
    assert took[-1] < 1.0


def _seconds_until_refused(here: Server, there: Server) -> float:
    browser = Browser(here.url)
    browser.sign_in()
    stolen = Browser(here.url, dict(browser.jar))
    assert stolen.send("GET", NOWHERE, to=there.address).status == 404
    time.sleep(random.uniform(0, 0.2))  # at any moment between two looks of the other process

    assert browser.send("POST", "/auth/logout").status == 200
    since = time.monotonic()
    while (answer := stolen.send("GET", NOWHERE, to=there.address)).status == 404:
        assert time.monotonic() - since < 10
    assert answer.code == "session_ended"
    return time.monotonic() - since
