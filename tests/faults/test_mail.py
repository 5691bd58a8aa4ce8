"""Mail and kill -9, and mail of several processes. `FAULTS=full` kills 50 times, otherwise 6 times."""

from __future__ import annotations

import asyncio
import os
import random
import socket
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from statistics import median
from time import monotonic, sleep

import psycopg
import pytest

from tests.needs import postgres_url
from tests.postgres import fresh_database
from tests.servers import Browser, prepared, serving
from tests.smtp import Post, smtp_server
from watchword.auth import Watchword
from watchword.flows.outbox import LEASE, sealed
from watchword.settings import Settings

ROOT = Path(__file__).parents[2]
KILLS = 50 if os.environ.get("FAULTS") == "full" else 6
QUEUEING = """
import asyncio
from watchword.auth import Watchword
from watchword.flows.outbox import sealed

async def main():
    auth = Watchword()
    async with auth.lifespan():
        while True:
            mail = sealed(auth.world, "test", "ada@example.org", {})
            await auth.world.store.queue_mail(mail)
            print(mail.id, flush=True)
            auth.world.mail_queued()
            await asyncio.sleep(0.01)

asyncio.run(main())
"""
"""A process that tells which messages are committed, and sends them."""


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/watchword.db"
    else:
        with fresh_database(postgres_url()) as url:
            yield url


def execute(database_url: str, statement: str) -> list[tuple[int]]:
    if database_url.startswith("sqlite"):
        with sqlite3.connect(database_url.removeprefix("sqlite:///"), timeout=10) as connection:
            return connection.execute(statement).fetchall()
    with psycopg.connect(database_url) as postgres:
        cursor = postgres.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def killed_while_queueing(env: Mapping[str, str], seconds: float) -> list[str]:
    """The ids of what such a process had committed when it was killed."""
    command = [sys.executable, "-c", QUEUEING]
    process = subprocess.Popen(
        command, env={**env, "PYTHONPATH": str(ROOT / "src")}, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    first = process.stdout.readline()
    sleep(seconds)
    process.kill()
    rest = process.stdout.read()
    process.wait()
    process.stdout.close()
    return [line for line in (first + rest).split("\n")[:-1] if line]


def ids(post: Post) -> Counter[str]:
    return Counter(letter["Message-ID"].partition("@")[0].removeprefix("<") for letter in post.letters)


def test_what_was_committed_is_sent_whoever_is_killed(
    database_url: str, measured: Callable[[str], None]
) -> None:
    """F2, F12, I4: at least once. Each kill hits one message at most between the server's word and our note."""
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    post, committed = Post(), list[str]()
    with smtp_server(post) as address:
        env = prepared(database_url, smtp_url=f"smtp://{address}")
        for _ in range(KILLS):
            committed += killed_while_queueing(env, chance.uniform(0, 0.3))
        # What was in a killed process's hands is due when its lease is over; that minute is not waited for.
        execute(database_url, f"UPDATE ww_outbox SET next_at = next_at - {LEASE}")
        with serving(env):
            wanted = set(committed)
            for _ in range(600):
                if wanted <= ids(post).keys():
                    break
                sleep(0.05)
    arrived = ids(post)
    assert [each for each in committed if each not in arrived] == [], f"seed {seed}"
    twice = sum(arrived.values()) - len(arrived)
    assert twice <= KILLS
    measured(f"{KILLS} kills, {len(committed)} messages, none lost, {twice} sent twice")


def test_a_message_in_the_hands_of_a_killed_server_goes_out_after_its_restart(tmp_path: Path) -> None:
    """F12: the mail server stalls, we are killed, and both come back."""
    url = f"sqlite:///{tmp_path}/watchword.db"
    post = Post({"DATA": [30.0]})
    with smtp_server(post) as address:
        env = prepared(url, smtp_url=f"smtp://{address}")
        with serving(env) as server:
            queue(env, 1)
            for _ in range(400):
                if "DATA" in post.seen:
                    break
                sleep(0.05)
            server.kill()
            assert execute(url, "SELECT count(*) FROM ww_outbox WHERE sent_at IS NULL") == [(1,)]
            execute(url, f"UPDATE ww_outbox SET next_at = next_at - {LEASE}")
            server.start()
            post.until(2)
    assert len(ids(post)) == 1, "the mail server had it the first time: the same message, not a new one"


def test_a_mail_server_that_says_nothing_makes_nobody_wait_who_signs_in(
    tmp_path: Path, measured: Callable[[str], None]
) -> None:
    """F12: the code is in the database when the answer leaves, and the sender waits alone, half a minute each time.
    How near the answer comes to a bare hash is measured by `python -m bench mail`."""
    url, took = f"sqlite:///{tmp_path}/watchword.db", list[float]()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(30)
        smtp_url = f"smtp://127.0.0.1:{silent.getsockname()[1]}"
        with serving(prepared(url, smtp_url=smtp_url, two_factor="required")) as server:
            Browser(server.url).sign_in()
            caller, _ = silent.accept()  # from here on the sender waits for its greeting
            for _ in range(5):
                begun = monotonic()
                answer = Browser(server.url).sign_in()
                took.append(monotonic() - begun)
                assert answer.body["next"]["step"] == "two_factor"
            caller.close()
    assert execute(url, "SELECT count(*) FROM ww_outbox WHERE sent_at IS NULL") == [(6,)]
    assert max(took) < LEASE / 2_000_000 / 3
    measured(f"sign-ins answered in {median(took) * 1e3:.0f} ms, {max(took) * 1e3:.0f} at most")


def test_of_two_servers_each_message_leaves_once(database_url: str) -> None:
    """F12: when nothing fails."""
    post = Post()
    with smtp_server(post) as address:
        env = prepared(database_url, smtp_url=f"smtp://{address}")
        with serving(env), serving(env):
            queue(env, 60)
            post.until(60)
            sleep(1)
    assert set(ids(post).values()) == {1}


def queue(env: Mapping[str, str], count: int) -> None:
    """Queue messages as another process, which sends none."""
    settings = Settings.from_env({name: env[name] for name in ("WATCHWORD_SECRET", "WATCHWORD_DATABASE_URL")})

    async def all_of_them() -> None:
        auth = Watchword(settings)
        for _ in range(count):
            await auth.world.store.queue_mail(sealed(auth.world, "test", "ada@example.org", {}))
        await auth.aclose()

    asyncio.run(all_of_them())
