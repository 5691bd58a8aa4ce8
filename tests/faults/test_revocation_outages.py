"""What is refused while revocations cannot be read or heard of, and by a worker that has just begun. `FAULTS=full` has
ten outages of each kind, otherwise one.
"""

import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.drivers.neighbours import jars
from tests.faults.refusals import NOWHERE, Jar, logged_out, seconds_until_refused, status
from tests.needs import postgres_url, redis_url
from tests.postgres import fresh_database
from tests.proxies import proxying
from tests.servers import Answer, Browser, Server, environment, serving
from watchword.core.access_token import AccessTokens
from watchword.core.keys import KeyRing
from watchword.core.uuid7 import uuid7
from watchword.settings import Algorithm
from watchword.storage.sql.migrate import migrate

FULL = os.environ.get("FAULTS") == "full"
OUTAGES = 10 if FULL else 1
LOGOUTS = 10_000

Measured = Callable[[str], None]


@pytest.fixture
def postgres() -> Iterator[str]:
    with fresh_database(postgres_url()) as url:
        migrate(url)
        yield url


@pytest.mark.parametrize("fault", ["swallowed", "cut"] if FULL else ["swallowed"])
def test_a_server_that_cannot_reach_the_database_refuses_within_five_seconds_and_recovers(
    postgres: str, fault: str, measured: Measured
) -> None:
    """F3, I6: connections that are black-holed, with no word, and ones that are reset. 503 and never a pass."""
    env = environment(postgres)
    took, back = [], []
    with ExitStack() as stack:
        proxy, url = stack.enter_context(proxying(postgres, 5432))
        here = stack.enter_context(serving(env))
        elsewhere = env | {"WATCHWORD_DATABASE_URL": url}
        there = stack.enter_context(serving(elsewhere, origin=here.url))
        for _ in range(OUTAGES):
            ended, other = (Browser(here.url, jar) for jar in jars(env, here.url, 2))
            thief = Browser(here.url, dict(ended.jar))
            assert thief.send("GET", NOWHERE, to=there.address).status == 404
            proxy.swallow() if fault == "swallowed" else proxy.cut()
            since = logged_out(ended)
            while thief.send("GET", NOWHERE, to=there.address).status == 404:
                assert time.monotonic() - since < 10
            took.append(time.monotonic() - since)
            for answer in _at_once([thief, other] * 5, there):
                assert (answer.status, answer.code) == (503, "unavailable")
                assert ("retry-after", "1") in answer.headers
            proxy.mend()
            since = time.monotonic()
            while (answer := other.send("GET", NOWHERE, to=there.address)).status != 404:
                assert answer.status == 503
                assert time.monotonic() - since < 30
            back.append(time.monotonic() - since)
            assert thief.send("GET", NOWHERE, to=there.address).code == "session_ended"
    measured(f"{fault}: refused after {max(took):.1f} s, served again {max(back):.1f} s after the end of it")
    assert max(took) <= 5.5


def test_redis_that_is_cut_costs_the_hint_and_nothing_else(tmp_path: Path, measured: Measured) -> None:
    """F5: no answer is any worse, and who is logged out is refused at the next poll."""
    with proxying(redis_url(), 6379) as (proxy, url):
        env = environment(f"sqlite:///{tmp_path}/watchword.db", redis_url=url)
        migrate(env["WATCHWORD_DATABASE_URL"])
        with serving(env) as here, serving(env, origin=here.url) as there:
            first, second = jars(env, here.url, 2)
            proxy.cut()
            gone = seconds_until_refused(here, [there], first)
            proxy.mend()
            proxy.swallow()
            silent = seconds_until_refused(here, [there], second)
            proxy.mend()
    measured(f"refused {gone * 1000:.0f} ms after with Redis cut, {silent * 1000:.0f} ms with it silent")
    assert max(gone, silent) < 2.0


def test_a_worker_that_starts_after_ten_thousand_logouts_accepts_none_of_them(tmp_path: Path) -> None:
    """F20: not ready before all are read, and no token of theirs is accepted from its first answer on."""
    env = environment(f"sqlite:///{tmp_path}/watchword.db")
    migrate(env["WATCHWORD_DATABASE_URL"])
    server = Server(env)
    now = time.time_ns() // 1000
    sids = [uuid7(now, secrets.token_bytes(10)) for _ in range(LOGOUTS)]
    with closing(sqlite3.connect(f"{tmp_path}/watchword.db")) as connection, connection:
        rows = [(sid, now) for sid in sids]
        connection.executemany("INSERT INTO ww_revocation (sid, created_at) VALUES (?, ?)", rows)
    tried = sids if FULL else sids[:: LOGOUTS // 250]
    tokens = [_token(env["WATCHWORD_SECRET"], server.url, sid) for sid in tried]
    try:
        server.launch()
        assert _first_answer(server, tokens[0]).code == "session_ended"
        connection_to = HTTPConnection(server.address.removeprefix("http://"))
        for token in tokens:
            assert status(connection_to, {"Cookie": f"access_token={token}"}) == 401
        live = _token(env["WATCHWORD_SECRET"], server.url, uuid7(now, secrets.token_bytes(10)))
        assert status(connection_to, {"Cookie": f"access_token={live}"}) == 404, "one that nobody has ended"
        connection_to.close()
    finally:
        server.stop()


def _at_once(browsers: list[Browser], there: Server) -> list[Answer]:
    """What each is answered, all having asked together."""
    answers: list[Answer] = []

    def ask(jar: Jar) -> None:
        answers.append(Browser(there.url, dict(jar)).send("GET", NOWHERE, to=there.address))

    asking = [threading.Thread(target=ask, args=[browser.jar]) for browser in browsers]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    assert len(answers) == len(browsers), "an answer was lost"
    return answers


def _first_answer(server: Server, token: str) -> Answer:
    deadline = time.monotonic() + 30
    while True:
        try:
            return Browser(server.address, {"access_token": token}).send("GET", NOWHERE)
        except OSError:
            assert time.monotonic() < deadline


def _token(secret: str, issuer: str, sid: str) -> str:
    """An access token as the server would have issued it, so that nobody has to sign in ten thousand times."""
    ring = KeyRing([secret.encode()])
    tokens = AccessTokens(ring, algorithm=Algorithm.HS256, issuer=issuer, lifetime=900)
    now = int(time.time())
    return tokens.issue(
        user_id="ada",
        sid=sid,
        jti=sid,
        roles=(),
        amr=("pwd",),
        auth_time=now,
        issued_at=now,
        ends_at=now + 900,
    )
