"""SIGKILL at random moments while clients refresh. `FAULTS=full` kills 300 times, CI 30 times."""

import os
import random
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

from tests.faults.clients import Client, asking
from tests.servers import Browser, Server, prepared

KILLS = 300 if os.environ.get("FAULTS") == "full" else 30
CLIENTS = 32
WINDOW = 0.5
"""Seconds. Each client refreshes about once a window, so that most of its calls rotate."""


def test_no_client_whose_answer_was_lost_to_kill_9_is_ever_signed_out(
    tmp_path: Path, measured: Callable[[str], None]
) -> None:
    """F1, F2, R41, attack 41, I1, I4: what was acknowledged is there after a restart, and every client goes on."""
    database = tmp_path / "watchword.db"
    server = Server(prepared(f"sqlite:///{database}", rotation_window=f"{WINDOW}s"))
    server.start()
    browsers = [Browser(server.url) for _ in range(CLIENTS)]
    for browser in browsers:
        browser.sign_in()

    seed = random.randrange(2**32)
    chance = random.Random(seed)
    stop = threading.Event()
    clients = [Client(browser, stop, pause=1.5 * WINDOW, seed=chance.random()) for browser in browsers]
    try:
        with asking(clients, stop):
            for _ in range(KILLS):
                time.sleep(chance.uniform(0.1, 0.8))
                server.kill()
                server.start()
            time.sleep(2 * WINDOW)
    finally:
        server.stop()

    refused = [refusal for client in clients for refusal in client.refused]
    assert not refused, f"seed {seed}: {refused[:3]}"
    assert sum(client.lost for client in clients) >= KILLS // 3, (
        "the kills hit too few calls to prove anything"
    )
    assert all(client.renewed >= KILLS // 3 for client in clients)
    with sqlite3.connect(database) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    measured(
        f"{KILLS} kills, {sum(c.renewed for c in clients)} refreshes, {sum(c.lost for c in clients)} lost answers"
    )
