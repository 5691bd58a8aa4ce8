"""SIGKILL at random moments while clients refresh. `FAULTS=full` kills 200 times over each database, otherwise 12 times
over SQLite and 4 times over PostgreSQL."""

import os
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.drivers.neighbours import jars
from tests.faults.clients import Client, asking
from tests.needs import postgres_url
from tests.postgres import fresh_database
from tests.servers import Browser, Server, prepared

FULL = os.environ.get("FAULTS") == "full"

KILLS = {"sqlite": 200, "postgresql": 200} if FULL else {"sqlite": 12, "postgresql": 4}
CLIENTS = 32
WINDOW = 0.5
"""Seconds. Each client refreshes about once a window, so that most of its calls rotate."""


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/watchword.db"
    else:
        with fresh_database(postgres_url()) as url:
            yield url


def test_no_client_whose_answer_was_lost_to_kill_9_is_ever_signed_out(
    database_url: str, measured: Callable[[str], None]
) -> None:
    """F1, F2, R41, attack 41, I1, I4: what was acknowledged is there after a restart, and every client goes on."""
    kills = KILLS[database_url.partition(":")[0]]
    server = Server(prepared(database_url, rotation_window=f"{WINDOW}s"))
    server.start()
    browsers = [Browser(server.url, jar) for jar in jars(server.env, server.url, CLIENTS)]
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    stop = threading.Event()
    clients = [Client(browser, stop, pause=1.5 * WINDOW, seed=chance.random()) for browser in browsers]
    try:
        with asking(clients, stop):
            for _ in range(kills):
                time.sleep(chance.uniform(0.1, 0.6))
                server.kill()
                server.start()
            time.sleep(2 * WINDOW)
    finally:
        server.stop()

    refused = [refusal for client in clients for refusal in client.refused]
    assert not refused, f"seed {seed}: {refused[:3]}"
    assert sum(client.lost for client in clients) >= kills // 3, (
        "the kills hit too few calls to prove anything"
    )
    assert all(client.renewed >= kills // 3 for client in clients)
    if database_url.startswith("sqlite"):
        with closing(sqlite3.connect(database_url.removeprefix("sqlite:///"))) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    measured(
        f"{kills} kills, {sum(c.renewed for c in clients)} refreshes, {sum(c.lost for c in clients)} lost answers"
    )
