"""The measuring: every operation, all its contestants in turn, round by round; and the lines that come of it.

Guards and sign-ins are counted per second of the server's processor time, as in `bench.guards`: who waits for a
database is not charged for the waiting, which favours those who ask one. Refreshes are in real time, as in
`bench.refreshes`: there the disk is part of the work.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit, urlunsplit

from bench.databases import postgres
from bench.load import CONNECTIONS, Follow, WrongAnswerError, checked, converse, gets, request
from bench.peers.contestants import CONTESTANTS, OURS, PEOPLE, Contestant
from bench.peers.environments import NotInstalledError
from bench.peers.processes import Process
from bench.peers.wires import Wire
from bench.table import Goal, Line, interleaved, rate, ratios

OPERATIONS: Mapping[str, str] = {
    "guard": "guarded GETs per second of the server's processor time",
    "refresh": f"refreshes per second, {PEOPLE} chains",
    "login": f"sign-ins per second of the server's processor time, {PEOPLE} at once",
}
GOALS = {
    ("guard", "AuthX"): 3.0,
    ("guard", "fastapi-users, SQLite"): 9.0,
    ("guard", "fastapi-users, PostgreSQL"): 9.0,
    ("guard", "better-auth, cookie cache"): 2.2,
    ("refresh", "AuthX"): 2.0,
    ("refresh", "better-auth"): 3.5,
    ("refresh", "SimpleJWT"): 10.0,
    ("refresh", "S1"): 300.0,
}
"""What Watchword shall be at least, in multiples of a peer."""


@dataclass
class Outcome:
    """Figures of a contestant a round, by operation and name, and why one is missing."""

    figures: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    shares: dict[str, dict[str, float]] = field(default_factory=dict)
    """How much of its core each server had."""
    missing: dict[str, str] = field(default_factory=dict)

    def lines(self) -> list[Line]:
        return [
            Line(
                "peers",
                f"{operation}: Watchword ÷ {name}",
                ratios(by_name[OURS], theirs),
                form="{:.2f}",
                goal=Goal(GOALS[operation, name]) if (operation, name) in GOALS else None,
                beside=f"{rate(by_name[OURS])} by {rate(theirs)}, core {self.shares[operation][name]:.0%}",
            )
            for operation, by_name in self.figures.items()
            for name, theirs in by_name.items()
            if not name.startswith(OURS)
        ]


def compared(place: Path, rounds: int, seconds: int, operations: Sequence[str]) -> Outcome:
    """Raises WrongAnswerError when a contestant answers something else than what is measured."""
    outcome = Outcome()
    with postgres() as big:
        for operation in operations:
            print(f"bench: {operation} of peers, {rounds} rounds …", file=sys.stderr, flush=True)
            contestants = [each for each in CONTESTANTS if operation in each.operations]
            with _started(
                contestants, place, big and _for_asyncpg(big[1]["database_url"]), outcome
            ) as servers:
                measures = {
                    name: _MEASURES[operation](server, each.wire) for name, (server, each) in servers.items()
                }
                for name, (_, each) in servers.items():
                    measures[name](max(each.warm_up, seconds))  # this shows too that the answers are right
                for server, _ in servers.values():
                    server.loads.clear()
                outcome.figures[operation] = interleaved(
                    rounds, {name: partial(measure, seconds) for name, measure in measures.items()}
                )
                outcome.shares[operation] = {
                    name: median(load.cpu_seconds / load.seconds for load in server.loads)
                    for name, (server, _) in servers.items()
                }
    return outcome


@contextmanager
def _started(
    contestants: list[Contestant], place: Path, postgres_url: str | None, outcome: Outcome
) -> Iterator[dict[str, tuple[Process, Contestant]]]:
    servers: dict[str, tuple[Process, Contestant]] = {}
    with ExitStack() as stack:
        for each in contestants:
            try:
                server = each.start(place, postgres_url)
            except NotInstalledError as error:
                outcome.missing[each.name] = str(error)
                continue
            stack.callback(server.stop)
            servers[each.name] = server, each
        for server, _ in servers.values():
            server.wait_until_ready()
        yield servers


def _for_asyncpg(url: str) -> str:
    """The tables of fastapi-users are in the same new database as ours; no name is in both."""
    return urlunsplit(urlsplit(url)._replace(scheme="postgresql+asyncpg"))


def _guard(server: Process, wire: type[Wire]) -> Callable[[int], float]:
    (person,) = _signed_in(server, wire, 1)
    line = person.guard_line()
    answers: list[bytes] = []
    converse(server.port, [(request("GET", "/item", line), lambda answer: answers.append(checked(answer)))])
    body = answers[0].partition(b"\r\n\r\n")[2]
    if len(body.replace(b" ", b"")) != len('{"id":""}') + 36:
        raise WrongAnswerError(f"not as long as the others' answers: {body!r}")

    def measure(seconds: int) -> float:
        with server.under_load() as spent:
            answered = gets(f"http://127.0.0.1:{server.port}/item", [line], seconds)
        return answered / spent.cpu_seconds

    return measure


def _refresh(server: Process, wire: type[Wire]) -> Callable[[int], float]:
    people = _signed_in(server, wire, PEOPLE)

    def measure(seconds: int) -> float:
        answered = 0

        def follow(person: Wire, answer: bytes) -> bytes | None:
            nonlocal answered
            before = person.newest()
            person.take(checked(answer))
            if not person.renewed(answer, before):
                raise WrongAnswerError(f"nothing was renewed: {answer!r}")
            answered += 1
            return person.refresh() if time.perf_counter() < begun + seconds else None

        with server.under_load():
            begun = time.perf_counter()
            converse(server.port, [(person.refresh(), partial(follow, person)) for person in people])
            return answered / (time.perf_counter() - begun)

    return measure


def _login(server: Process, wire: type[Wire]) -> Callable[[int], float]:
    people = [wire(number) for number in range(PEOPLE)]

    def measure(seconds: int) -> float:
        answered = 0

        def follow(person: Wire, answer: bytes) -> bytes | None:
            nonlocal answered
            checked(answer)
            answered += 1
            return person.login() if time.perf_counter() < begun + seconds else None

        with server.under_load() as spent:
            begun = time.perf_counter()
            converse(server.port, [(person.login(), partial(follow, person)) for person in people])
        return answered / spent.cpu_seconds

    return measure


_MEASURES: Mapping[str, Callable[[Process, type[Wire]], Callable[[int], float]]] = {
    "guard": _guard,
    "refresh": _refresh,
    "login": _login,
}
assert PEOPLE == CONNECTIONS


def _signed_in(server: Process, wire: type[Wire], count: int) -> list[Wire]:
    """By the server's own route, one after the other."""
    people = [wire(number) for number in range(count)]

    def take(person: Wire) -> Follow:
        return lambda answer: person.take(checked(answer))

    for person in people:
        if wire.signs_in:
            converse(server.port, [(person.login(), take(person))])
    return people
