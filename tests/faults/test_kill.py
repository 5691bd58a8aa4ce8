"""SIGKILL at random moments while clients refresh. `FAULTS=full` kills 300 times, CI 30 times."""

import os
import random
import sqlite3
import threading
import time
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path

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
    clients = [Client(browser, random.Random(chance.random()), stop) for browser in browsers]
    for client in clients:
        client.start()
    try:
        for _ in range(KILLS):
            time.sleep(chance.uniform(0.1, 0.8))
            server.kill()
            server.start()
        time.sleep(2 * WINDOW)
    finally:
        stop.set()
        for client in clients:
            client.join()
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


class Client(threading.Thread):
    """Refreshes over its jar until told to stop; an answer that is lost is asked for again."""

    def __init__(self, browser: Browser, chance: random.Random, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self._browser, self._chance, self._stop_event = browser, chance, stop
        self.renewed = self.lost = 0
        self.refused: list[str] = []

    def run(self) -> None:
        while not self._stop_event.is_set():
            try:
                answer = self._browser.send("POST", "/auth/refresh")
            except ConnectionRefusedError:  # nothing was sent: the server is down
                time.sleep(0.05)
                continue
            except (OSError, HTTPException):
                self.lost += 1
                continue
            if answer.status == 200:
                self.renewed += 1
            elif answer.status not in (409, 503):
                self.refused.append(f"{answer.status} {answer.body}")
                return
            time.sleep(self._chance.uniform(0, 1.5 * WINDOW))
