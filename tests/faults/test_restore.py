"""A database that comes back from a backup without its last commits, on a PostgreSQL of the test's own and on SQLite.

Nobody who had signed in before is signed out; what was ended, disabled and changed in the lost span is so again once
`watchword restore` has read the file of events. `FAULTS=full` has 20 clients instead of 3.
"""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clusters import own_postgres
from tests.servers import EMAIL, PASSWORD, Browser, Server, prepared, serving, watchword
from watchword.core.record import exact_instant
from watchword.drivers.clock import SystemClock

CLIENTS = 20 if os.environ.get("FAULTS") == "full" else 3
SPAN_SECONDS = 5.0 if os.environ.get("FAULTS") == "full" else 1.0
ROUNDS = 4
NEW = "difference engine, second part"
WINDOW = "50ms"
"""So that each refresh rotates, and the clients get ahead of the copy."""
EVE, BOB = "eve@example.com", "bob@example.com"


@dataclass
class Place:
    """A database that can be set back to a copy while nobody uses it."""

    url: str
    copy: Callable[[], None]
    put_back: Callable[[], None]


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    with ExitStack() as stack:
        if request.param == "sqlite":
            file, copy = tmp_path / "watchword.db", tmp_path / "copy.db"

            def copied() -> None:
                shutil.copy(file, copy)

            def put_back() -> None:
                for left in tmp_path.glob("watchword.db*"):
                    left.unlink()
                shutil.copy(copy, file)

            yield Place(f"sqlite:///{file}", copied, put_back)
            return
        server = stack.enter_context(own_postgres())

        def stopped_and_copied() -> None:
            server.stop("fast")
            server.keep("copy")
            server.start()

        def replaced() -> None:
            server.stop("fast")
            server.put_back("copy")
            server.start()

        yield Place(server.url, stopped_and_copied, replaced)


def test_who_had_signed_in_goes_on_and_what_was_taken_away_is_taken_away_again(
    place: Place, tmp_path: Path, measured: Callable[[str], None]
) -> None:
    """F7, attack 42; I5, I7."""
    file = tmp_path / "events.jsonl"
    env = prepared(place.url, events_file=str(file), rotation_window=WINDOW, max_sessions="100")
    for email in (EVE, BOB):
        watchword("user", "create", email, "--password-stdin", env=env, stdin=PASSWORD + "\n")
    port = None
    with serving(env) as server:
        port = server.port
        clients = [_signed_in(server) for _ in range(CLIENTS)]
        leaver, thief = _signed_in(server), _signed_in(server)
        disabled, changer, elsewhere = (_signed_in(server, email) for email in (EVE, BOB, BOB))
        everybody = [*clients, leaver, thief, disabled, changer, elsewhere]
        _all_refresh(everybody)
    place.copy()
    since = exact_instant(SystemClock().now())

    with serving(env, port=port) as server:
        began = time.monotonic()
        for _ in range(ROUNDS):
            _all_refresh(everybody)
        assert leaver.send("POST", "/auth/logout").status == 200
        sid = thief.send("GET", "/auth/me").body["session"]["id"]
        watchword("session", "revoke", sid, env=env)
        watchword("user", "disable", EVE, env=env)
        body = {"current_password": PASSWORD, "new_password": NEW}
        assert changer.send("POST", "/auth/password/change", body).status == 200
        lost = [_signed_in(server) for _ in range(2)]
        assert lost[0].send("POST", "/auth/logout").status == 200
        while time.monotonic() - began < SPAN_SECONDS:
            _all_refresh(clients)
        gone = {name: dict(who.jar) for name, who in (("thief", thief), ("disabled", disabled))}
    jars = gone | {"elsewhere": dict(elsewhere.jar)}
    place.put_back()

    restore = ("restore", "--since", since, "--events", str(file), "--yes", "--json")
    done = json.loads(watchword(*restore, env=env))
    assert done["unreadable"] == done["failed"] == done["by_hand"] == []
    assert (len(done["disabled"]), len(done["passwords"]), done["sessions_unknown"]) == (1, 1, 1)
    measured(f"{done['lost']} events lost, {done['sessions']} sessions ended again")
    with serving(env, port=port) as server:
        _all_refresh([*clients, changer])
        for name, jar in jars.items():
            answer = Browser(server.url, dict(jar)).send("POST", "/auth/refresh")
            assert (name, answer.status, answer.code) == (name, 401, "session_ended")
        assert lost[1].send("POST", "/auth/refresh").code == "invalid_token"
        assert _sign_in(server, BOB, PASSWORD) == "invalid_credentials"
        assert _sign_in(server, BOB, NEW) == "invalid_credentials", "which was lost: mail tells the owner"
        assert _sign_in(server, EVE, PASSWORD) == "invalid_credentials"
        assert _sign_in(server, EMAIL, PASSWORD) is None
    told = json.loads(watchword("events", "--json", "--limit", "10000", env=env))
    names = [row["name"] for row in told]
    assert names.count("session_ahead") >= CLIENTS
    assert "refresh_reused" not in names
    again = json.loads(watchword(*restore, env=env))
    assert (again["lost"], again["sessions"], again["passwords"]) == (0, 0, [])


def _signed_in(server: Server, email: str = EMAIL) -> Browser:
    browser = Browser(server.url)
    browser.sign_in(email)
    return browser


def _all_refresh(browsers: list[Browser]) -> None:
    for browser in browsers:
        answer = browser.send("POST", "/auth/refresh")
        assert answer.status == 200, answer.body
    time.sleep(0.12)  # two windows: the next refresh of each rotates


def _sign_in(server: Server, email: str, password: str) -> str | None:
    """The code of the refusal."""
    return Browser(server.url).send("POST", "/auth/login", {"email": email, "password": password}).code
