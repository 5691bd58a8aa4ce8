"""What refreshes feel of a sweep over a million expired rows, and how long it would take.

Chains refresh at a pace of their own, as browsers do, and not as fast as they are answered: a server that has nothing
to spare makes everybody wait, sweep or none. The same chains are measured in turn while rows go and while none do. A
sweep of so many takes an hour and more, as it shall be felt by nobody: its pace is measured here, not its end.
"""

from __future__ import annotations

import asyncio
import socket
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from statistics import median, quantiles

import psycopg
import uvloop

from bench.bulk import Dialect, dialect_of, fill, id_of, insert, owner, sessions, users
from bench.databases import Texts, postgres, sign_in, sqlite, within
from bench.load import answer_of, checked, exchange, request
from bench.refreshes import SQLITE, WINDOW, Chain
from bench.servers import Server, serving
from bench.table import Goal, Line, interleaved, ratios
from watchword import Watchword
from watchword.flows.grant import Grant
from watchword.spans import DAY

CHAINS = 8
EVERY = 0.04
"""Seconds from one refresh of a chain to its next."""
ROWS_A_ROUND = 50_000
OWNERS = 20_000
"""Whose sessions expired."""
SHARES = {"session": 0.85, "challenge": 0.05, "outbox": 0.05, "revocation": 0.05}
HOLDER = "bench"


def sweep(place: Path, rounds: int, seconds: int) -> list[Line]:
    """50,000 expired rows a round, of which some go; `seconds` of refreshes meanwhile, and as many without."""
    lite = sqlite(place, rotation_window=WINDOW, synchronous="full")
    with postgres(rotation_window=WINDOW) as big:
        stores: dict[str, Texts] = dict([(SQLITE, lite), *([big] if big else [])])
        return [line for name, texts in stores.items() for line in _lines(name, texts, rounds, seconds)]


def _lines(name: str, texts: Texts, rounds: int, seconds: int) -> list[Line]:
    grants, url, rows = within(texts, _signed_in), texts["database_url"], rounds * ROWS_A_ROUND
    _expire(url, rows)
    with serving({name: ("sweeping", texts)}) as servers:
        load = Load(servers[name], grants, seconds)
        figures = interleaved(rounds, {"calm": load.calm, "sweeping": load.sweeping})
    gone, took = rows - _left(url), rounds * seconds
    if not 0 < gone < rows:
        raise RuntimeError(
            f"{gone} of {rows} rows went while refreshes were measured: there must be some, and more"
        )
    return [
        Line(
            "sweep",
            f"p99 of a refresh while expired rows go ÷ without, {name}",
            ratios(figures["sweeping"], figures["calm"]),
            form="{:.2f}",
            goal=Goal(2, at_most=True),
            beside=f"{median(figures['sweeping']):.1f} by {median(figures['calm']):.1f} ms",
        ),
        Line(
            "sweep",
            f"hours until a million rows are gone, {name}",
            [took / 3600 * 1_000_000 / gone],
            form="{:.2f}",
            goal=Goal(24, at_most=True),
            beside=f"{gone:,} of {rows:,} in {took} s, {gone / took:,.0f} rows/s",
        ),
    ]


class Load:
    """Chains that refresh, with and without a sweep beside them; the p99 in ms."""

    def __init__(self, server: Server, grants: list[Grant], seconds: int) -> None:
        self._server = server
        self._chains = [Chain(grant) for grant in grants]
        self._seconds = seconds
        self.calm()  # the first answers of a process are slower

    def calm(self) -> float:
        return quantiles(_paced(self._server, self._chains, self._seconds), n=100)[98]

    def sweeping(self) -> float:
        self._tell("/sweep")
        try:
            return self.calm()
        finally:
            self._tell("/rest")

    def _tell(self, path: str) -> None:
        with socket.create_connection(("127.0.0.1", self._server.port)) as connection:
            checked(exchange(connection, request("GET", path)))


def _paced(server: Server, chains: list[Chain], seconds: float) -> list[float]:
    """Milliseconds from the instant at which each refresh was due: one that waits for its forerunner has waited too."""
    millis: list[float] = []

    async def one(number: int, chain: Chain) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        begun = time.perf_counter()
        due = begun + EVERY * number / len(chains)
        while due - begun < seconds:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            writer.write(chain.refresh())
            chain.take(checked(await answer_of(reader)))
            millis.append((time.perf_counter() - due) * 1e3)
            due += EVERY
        writer.close()
        await writer.wait_closed()

    async def all_of_them() -> None:
        await asyncio.gather(*(one(number, chain) for number, chain in enumerate(chains)))

    uvloop.run(all_of_them())
    return millis


def _expire(url: str, rows: int) -> None:
    """Rows that are to be swept, in the order of time as years of use leave them, each user's scattered over all."""
    now = time.time_ns() // 1000
    dialect = dialect_of(url)
    statements = [
        insert(dialect, table, int(rows * share), columns(now, dialect))
        for table, share, columns in (
            ("ww_session", SHARES["session"], _session),
            ("ww_challenge", SHARES["challenge"], _challenge),
            ("ww_outbox", SHARES["outbox"], _outbox),
            ("ww_revocation", SHARES["revocation"], _revocation),
        )
    ]
    statements.insert(0, insert(dialect, "ww_user", OWNERS, users(now)))
    fill(url, statements)


def _left(url: str) -> int:
    """How many of them are left."""
    kinds = ("session", "challenge", "outbox", "revocation")
    count = "SELECT " + " + ".join(f"(SELECT count(*) FROM ww_{kind})" for kind in kinds)
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            [(left,)] = connection.execute(count).fetchall()
    else:
        with psycopg.connect(url) as postgres:
            [(left,)] = postgres.execute(count.encode()).fetchall()
    return int(left) - CHAINS


def _session(now: int, dialect: Dialect) -> dict[str, str]:
    last = f"({now // DAY * DAY} - CAST({DAY} AS BIGINT) * (9 + n % 30))"  # a month of days, nine days ago and more
    return sessions(dialect, owners=OWNERS, began=last, until=last) | {
        "ended_at": f"CASE WHEN n % 5 = 0 THEN {last} END",
        "ended_as": "CASE WHEN n % 5 = 0 THEN 'logout' END",
    }


def _challenge(now: int, dialect: Dialect) -> dict[str, str]:
    long_ago = f"({now - 9 * DAY} + n)"
    return {
        "id": id_of("0"),
        "kind": "'login'",
        "user_id": owner(OWNERS),
        "digest": dialect.digest,
        "code": dialect.digest,
        "payload": "'{}'",
        "created_at": long_ago,
        "sent_at": long_ago,
        "expires_at": long_ago,
        "tries": "0",
        "sends": "1",
    }


def _outbox(now: int, dialect: Dialect) -> dict[str, str]:
    long_ago = f"({now - 9 * DAY} + n)"
    return {
        "id": id_of("0"),
        "to": "'expired' || n || '@example.com'",
        "kind": "'code'",
        "sealed": dialect.digest,
        "created_at": long_ago,
        "expires_at": long_ago,
        "tries": "1",
    }


def _revocation(now: int, dialect: Dialect) -> dict[str, str]:
    return {"sid": id_of("0"), "created_at": f"({now - 9 * DAY} + n)"}


async def _signed_in(auth: Watchword) -> list[Grant]:
    """Those who refresh; and the lease is the bench's, so that the server does not begin to sweep by itself."""
    assert await auth.world.store.take_lease("sweep", HOLDER, span=DAY)
    users = [await auth.users.create(f"user{number}@example.com") for number in range(CHAINS)]
    return [await sign_in(auth, user) for user in users]
