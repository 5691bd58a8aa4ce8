"""Tabs of one browser, told by Node, that refresh all the time over a network that loses, delays and reorders answers.

`FAULTS=full` has ten tabs refresh three thousand times each, CI four tabs ten times, with a rotation window of 400 ms.
The same in Chromium, with all that a browser does besides: test_tabs.py.
"""

from __future__ import annotations

import os
import random
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.lossy import LossyProxy, Seen, Weather, losing
from tests.nodes import run_node
from tests.servers import EMAIL, PASSWORD, prepared, serving

FULL = os.environ.get("FAULTS") == "full"
WINDOW = 0.4
"""Seconds of the rotation window."""
REFRESH = "/auth/refresh"
STORM = Weather(lost=0.1, unheard=0.15, slow=0.4 * WINDOW)
"""What takes longer than 40 % of the window its client has given up, as it is told to: it is lost as well."""


@dataclass
class House:
    proxy: LossyProxy
    database: Path

    def told(self, event: str) -> int:
        """How many such events there were."""
        with sqlite3.connect(f"file:{self.database}?mode=ro", uri=True) as connection:
            statement = "SELECT count(*) FROM ww_event WHERE name = ?"
            return int(connection.execute(statement, [event]).fetchone()[0])


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A server in mode hybrid behind a bad network."""
    seed = random.randrange(2**32)
    print(f"the network's seed is {seed}")  # noqa: T201 - pytest shows it where a test fails
    database = tmp_path_factory.mktemp("client") / "watchword.db"
    with losing({}, seed=seed) as proxy:
        window = f"{int(WINDOW * 1000)}ms"
        env = prepared(f"sqlite:///{database}", mode="hybrid", rotation_window=window, url=proxy.url)
        with serving(env, origin=proxy.url) as server:
            proxy.to = server.port
            proxy.weather = {REFRESH: STORM}
            yield House(proxy, database)


# With locks one tab refreshes at a time, so that as many rounds would take ten times as long.
@pytest.mark.parametrize(
    ("bare", "rounds"),
    [(True, 3000 if FULL else 10), (False, 300 if FULL else 5)],
    ids=["without locks and channels", "with them"],
)
def test_no_order_of_lost_and_late_answers_signs_a_tab_out(
    house: House, bare: bool, rounds: int, measured: Callable[[str], None]
) -> None:
    """F21, promise 1, I1, I7, W16: tabs over one jar. Whoever has no locks races, to the same end."""
    tabs = 10 if FULL else 4
    before = replace(house.proxy.seen.get(REFRESH, Seen()))
    said = run_node(
        "torture.mjs",
        stdin={
            "url": house.proxy.url,
            "email": EMAIL,
            "password": PASSWORD,
            "tabs": tabs,
            "rounds": rounds,
            "pause": 0.1 if FULL else 0.2,
            "bare": bare,
        },
        seconds=3600 if FULL else 300,
    )
    assert [tab["signedOut"] for tab in said["seen"]] == [0] * tabs, said
    assert {email for email, _ in said["left"]} == {EMAIL}
    assert len({session for _, session in said["left"]}) == 1, "it is one session from first to last"
    assert house.told("refresh_reused") == 0
    now = house.proxy.seen[REFRESH]
    calls, lost, unheard = now.calls - before.calls, now.lost - before.lost, now.unheard - before.unheard
    assert now.lost + now.unheard > 0, "nothing was ever lost, so nothing is proved"
    errors: Counter[str] = sum((Counter(tab["errors"]) for tab in said["seen"]), Counter())
    assert errors.keys() <= {"unreachable", "refresh_superseded"}
    measured(
        f"{tabs} tabs, {rounds} rounds each: {calls} calls of /refresh, {calls / rounds / tabs:.2f} a round and tab; "
        f"{lost} requests and {unheard} answers lost; told the callers: {dict(errors) or 'nothing'}; 0 sign-outs"
    )
