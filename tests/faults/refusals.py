"""How long it takes from the end of a session to its refusal: measured on connections to several servers at once."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from http.client import HTTPConnection

import psycopg

from tests.servers import Browser, Server

NOWHERE = "/nowhere"
"""A path that only guards decide about, with no look at the database: 404 for the signed-in, 401 for all else."""
CONNECTIONS = 4
"""To each server, and so to whatever workers of it answer them."""

REVOKE = (
    "INSERT INTO ww_revocation (sid, created_at) "
    "VALUES (%(sid)s, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)"
)

Jar = dict[str, str]
Ending = Callable[[Browser], float]
"""Ends the session of a browser; the instant at which that was answered."""


def seconds_until_refused(
    here: Server, others: Sequence[Server], jar: Jar, end: Ending | None = None
) -> float:
    """From the answer of a logout at `here`, or what `end` does, until all workers of `others` refuse."""
    browser = Browser(here.url, dict(jar))
    return refused_after(others, jar, lambda: (end or logged_out)(browser))


def refused_after(servers: Sequence[Server], jar: Jar, end: Callable[[], float]) -> float:
    """Until the last of several connections is refused what all of them got before."""
    cookie = {"Cookie": "; ".join(f"{name}={value}" for name, value in jar.items())}
    with ExitStack() as stack:
        asking = [
            stack.enter_context(closing(HTTPConnection(server.address.removeprefix("http://"), timeout=10)))
            for server in servers
            for _ in range(CONNECTIONS)
        ]
        assert set(_statuses(asking, cookie)) == {404}
        since = end()
        while asking:
            answers = zip(asking, _statuses(asking, cookie), strict=True)
            asking = [connection for connection, answer in answers if answer == 404]
            assert time.monotonic() - since < 10
    return time.monotonic() - since


def status(connection: HTTPConnection, headers: dict[str, str]) -> int:
    [answer] = _statuses([connection], headers)
    return answer


def _statuses(connections: Sequence[HTTPConnection], headers: dict[str, str]) -> list[int]:
    """All are asked before the first answer is read: what is measured is not how long they take one after another."""
    for connection in connections:
        connection.request("GET", NOWHERE, headers=headers)
    statuses = []
    for connection in connections:
        with connection.getresponse() as response:
            response.read()
            statuses.append(response.status)
    return statuses


def logged_out(browser: Browser) -> float:
    time.sleep(random.uniform(0, 0.12))  # at any moment between two looks of the other process
    assert browser.send("POST", "/auth/logout").status == 200
    return time.monotonic()


def committed(connection: psycopg.Connection) -> float:
    connection.commit()
    return time.monotonic()


def newest_session(url: str) -> str:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT max(sid) FROM ww_session").fetchone()
    assert row is not None
    return str(row[0])


def figures(took: list[float], what: str = "refused") -> str:
    """Of seconds."""
    took = sorted(took)
    median, most = took[len(took) // 2] * 1000, took[-1] * 1000
    if len(took) < 200:
        return f"{what} after {median:.0f} ms (median), {most:.0f} ms (worst of {len(took)})"
    late = took[len(took) * 99 // 100] * 1000
    return f"{what} after {median:.0f} ms (median), {late:.0f} ms (p99 of {len(took)}), {most:.0f} ms (worst)"
