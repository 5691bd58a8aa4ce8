"""Redis stops, falls silent, forgets everything or holds nonsense (F5): people sign in all the same, no answer is a
fault, and nobody may guess more than twice as often. A Redis of the tests' own; `FAULTS=full` has more ways."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator

import pytest

from tests.clusters import OwnRedis, own_redis
from tests.servers import Browser, Server, prepared, serving
from watchword.storage.redis import PREFIX

LIMIT = 4
"""Guesses an account and hour, in what follows."""

Fault = Callable[[OwnRedis], None]


def killed(redis: OwnRedis) -> None:
    redis.kill()


def silent(redis: OwnRedis) -> None:
    """As behind a network that swallows everything: connections stay, nothing is answered."""
    assert redis.process is not None
    redis.process.send_signal(signal.SIGSTOP)


def flushed(redis: OwnRedis) -> None:
    with redis.client() as client:
        client.flushall()


def garbled(redis: OwnRedis) -> None:
    with redis.client() as client:
        keys = list(client.scan_iter(f"{PREFIX}*"))
        assert keys
        for number, key in enumerate(keys):
            client.delete(key)
            client.set(key, ["nonsense", "nan", "-1e999"][number % 3])


def of_another_kind(redis: OwnRedis) -> None:
    with redis.client() as client:
        for key in list(client.scan_iter(f"{PREFIX}*")):
            client.delete(key)
            client.lpush(key, "a list")


def full(redis: OwnRedis) -> None:
    """It refuses writes, as one does that may keep no more or has become a replica."""
    with redis.client() as client:
        client.config_set("maxmemory", "1")


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of servers over one database, in which each fault has an account of its own."""
    path = tmp_path_factory.mktemp("redis") / "watchword.db"
    limits = f"login=1000/m,login_account={LIMIT}/h,login_all=1000/s"
    return prepared(f"sqlite:///{path}", limits=limits)


@pytest.fixture
def redis() -> Iterator[OwnRedis]:
    with own_redis() as server:
        yield server


def guesses(server: Server, email: str) -> int:
    """How many are judged, before there is no budget for more."""
    judged = 0
    while judged < 10 * LIMIT:
        answer = Browser(server.url).send(
            "POST", "/auth/login", {"email": email, "password": f"guess {judged}"}
        )
        assert answer.status in (401, 429), answer.body
        if answer.status == 429:
            assert int(dict(answer.headers)["retry-after"]) > 0
            return judged
        judged += 1
    raise AssertionError("there is no limit")


FAULTS = [killed, silent, garbled]
if os.environ.get("FAULTS") == "full":
    FAULTS += [flushed, of_another_kind, full]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_redis_costs_nobody_a_sign_in_and_widens_no_limit_more_than_twice(
    env: dict[str, str], redis: OwnRedis, fault: Fault
) -> None:
    """F5, I6, ASVS 6.3.1, 16.5.2."""
    guessed = f"{fault.__name__}@example.com"
    with serving(env | {"WATCHWORD_REDIS_URL": redis.url}) as server:
        before = guesses(server, guessed)
        assert before == LIMIT
        fault(redis)
        browser = Browser(server.url)
        browser.sign_in()
        assert browser.send("POST", "/auth/refresh").status == 200
        assert before + guesses(server, guessed) <= 2 * LIMIT
        assert browser.send("POST", "/auth/logout").status == 200
        assert browser.send("GET", "/nowhere").status == 401
        if redis.process is not None and redis.process.poll() is None:
            os.kill(redis.process.pid, signal.SIGCONT)
