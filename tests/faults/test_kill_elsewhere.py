"""SIGKILL at random moments while people sign in with a second step, set another password by a link and sign out
everywhere. `FAULTS=full` kills 60 times, otherwise 4 times; signing up is in `test_sign_up`, refreshing in `test_kill`.
"""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing
from http.client import HTTPException
from pathlib import Path
from typing import Any

from tests.servers import Answer, Browser, Server, prepared
from watchword.auth import Watchword
from watchword.drivers.hasher import Argon2Hasher
from watchword.settings import Settings

KILLS = 60 if os.environ.get("FAULTS") == "full" else 4
CLIENTS = 6
OLD, NEW = "the old engine of the boat", "an entirely new engine"


class Person(threading.Thread):
    """Goes through it all, as one user after another, and checks after each lost answer that what was asked for has
    happened as a whole or not at all. `wrong` says what did not hold."""

    def __init__(self, server: Server, post: Post, names: list[str], stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self._server, self._post, self._names, self._stop_event = server, post, names, stop
        self.lost = Counter[str]()
        self.done = Counter[str]()
        self.wrong: list[str] = []

    def run(self) -> None:
        for name in self._names:
            if self._stop_event.is_set():
                return
            try:
                self._all_of_it(name)
            except AssertionError as error:
                self.wrong.append(f"{name}: {error}")
                return

    def _all_of_it(self, name: str) -> None:
        first = self._signs_in(name, OLD)
        ended = self._sets_a_password(name)
        assert first.send_on("POST", "/auth/refresh").code == "session_ended", (
            f"a reset ({ended}) ends sessions"
        )
        second = self._signs_in(name, NEW)
        stolen = Browser(second.browser.url, dict(second.browser.jar))
        while (answer := second.ask("POST", "/auth/logout/all")) is None:
            self.lost["logout"] += 1
            if Waiting(self, stolen).send_on("POST", "/auth/refresh").status == 401:
                break  # it had happened
        else:
            assert answer.status == 200, answer.body
        self.done["logout"] += 1
        # Whatever was killed since: what was acknowledged stays so.
        assert Waiting(self, stolen).send_on("POST", "/auth/refresh").code == "session_ended"
        assert Waiting(self, stolen).send_on("GET", "/nowhere").code == "session_ended"

    def _signs_in(self, name: str, password: str) -> Waiting:
        for _ in range(9):
            here = Waiting(self, Browser(self._server.url))
            answer = here.ask("POST", "/auth/login", {"email": name, "password": password})
            if answer is None:
                self.lost["login"] += 1
                continue
            assert (answer.status, answer.body.get("next", {}).get("step")) == (200, "two_factor"), (
                answer.body
            )
            code = self._post.newest(name, "code")["code"]
            for _ in range(9):
                answer = here.ask("POST", "/auth/login/2fa", {"code": code})
                if answer is not None:
                    break
                self.lost["second step"] += 1
            assert answer is not None
            if answer.status == 200:
                assert here.send_on("GET", "/auth/me").status == 200
                self.done["login"] += 1
                return here
            # The code was taken, and the answer with the session was lost: it is good for nobody any more.
            assert answer.code == "challenge_expired", answer.body
        raise AssertionError("nobody is killed so often")

    def _sets_a_password(self, name: str) -> str:
        here = Waiting(self, Browser(self._server.url))
        while (answer := here.ask("POST", "/auth/password/forgot", {"email": name})) is None:
            self.lost["forgot"] += 1
        assert answer.status == 202
        body = {"token": self._post.newest(name, "reset")["token"], "new_password": NEW}
        while (answer := here.ask("POST", "/auth/password/reset", body)) is None:
            self.lost["reset"] += 1
        self.done["reset"] += 1
        if (
            answer.status != 200
        ):  # the link was used by what was never answered: so the new password is in force
            assert answer.code == "challenge_expired", answer.body
            return "answer lost"
        return "acknowledged"


class Waiting:
    """A browser whose person does not give up while the server is down."""

    def __init__(self, person: Person, browser: Browser) -> None:
        self.browser = browser

    def ask(self, method: str, path: str, body: Any = None) -> Answer | None:
        """None when the answer was lost; it is not known then what has happened."""
        while True:
            try:
                answer = self.browser.send(method, path, body)
            except ConnectionRefusedError:
                time.sleep(0.05)
                continue
            except (OSError, HTTPException):
                return None
            if answer.status != 503:
                return answer

    def send_on(self, method: str, path: str) -> Answer:
        """For what may be asked any number of times."""
        while (answer := self.ask(method, path)) is None:
            pass
        return answer


class Post:
    """Reads what was sent, in the outbox."""

    def __init__(self, path: Path, env: Mapping[str, str]) -> None:
        named = {name: value for name, value in env.items() if name.startswith("WATCHWORD_")}
        self._path = path
        self.auth = Watchword(Settings.from_env(named), hasher=Argon2Hasher(threads=1, memory=8, passes=1))

    def newest(self, to: str, kind: str) -> Mapping[str, Any]:
        with closing(sqlite3.connect(self._path, timeout=10)) as connection:
            row = connection.execute(
                'SELECT id, sealed FROM ww_outbox WHERE "to" = ? AND kind = ? ORDER BY id DESC LIMIT 1',
                (to, kind),
            ).fetchone()
        assert row is not None, f"no {kind} was sent to {to}"
        payload = self.auth.world.seals.open(row[1], mail_id=row[0])
        assert payload is not None
        return payload

    async def make_users(self, names: list[str]) -> None:
        for name in names:
            await self.auth.users.create(name, password=OLD)
        await self.auth.aclose()


def test_nothing_is_half_done_after_kill_9(tmp_path: Path, measured: Callable[[str], None]) -> None:
    """F2, I4, I5: a sign-in with its second step, a reset and a logout of everything have happened as a whole
    or not at all, and what was acknowledged holds after the restart."""
    path = tmp_path / "watchword.db"
    # Nobody listens there, so that mail stays where it can be read.
    server = Server(prepared(f"sqlite:///{path}", two_factor="required", smtp_url="smtp://127.0.0.1:1"))
    post = Post(path, server.env)
    names = [f"person{number}@example.com" for number in range(CLIENTS * (KILLS * 2 + 10))]
    asyncio.run(post.make_users(names))
    server.start()
    stop = threading.Event()
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    people = [Person(server, post, names[number::CLIENTS], stop) for number in range(CLIENTS)]
    for person in people:
        person.start()
    try:
        for _ in range(KILLS):
            time.sleep(chance.uniform(0.3, 1.2))
            server.kill()
            server.start()
        time.sleep(0.5)
    finally:
        stop.set()
        for person in people:
            person.join()
        server.stop()
    assert [wrong for person in people for wrong in person.wrong] == [], f"seed {seed}"
    done = sum((person.done for person in people), Counter[str]())
    lost = sum((person.lost for person in people), Counter[str]())
    assert lost.total() >= KILLS, "the kills hit too few calls to prove anything"
    assert min(done[what] for what in ("login", "reset", "logout")) >= CLIENTS
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    measured(f"{KILLS} kills, done {dict(done)}, answers lost {dict(lost)}")
