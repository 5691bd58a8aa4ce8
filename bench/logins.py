"""A storm of sign-ins: how near it comes to what argon2 itself does on the same core, and what everybody else feels.

Rates are per second of processor time, as in `bench.guards`; the waiting of others is in real time.
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import cycle
from pathlib import Path
from statistics import median, quantiles

from argon2 import PasswordHasher

from bench.apps import PASSWORD
from bench.databases import sign_in, sqlite, within
from bench.load import asking, checked, converse, exchange, request
from bench.machine import cores, stay_on
from bench.servers import Server, busy, serving
from bench.table import Goal, Line, interleaved, rate, ratios
from watchword import Watchword
from watchword.drivers.hasher import Argon2Hasher, available_cores

AT_ONCE = 8
USERS = 400
GET_EVERY = 0.025


def login(place: Path, rounds: int, seconds: int) -> list[Line]:
    """8 sign-ins at once with argon2id's default parameters, and a cheap guarded GET every 25 ms beside them."""
    settings = sqlite(place)
    token = within(settings, _prepared)
    with serving({app: (app, settings) for app in ("whole", "login_floor")}) as servers:
        storm, floor = (Storm(server, token) for server in servers.values())
        figures = interleaved(
            rounds,
            {
                "raw": partial(raw_rate, seconds),
                "storm": partial(storm.sign_ins_per_second, seconds),
                "floor": partial(floor.sign_ins_per_second, seconds),
            },
        )
        share = busy(servers["whole"])
    raw = figures["raw"]
    return [
        Line(
            "login",
            f"sign-ins, {AT_ONCE} at once ÷ raw argon2",
            ratios(figures["storm"], raw),
            goal=Goal(0.93),
            beside=f"{rate(figures['storm'])} by {rate(raw)}, {share}",
        ),
        Line(
            "login",
            "p99 of a GET meanwhile, ms",
            storm.p99s,
            form="{:.1f}",
            goal=Goal(8, at_most=True),
            beside=f"max {storm.longest:.1f} ms, {storm.gets:,} GETs",
        ),
        Line(
            "login",
            "a bare route that only hashes ÷ raw argon2",
            ratios(figures["floor"], raw),
            beside=f"its GET's p99 {median(floor.p99s):.1f} ms",
        ),
    ]


class Storm:
    """Sign-ins of many people in turn, on 8 connections that each send the next one as soon as one is answered."""

    def __init__(self, server: Server, token: str) -> None:
        self._server = server
        self._requests = [
            asking("/auth/login", {"email": f"user{number}@example.com", "password": PASSWORD})
            for number in range(USERS)
        ]
        self._get = request("GET", "/item", f"cookie: access_token={token}")
        self.p99s: list[float] = []
        self.longest = 0.0
        self.gets = 0

    def sign_ins_per_second(self, seconds: float) -> float:
        answered = 0

        def follow(answer: bytes) -> bytes | None:
            nonlocal answered
            checked(answer)
            answered += 1
            return next(users) if time.perf_counter() < begun + seconds else None

        users = cycle(self._requests)
        over = threading.Event()
        with self._server.under_load() as spent, ThreadPoolExecutor(1) as thread:
            latencies = thread.submit(self._gets, over)
            begun = time.perf_counter()
            try:
                converse(self._server.port, [(next(users), follow) for _ in range(AT_ONCE)])
            finally:
                over.set()
            millis = latencies.result()
        self.p99s.append(quantiles(millis, n=100)[98])
        self.longest = max(self.longest, *millis)
        self.gets += len(millis)
        return answered / spent.cpu_seconds

    def _gets(self, over: threading.Event) -> list[float]:
        """Milliseconds from the instant at which each GET was due: one that waits for its forerunner has waited too."""
        latencies = []
        with socket.create_connection(("127.0.0.1", self._server.port)) as connection:
            due = time.perf_counter()
            while not over.is_set():
                due += GET_EVERY
                time.sleep(max(0.0, due - time.perf_counter()))
                checked(exchange(connection, self._get))
                latencies.append((time.perf_counter() - due) * 1e3)
        return latencies


async def _prepared(auth: Watchword) -> str:
    """The users of the storm, and the token of another one."""
    first = await auth.users.create("user0@example.com", PASSWORD)
    digest = (await auth.world.store.load_user(first.id) or first).digest
    for number in range(1, USERS):
        user = await auth.users.create(f"user{number}@example.com")
        await auth.world.store.change_password(user.id, str(digest), now=user.created_at, keep=None)
    return (await sign_in(auth, await auth.users.create("ada@example.com"))).access_token


def raw_rate(seconds: float) -> float:
    """Verifications a second by nothing but argon2, in as many threads as the server has for it."""
    core, _ = cores()
    command = [sys.executable, "-m", "bench.logins", "" if core is None else str(core), str(seconds)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def _raw(core: str, seconds: str) -> None:
    stay_on(int(core) if core else None)
    digest = asyncio.run(Argon2Hasher().hash(PASSWORD))  # with the parameters that the server has
    end = time.perf_counter() + float(seconds)

    def verify() -> int:
        done = 0
        while time.perf_counter() < end:
            PasswordHasher().verify(digest, PASSWORD)
            done += 1
        return done

    threads = available_cores()
    begun = time.process_time()
    with ThreadPoolExecutor(threads) as pool:
        done = sum(pool.map(lambda _: verify(), range(threads)))
    print(done / (time.process_time() - begun))


if __name__ == "__main__":
    _raw(*sys.argv[1:])
