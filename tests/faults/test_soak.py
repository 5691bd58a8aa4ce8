"""What stays behind a hundred thousand sign-ins, and behind a flood of a million wrong tokens, addresses and networks
(F14, F15): in memory, in descriptors, in the tables. `FAULTS=full` does so many, otherwise a hundredth or less.

Processes of their own, with cheap hashing, and ASGI instead of sockets: so this is about what our code keeps.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.drivers.neighbours import neighbour
from tests.faults.test_clocks import WrongClock
from tests.servers import environment
from watchword.core.uuid7 import uuid7
from watchword.flows.sweep import sweep
from watchword.storage.sql.migrate import migrate

ROOT = Path(__file__).parents[2]
FULL = os.environ.get("FAULTS") == "full"
LOGINS = 100_000 if FULL else 600
WORKERS = 2
FLOOD = {"tokens": 1_000_000, "refreshes": 100_000, "sign_ins": 30_000, "networks": 1_000_000}
if not FULL:
    FLOOD = {"tokens": 10_000, "refreshes": 1_000, "sign_ins": 200, "networks": 150_000}
REVOCATIONS = 60_000
DAYS = 24 * 3600
MEGABYTE = 1_000_000

Measured = Callable[[str], None]

COMMON = """
import asyncio, gc, json, os, resource, secrets, sys

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from tests.http.asgi import call
from watchword.auth import Watchword
from watchword.drivers.hasher import Argon2Hasher
from watchword.starlette import install


async def hello(request):
    return PlainTextResponse("hello")


def weighed():
    gc.collect()
    pages = int(open("/proc/self/statm").read().split()[1])
    return {"rss": pages * resource.getpagesize(), "files": len(os.listdir("/proc/self/fd"))}


auth = Watchword(hasher=Argon2Hasher(threads=1, memory=8, passes=1))
app = Starlette(routes=[Route("/hello", hello)])
install(app, auth)
here = ("origin", auth.settings.url)
"""
SOAKING = f"""{COMMON}
logins, name = int(sys.argv[1]), sys.argv[2]
PASSWORD = "correct horse battery staple"


async def signs_in(number):
    body = json.dumps({{"email": f"{{name}}{{number % 200}}@example.com", "password": PASSWORD}}).encode()
    headers = [here, ("content-type", "application/json"), ("user-agent", "tests")]
    answer = await call(app, "POST", "/auth/login", headers=headers, body=body)
    assert answer.status == 200, answer.body
    jar = "; ".join(line.partition(";")[0] for line in answer.cookies)
    answer = await call(app, "GET", "/hello", headers=[("cookie", jar)])
    assert answer.status == 200, answer.body
    if number % 2:
        answer = await call(app, "POST", "/auth/logout", headers=[("cookie", jar), here])
        assert answer.status == 200, answer.body


async def main():
    told = []
    async with auth.lifespan():
        for number in range(200):
            await auth.users.create(f"{{name}}{{number}}@example.com", password=PASSWORD)
        for share in (20, 80):
            waiting = iter(range(logins * share // 100))

            async def some():
                for number in waiting:
                    await signs_in(number)

            await asyncio.gather(*(some() for _ in range(8)))
            told.append(weighed())
    print(json.dumps(told))


asyncio.run(main())
"""
FLOODING = f"""{COMMON}
from watchword.rates import Rate

flood = json.loads(sys.argv[1])


def made_up():
    return secrets.token_urlsafe(32)


async def attack(tokens, refreshes, sign_ins, networks):
    header = auth.world.access_tokens.issue(
        user_id="ada", sid="sid", jti="x", roles=(), amr=(), auth_time=0, issued_at=0, ends_at=9
    ).partition(".")[0]
    for number in range(tokens):
        token = f"{{header}}.{{made_up()}}.{{made_up()}}"
        answer = await call(app, "GET", "/hello", headers=[("cookie", f"access_token={{token}}")])
        assert answer.status == 401
    for number in range(refreshes):
        cookie = ("cookie", f"refresh_token=wwr_{{secrets.token_urlsafe(60)}}")
        answer = await call(app, "POST", "/auth/refresh", headers=[cookie, here])
        assert answer.status == 401
    for number in range(sign_ins):
        body = json.dumps({{"email": f"{{made_up()}}@example.com", "password": made_up()}}).encode()
        where = (f"10.{{number >> 16 & 255}}.{{number >> 8 & 255}}.{{number & 255}}", 1)
        headers = [here, ("content-type", "application/json")]
        answer = await call(app, "POST", "/auth/login", headers=headers, body=body, client=where)
        assert answer.status in (401, 429), answer.body
    rate, limiter = Rate(10, 60_000_000), auth.world.near_limiter
    for number in range(networks):
        await limiter.take([(f"login 10.{{number}}", rate)], now=auth.world.clock.now())


async def main():
    async with auth.lifespan():
        await attack(100, 100, 20, 100)
        before = weighed()
        await attack(**flood)
        print(json.dumps([before, weighed()]))


asyncio.run(main())
"""
LOADING = f"""{COMMON}

async def main():
    async with auth.lifespan():
        print(json.dumps([weighed(), len(auth.world.revocations)]))


asyncio.run(main())
"""


@pytest.fixture
def env(tmp_path: Path) -> Mapping[str, str]:
    url = f"sqlite:///{tmp_path}/watchword.db"
    migrate(url)
    named = environment(url, access_ttl="1s", events_file=f"{tmp_path}/events.jsonl")
    return named | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}


def begun(program: str, env: Mapping[str, str], *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", program, *words]
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def told(process: subprocess.Popen[str]) -> Any:
    out, err = process.communicate()
    assert process.returncode == 0, err[-3000:]
    return json.loads(out)


def rows(path: Path) -> dict[str, int]:
    with closing(sqlite3.connect(path)) as connection:
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'ww_%'")
        return {
            name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
            for (name,) in names.fetchall()
        }


def test_sign_ins_leave_nothing_behind(env: Mapping[str, str], tmp_path: Path, measured: Measured) -> None:
    """F14: two workers; no error, no more memory or descriptors at the end than after the first fifth, and tables that
    are as empty as before once everything has expired."""
    began = time.monotonic()
    workers = [begun(SOAKING, env, str(LOGINS // WORKERS), f"worker{number}") for number in range(WORKERS)]
    figures = [told(worker) for worker in workers]
    seconds = time.monotonic() - began
    path = tmp_path / "watchword.db"
    full = rows(path)
    asyncio.run(_swept(env))
    left = {name: count for name, count in rows(path).items() if count}
    assert left == {"ww_user": 200 * WORKERS, "ww_schema_version": 1}
    growth = [last["rss"] / first["rss"] - 1 for first, last in figures]
    measured(
        f"{LOGINS} sign-ins in {seconds:.0f} s, no error; memory "
        + ", ".join(
            f"{first['rss'] / MEGABYTE:.0f} → {last['rss'] / MEGABYTE:.0f} MB" for first, last in figures
        )
        + f" ({max(growth):+.1%}); rows {sum(full.values())} → {sum(left.values())}"
    )
    assert all(last["files"] <= first["files"] for first, last in figures)
    if FULL:  # a few hundred are too few to fill the caches
        assert max(growth) < 0.05


async def _swept(env: Mapping[str, str]) -> None:
    """As it will be in half a year."""
    url = env["WATCHWORD_DATABASE_URL"]
    auth = neighbour(url, secrets.token_urlsafe(48), clock=WrongClock(180 * DAYS))
    await sweep(auth.world)
    await auth.world.store._write(  # type: ignore[attr-defined]  # leases are never swept, and are two rows at most
        ("DELETE FROM ww_lease RETURNING name",), {}
    )
    await auth.aclose()


def test_a_flood_of_made_up_tokens_addresses_and_networks_is_not_kept(
    env: Mapping[str, str], tmp_path: Path, measured: Measured
) -> None:
    """F15, attack 94: what strangers can make up fills neither memory nor, beyond an hour, the tables."""
    limited = {**env, "WATCHWORD_LIMITS": "on"}
    before, after = told(begun(FLOODING, limited, json.dumps(FLOOD)))
    grown = (after["rss"] - before["rss"]) / MEGABYTE
    full = rows(tmp_path / "watchword.db")
    asyncio.run(_swept(env))
    assert rows(tmp_path / "watchword.db")["ww_throttle"] == 0
    measured(
        f"{FLOOD}: {grown:+.0f} MB, {full['ww_throttle']} budgets and {full['ww_event']} events in the tables"
    )
    assert grown < 50
    assert after["files"] <= before["files"]


def test_what_a_worker_takes_that_knows_of_sixty_thousand_revocations_is_measured(
    env: Mapping[str, str], tmp_path: Path, measured: Measured
) -> None:
    """F15: by the kernel's word, of the whole process."""
    [alone, _] = told(begun(LOADING, env))
    now = time.time_ns() // 1000
    with closing(sqlite3.connect(tmp_path / "watchword.db")) as connection, connection:
        ended = [(uuid7(now, secrets.token_bytes(10)), now) for _ in range(REVOCATIONS)]
        connection.executemany("INSERT INTO ww_revocation (sid, created_at) VALUES (?, ?)", ended)
    [loaded, known] = told(begun(LOADING, env))
    assert known == REVOCATIONS
    grown = (loaded["rss"] - alone["rss"]) / MEGABYTE
    measured(
        f"a worker takes {alone['rss'] / MEGABYTE:.0f} MB, and {grown:.0f} MB more with {known} revocations"
    )
    assert grown < 100
