"""PostgreSQL crashes and comes back, every few seconds, under load (F3); and an answer of its is cut off just behind
the COMMIT (F4). `FAULTS=full` restarts it for five minutes, otherwise twice."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from tests.clusters import Cluster, own_postgres
from tests.drivers.neighbours import jars
from tests.faults.clients import REFRESH, Client, asking
from tests.servers import Browser, Server, prepared, serving, workers_of

FULL = os.environ.get("FAULTS") == "full"
EVERY = 3.0 if FULL else 1.0
DOWN = [0.0, 0.5, 1.0, 0.0, 0.5, 1.0, 0.0, 0.5, 1.0, 7.0] * 5 if FULL else [0.0, 7.0]
"""Seconds for which the database is away: the last is longer than anybody waits for it."""
CLIENTS = 16
PAUSE = 0.3
"""Seconds at most between two requests of a client: all together ask about a hundred times a second."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with own_postgres("-c fsync=off") as cluster:  # the machine does not crash
        yield cluster


def test_while_the_database_crashes_and_comes_back_nobody_is_signed_out(
    cluster: Cluster, measured: Callable[[str], None]
) -> None:
    """F3, I1, I6, I7: 503 with Retry-After and nothing worse, served again within seconds, by the same processes."""
    env = prepared(cluster.url, rotation_window="500ms")
    stop, back = threading.Event(), list[float]()
    asks = [("GET", "/nowhere"), REFRESH, ("GET", "/auth/me")]
    with serving(env, workers=2) as server:
        processes = workers_of(server)
        clients = [
            Client(Browser(server.url, jar), stop, pause=PAUSE, seed=number, asks=asks)
            for number, jar in enumerate(jars(env, server.url, CLIENTS))
        ]
        began = time.monotonic()
        with asking(clients, stop):
            for down in DOWN:
                time.sleep(EVERY)
                cluster.stop("immediate")
                time.sleep(down)
                cluster.start()
                back.append(_seconds_until_served(clients[0].browser, server))
        seconds = time.monotonic() - began
        assert workers_of(server) == processes
        for client in clients:
            assert client.browser.send(*REFRESH).status == 200
        assert Browser(server.url).sign_in().status == 200
    refused = [refusal for client in clients for refusal in client.refused]
    assert refused == []
    assert sum(client.lost for client in clients) == 0, "an answer was cut off"
    answers = sum((client.answers for client in clients), Counter[int]())
    assert answers[503] >= CLIENTS // 2, "nobody noticed"
    measured(
        f"{len(DOWN)} restarts, {answers.total() / seconds:.0f} requests a second, {dict(answers)}, "
        f"served again after {max(back):.2f} s at most"
    )
    assert max(back) < 10


def _seconds_until_served(browser: Browser, server: Server) -> float:
    """After the database answers; by each of the two workers, as far as chance tells."""
    since, well = time.monotonic(), 0
    jar = dict(browser.jar)
    while well < 8:
        answer = Browser(server.url, jar).send("GET", "/auth/me")
        assert answer.status in (200, 503), answer.body
        well = well + 1 if answer.status == 200 else 0
        assert time.monotonic() - since < 30
    return time.monotonic() - since
