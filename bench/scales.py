"""What grows with use and with the machine: sessions of a user, rows of the table, workers.

A refresh looks one row up by its key and writes it, so that neither of the first two should be felt. Two workers are
two processes over one database, each under as many connections as the one beside them, and all of them, load included,
wherever the kernel puts them: what is compared is processor time a request, as on two cores two workers and the load
cannot all run at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import median, quantiles

from bench.bulk import dialect_of, fill, insert, sessions, users
from bench.databases import Texts, postgres, sign_in, sqlite, within
from bench.load import CONNECTIONS, converse, gets
from bench.refreshes import SQLITE, WINDOW, Chain, Chains
from bench.servers import Server, serving
from bench.table import Goal, Line, interleaved, ratios
from watchword import Watchword
from watchword.flows.grant import Grant
from watchword.spans import DAY

_Load = Callable[[Sequence[Server], int], int]
"""Puts load on servers for some seconds and tells how many requests were answered."""

MANY_SESSIONS = 100
FEW_ROWS, MANY_ROWS = 1_000, 1_000_000
MANY_ROWS_QUICK = 100_000
ROWS_A_USER = 5


def scale(place: Path, rounds: int, seconds: int) -> list[Line]:
    """Refreshes by users with one session and with a hundred, and in tables of a thousand rows and of a million."""
    rows = MANY_ROWS if rounds > 2 else MANY_ROWS_QUICK
    lines = []
    with ExitStack() as stack:
        more = {"rotation_window": WINDOW, "max_sessions": str(2 * MANY_SESSIONS)}
        stores: dict[str, list[Texts]] = {SQLITE: [sqlite(place, **more) for _ in range(3)]}
        big = [stack.enter_context(postgres(**more)) for _ in range(3)]
        stores |= {one[0]: [each[1] for each in big if each] for one in big[:1] if one}
        for name, (few, crowded, many) in stores.items():
            _grow(few["database_url"], FEW_ROWS)
            _grow(crowded["database_url"], FEW_ROWS)
            _grow(many["database_url"], rows)
            lines += _lines(name, few, crowded, many, rows, rounds, seconds)
    return lines


def _lines(
    name: str, few: Texts, crowded: Texts, many: Texts, rows: int, rounds: int, seconds: int
) -> list[Line]:
    within(crowded, _crowd)
    given = {"few": few, "crowded": crowded, "many": many}
    with serving({key: ("whole", texts) for key, texts in given.items()}) as servers:
        loads = {key: Timed(servers[key], texts) for key, texts in given.items()}
        for load in loads.values():
            load.rate(0.5)  # the first answers of a process are slower
            load.p99s.clear()
        rates = interleaved(rounds, {key: partial(load.rate, seconds) for key, load in loads.items()})
    return [
        Line(
            "scale",
            f"time of a refresh with {MANY_SESSIONS} sessions ÷ with 1, {name}",
            ratios(rates["few"], rates["crowded"]),
            form="{:.2f}",
            goal=Goal(1.1, at_most=True),
            beside=f"{median(rates['crowded']):,.0f}/s by {median(rates['few']):,.0f}/s",
        ),
        Line(
            "scale",
            f"time of a refresh among {rows:,} sessions ÷ among {FEW_ROWS:,}, {name}",
            ratios(rates["few"], rates["many"]),
            form="{:.2f}",
            goal=Goal(1.3, at_most=True),
            beside=f"{median(rates['many']):,.0f}/s by {median(rates['few']):,.0f}/s",
        ),
        Line(
            "scale",
            f"p99 of the same, {name}",
            ratios(loads["many"].p99s, loads["few"].p99s),
            form="{:.2f}",
            goal=Goal(1.3, at_most=True),
            beside=f"{median(loads['many'].p99s):.1f} by {median(loads['few'].p99s):.1f} ms",
        ),
    ]


class Timed:
    """Chains of one database, with the p99 in ms of each measure."""

    def __init__(self, server: Server, texts: Texts) -> None:
        self._chains = Chains(server, texts)
        self.p99s: list[float] = []

    def rate(self, seconds: float) -> float:
        before = len(self._chains.latencies)
        rate = self._chains.rotations_per_second(seconds)
        self.p99s.append(quantiles(self._chains.latencies[before:], n=100)[98] * 1e3)
        return rate


def workers(place: Path, rounds: int, seconds: int) -> list[Line]:
    """Processor time a request of two workers over one database by that of one: a guarded GET, and a refresh."""
    lite = sqlite(place, mode="cookies,hybrid")
    token = within(lite, _one).access_token
    lines = [
        _compared("a guarded GET", lite, partial(_gets, f"Authorization: Bearer {token}"), rounds, seconds)
    ]
    with postgres(rotation_window=WINDOW) as big:
        if big is not None:
            grants = [Chain(grant) for grant in within(big[1], _chains)]
            refreshing = partial(_refreshes, grants)
            lines.append(_compared(f"a refresh, {big[0]}", big[1], refreshing, rounds, seconds))
    return lines


def _compared(what: str, texts: Texts, load: _Load, rounds: int, seconds: int) -> Line:
    names = ("alone", "first", "second")
    with serving(dict.fromkeys(names, ("whole", texts)), anywhere=True) as servers:
        alone, pair = [servers["alone"]], [servers["first"], servers["second"]]
        micros = interleaved(
            rounds,
            {"one": partial(_micros, load, alone, seconds), "two": partial(_micros, load, pair, seconds)},
        )
    return Line(
        "workers",
        f"processor time of {what}, 2 workers ÷ 1",
        ratios(micros["two"], micros["one"]),
        form="{:.2f}",
        goal=Goal(1.15, at_most=True),
        beside=f"{median(micros['two']):.0f} by {median(micros['one']):.0f} µs",
    )


def _micros(load: _Load, servers: Sequence[Server], seconds: int) -> float:
    with ExitStack() as stack:
        spent = [stack.enter_context(server.under_load()) for server in servers]
        answered = load(servers, seconds)
    return sum(each.cpu_seconds for each in spent) / answered * 1e6


def _gets(line: str, servers: Sequence[Server], seconds: int) -> int:
    with ThreadPoolExecutor(len(servers)) as pool:
        each = [pool.submit(gets, f"{server.url}/item", [line], seconds) for server in servers]
        return sum(one.result() for one in each)


def _refreshes(chains: Sequence[Chain], servers: Sequence[Server], seconds: int) -> int:
    used = chains[: CONNECTIONS * len(servers)]
    before = sum(chain.rotations for chain in used)
    deadline = time.perf_counter() + seconds
    ports = [servers[number % len(servers)].port for number in range(len(used))]
    converse(ports, [(chain.refresh(), chain.until(deadline)) for chain in used])
    return sum(chain.rotations for chain in used) - before


def _grow(url: str, rows: int) -> None:
    """Live sessions, of as many users as would have them."""
    now, dialect, owners = time.time_ns() // 1000, dialect_of(url), rows // ROWS_A_USER
    began, until = f"{now - DAY} + n", f"{now + 7 * DAY} + n"
    fill(
        url,
        [
            insert(dialect, "ww_user", owners, users(now)),
            insert(dialect, "ww_session", rows, sessions(dialect, owners=owners, began=began, until=until)),
        ],
    )


async def _crowd(auth: Watchword) -> None:
    """Those whose chains refresh have ninety-nine sessions already; `Chains` signs them in once more."""
    for number in range(CONNECTIONS):
        user = await auth.users.create(f"user{number}@example.com", roles=["owner"])
        for _ in range(MANY_SESSIONS - 1):
            await sign_in(auth, user)


async def _one(auth: Watchword) -> Grant:
    return await sign_in(auth, await auth.users.create("ada@example.com"))


async def _chains(auth: Watchword) -> list[Grant]:
    made = [await auth.users.create(f"user{number}@example.com") for number in range(2 * CONNECTIONS)]
    return [await sign_in(auth, user) for user in made]
