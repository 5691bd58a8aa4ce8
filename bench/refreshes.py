"""How many refreshes a second one worker answers, each of them a rotation that is on the disk before it is answered.

The rotation window is 1 ms here: at its default of 20 s a chain that refreshes at once is given the same token again
and nothing is written. After each round the database must hold as many rotations as were answered.
"""

from __future__ import annotations

import re
import time
from functools import partial
from pathlib import Path
from statistics import quantiles

from bench.databases import Texts, postgres, sign_in, sqlite, within
from bench.load import OF_A_PAGE, Follow, WrongAnswerError, checked, converse, request
from bench.servers import Server, busy, serving
from bench.table import Goal, Line, interleaved
from watchword import Watchword
from watchword.core.user import User
from watchword.errors import AlreadyExists
from watchword.flows.grant import Grant

CHAINS = 8
WINDOW = "1ms"
SQLITE = "SQLite, synchronous=FULL"
FLOOR = "answers/s of a bare route as large"
_SET_COOKIE = re.compile(rb"set-cookie: (access_token|refresh_token)=([^;]+);", re.I)


class Chain:
    """A browser that refreshes again and again: its jar, what it counted, how long each answer took."""

    def __init__(self, grant: Grant) -> None:
        self.sid = grant.session.sid
        self.rotations = self.repeats = 0
        self.latencies: list[float] = []
        self._access, self._refresh = grant.access_token.encode(), grant.refresh_token.encode()

    def refresh(self) -> bytes:
        """The request, as a browser sends it."""
        self._sent_at = time.perf_counter()
        return request(
            "POST",
            "/auth/refresh",
            *OF_A_PAGE,
            f"cookie: access_token={self._access.decode()}; refresh_token={self._refresh.decode()}",
        )

    def take(self, answer: bytes) -> None:
        """Put the cookies of an answer into the jar."""
        given = dict(_SET_COOKIE.findall(answer))
        if given[b"refresh_token"] == self._refresh:
            self.repeats += 1
        else:
            self.rotations += 1
        self._access, self._refresh = given[b"access_token"], given[b"refresh_token"]

    def until(self, deadline: float) -> Follow:
        """Takes an answer and refreshes again, until an instant of time.perf_counter."""

        def follow(answer: bytes) -> bytes | None:
            now = time.perf_counter()
            self.latencies.append(now - self._sent_at)
            self.take(checked(answer))
            return self.refresh() if now < deadline else None

        return follow


class Chains:
    """All chains of one database."""

    def __init__(self, server: Server, texts: Texts) -> None:
        self._server = server
        self._texts = texts
        self._chains = [Chain(grant) for grant in within(texts, _signed_in)]
        self._latencies: list[float] = []

    def rotations_per_second(self, seconds: float) -> float:
        """Raises WrongAnswerError when an answer was no 200, or when the database lacks a rotation."""
        with self._server.under_load():
            before, begun = self._rotations, time.perf_counter()
            talks = [(chain.refresh(), chain.until(begun + seconds)) for chain in self._chains]
            converse(self._server.port, talks)
            took = time.perf_counter() - begun
        for chain in self._chains:
            self._latencies += chain.latencies
            chain.latencies.clear()
        written = within(self._texts, self._written)
        if written != self._rotations:
            raise WrongAnswerError(
                f"{self._rotations} rotations were answered, {written} are in the database"
            )
        return (self._rotations - before) / took

    @property
    def latencies(self) -> list[float]:
        """Seconds that each answer took, in the order of the answers of each measure."""
        return self._latencies

    @property
    def _rotations(self) -> int:
        return sum(chain.rotations for chain in self._chains)

    async def _written(self, auth: Watchword) -> int:
        """A session begins at generation 1, and each rotation adds one."""
        loaded = [await auth.world.store.load_session(chain.sid) for chain in self._chains]
        return sum(row.session.lineage.newest - 1 for row in loaded if row is not None)

    def __str__(self) -> str:
        cuts = quantiles(self._latencies, n=100)
        repeats = sum(chain.repeats for chain in self._chains)
        return f"p50 {cuts[49] * 1e3:.1f} ms, p99 {cuts[98] * 1e3:.1f} ms, {repeats} repeats not counted"


def refresh(place: Path, rounds: int, seconds: int) -> list[Line]:
    """8 chains against one worker: SQLite with synchronous=FULL, PostgreSQL if there is one, and a floor."""
    lite = sqlite(place, rotation_window=WINDOW, synchronous="full")
    with postgres(rotation_window=WINDOW) as big:
        stores = dict([(SQLITE, lite), *([big] if big else [])])
        apps = {name: ("whole", texts) for name, texts in stores.items()} | {FLOOR: ("refresh_floor", lite)}
        with serving(apps) as servers:
            chains = {name: Chains(servers[name], texts) for name, texts in stores.items()}
            figures = interleaved(
                rounds,
                {name: partial(those.rotations_per_second, seconds) for name, those in chains.items()}
                | {FLOOR: partial(floor_rate, servers[FLOOR], seconds)},
            )
            shares = {name: busy(server) for name, server in servers.items()}
    lines = [
        Line(
            "refresh",
            f"rotations/s, {CHAINS} chains, {name}",
            figures[name],
            form="{:,.0f}",
            goal=Goal(3_000 if name == SQLITE else 2_500),
            beside=f"{those}, {shares[name]}",
        )
        for name, those in chains.items()
    ]
    floor = Line("refresh", FLOOR, figures[FLOOR], form="{:,.0f}", beside=shares[FLOOR])
    return [*lines, floor]


def floor_rate(server: Server, seconds: float) -> float:
    """The same number of connections, each sending what a chain sends."""
    sent = request(
        "POST", "/auth/refresh", *OF_A_PAGE, f"cookie: access_token={'a' * 500}; refresh_token={'r' * 84}"
    )
    answered = 0

    def follow(answer: bytes) -> bytes | None:
        nonlocal answered
        checked(answer)
        answered += 1
        return sent if time.perf_counter() < deadline else None

    with server.under_load():
        begun = time.perf_counter()
        deadline = begun + seconds
        converse(server.port, [(sent, follow)] * CHAINS)
        return answered / (time.perf_counter() - begun)


async def _there(auth: Watchword, email: str) -> User:
    try:
        return await auth.users.create(email, roles=["owner"])
    except AlreadyExists:
        return await auth.users.get(email)


async def _signed_in(auth: Watchword) -> list[Grant]:
    users = [await _there(auth, f"user{number}@example.com") for number in range(CHAINS)]
    return [await sign_in(auth, user) for user in users]
