"""SIGKILL at random moments while people sign up. `FAULTS=full` kills 60 times, CI 3 times."""

import os
import random
import sqlite3
import threading
import time
from http.client import HTTPException
from pathlib import Path

from tests.servers import Browser, Server, prepared

KILLS = 60 if os.environ.get("FAULTS") == "full" else 3
CLIENTS = 8
PASSWORD = "an entirely new engine"


def test_nobody_is_half_signed_up_after_kill_9(tmp_path: Path) -> None:
    """F2: who was told 202 is there, with a link and its mail; who was not has all of it or nothing."""
    database = tmp_path / "watchword.db"
    server = Server(prepared(f"sqlite:///{database}"))
    server.start()
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    stop = threading.Event()
    told: list[str] = []
    lost: list[str] = []

    def sign_up(name: str) -> None:
        browser, number = Browser(server.url), 0
        while not stop.is_set():
            number += 1
            email = f"{name}.{number}@example.com"
            try:
                answer = browser.send("POST", "/auth/register", {"email": email, "password": PASSWORD})
            except ConnectionRefusedError:  # nothing was sent: the server is down
                time.sleep(0.05)
                continue
            except (OSError, HTTPException):
                lost.append(email)
                continue
            (told if answer.status == 202 else lost).append(email)

    clients = [threading.Thread(target=sign_up, args=[f"c{n}"], daemon=True) for n in range(CLIENTS)]
    for client in clients:
        client.start()
    try:
        for _ in range(KILLS):
            time.sleep(chance.uniform(0.2, 0.6))
            server.kill()
            server.start()
        time.sleep(0.3)
    finally:
        stop.set()
        for client in clients:
            client.join()
        server.stop()

    with sqlite3.connect(database) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        users = {
            row[0] for row in connection.execute("SELECT email FROM ww_user WHERE status = 'unverified'")
        }
        linked = [
            row[0]
            for row in connection.execute(
                "SELECT email FROM ww_challenge JOIN ww_user ON ww_user.id = user_id WHERE kind = 'verify'"
            )
        ]
        mailed = [row[0] for row in connection.execute("SELECT \"to\" FROM ww_outbox WHERE kind = 'verify'")]
    assert set(told) <= users <= {*told, *lost}, f"seed {seed}"
    assert sorted(linked) == sorted(mailed) == sorted(users), f"seed {seed}"
    assert len(lost) >= KILLS // 3, "the kills hit too few calls to prove anything"
    assert len(told) > KILLS
