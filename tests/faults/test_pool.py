"""A pool of five connections, and hundreds who ask at once while a query hangs (F11): 500 with `FAULTS=full`."""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager

import psycopg
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from tests.drivers.neighbours import granted_to
from tests.http.asgi import Answer, call
from tests.needs import postgres_url
from tests.postgres import fresh_database
from watchword.auth import Watchword
from watchword.drivers.hasher import Argon2Hasher
from watchword.flows.grant import Grant
from watchword.settings import Settings
from watchword.starlette import current_user, install
from watchword.storage.sql.migrate import migrate
from watchword.storage.sql.postgres import PostgresStore

POOL = 5
CLIENTS = 500 if os.environ.get("FAULTS") == "full" else 150
FLOOD = 1500

Measured = Callable[[str], None]


class House:
    """An app behind a guard, whose store has five connections, and who is signed in to it."""

    def __init__(self, url: str) -> None:
        settings = Settings.parse(
            {
                "secret": secrets.token_urlsafe(48),
                "url": "http://testserver",
                "database_url": url,
                "limits": "off",
                "rotation_window": "1ms",
            }
        )
        self.auth = Watchword(
            settings,
            store=PostgresStore(url, pool_size=POOL),
            hasher=Argon2Hasher(threads=1, memory=8, passes=1),
        )
        self.app = Starlette(routes=[Route("/hello", _hello)])
        install(self.app, self.auth)
        self.grants: Sequence[Grant] = []

    async def refresh(self, grant: Grant) -> tuple[Answer, float]:
        cookie = ("cookie", f"refresh_token={grant.refresh_token}")
        since = time.monotonic()
        headers = [cookie, ("origin", "http://testserver"), ("user-agent", "tests")]
        answer = await call(self.app, "POST", "/auth/refresh", headers=headers, client=("127.0.0.1", 1))
        return answer, time.monotonic() - since

    async def hello(self, grant: Grant) -> tuple[Answer, float]:
        since = time.monotonic()
        answer = await call(
            self.app, "GET", "/hello", headers=[("cookie", f"access_token={grant.access_token}")]
        )
        return answer, time.monotonic() - since


async def _hello(request):  # type: ignore[no-untyped-def]  # Starlette's own types
    return PlainTextResponse(current_user(request).sid)


@pytest.fixture
def database() -> Iterator[str]:
    with fresh_database(postgres_url()) as url:
        migrate(url)
        yield url


@pytest.fixture
async def house(database: str) -> AsyncIterator[House]:
    house = House(database)
    async with house.auth.lifespan():
        house.grants = [
            await granted_to(house.auth, f"user{number // 20}@example.com") for number in range(CLIENTS + 1)
        ]
        yield house


@contextmanager
def holding(database: str, grants: Sequence[Grant]) -> Iterator[psycopg.Connection]:
    """Somebody else's transaction, in which the rows of these sessions are locked: whoever renews one of them hangs."""
    with psycopg.connect(database) as other:
        sids = [grant.session.sid for grant in grants]
        other.execute("SELECT sid FROM ww_session WHERE sid = ANY(%s) FOR UPDATE", [sids])
        yield other


async def test_a_query_that_hangs_takes_one_connection_and_nobody_elses_turn(
    house: House, database: str, measured: Measured
) -> None:
    """F11: all others renew on the four that are left; guards ask nobody; who hangs is told in the end."""
    first, *others = house.grants
    with holding(database, [first]):
        hanging = asyncio.create_task(house.refresh(first))
        asked = [asyncio.create_task(house.refresh(grant)) for grant in others]
        guarded = []
        while not all(task.done() for task in asked):
            answer, took = await house.hello(first)
            assert answer.status == 200
            guarded.append(took)
            await asyncio.sleep(0.01)
        statuses = Counter(task.result()[0].status for task in asked)
        answer, _ = await hanging
        assert (answer.status, answer.code) == (503, "unavailable")
    assert statuses == {200: CLIENTS}
    answer, _ = await house.refresh(first)
    assert answer.status == 200, "it may renew as before"
    waits = sorted(task.result()[1] for task in asked)
    measured(
        f"{CLIENTS} renewals on {POOL} connections, one of which hangs: none refused, "
        f"answered within {waits[-1]:.2f} s; {len(guarded)} guarded requests meanwhile, each within "
        f"{max(guarded) * 1000:.1f} ms"
    )


async def test_what_cannot_wait_any_more_is_refused_at_once(
    house: House, database: str, measured: Measured
) -> None:
    """F11: every connection hangs, the queue is full, and whoever comes then is not made to wait."""
    with holding(database, house.grants[:POOL]) as other:
        hanging = [asyncio.create_task(house.refresh(grant)) for grant in house.grants[:POOL]]
        await asyncio.sleep(0)
        asked = [asyncio.create_task(house.refresh(house.grants[-1])) for _ in range(FLOOD)]
        # Longer than guards believe in what was read of revocations, and shorter than anybody waits for a connection.
        early = [task.result() for task in (await asyncio.wait(asked, timeout=4))[0]]
        answer, _ = await house.hello(house.grants[0])
        assert answer.status == 200
        other.rollback()
        answers = [await task for task in (*hanging, *asked)]
    assert {answer.status for answer, _ in answers} <= {200, 409, 503}, "and there is no deadlock"
    assert all(answer.get("retry-after") for answer, _ in answers if answer.status == 503)
    refused = sorted(took for answer, took in early if answer.status == 503)
    assert len(refused) > FLOOD // 4, "those for whom there was no place"
    assert (await house.refresh(house.grants[1]))[0].status == 200
    measured(
        f"{FLOOD} requests while all of {POOL} connections hang: {len(refused)} refused at once, "
        f"within {refused[len(refused) * 99 // 100]:.2f} s (p99)"
    )
