"""Rotations that are cut off at a named point: before or behind the UPDATE, behind the COMMIT, in the middle of the
answer (F1). The client heard nothing, keeps its jar and comes again. `FAULTS=full` does it 2,000 times a database,
otherwise 100 times; kill -9 of whole servers is in `test_kill`.
"""

from __future__ import annotations

import os
import random
import secrets
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.drivers.neighbours import granted_to, neighbour
from tests.http.asgi import call
from tests.needs import postgres_url
from tests.postgres import fresh_database
from watchword.auth import Watchword
from watchword.core.rotation import Lineage
from watchword.storage.sql import postgres
from watchword.storage.sql.migrate import migrate

CRASHES = 2000 if os.environ.get("FAULTS") == "full" else 100
ROTATION = "UPDATE ww_session"

Measured = Callable[[str], None]


class MidResponse(Exception):
    pass


class CrashPoint:
    """Which point is next to fail, once."""

    def __init__(self) -> None:
        self.armed: str | None = None
        self.fired = False

    def here(self, name: str) -> bool:
        if self.armed != name:
            return False
        self.armed, self.fired = None, True
        return True


@pytest.fixture
def point() -> CrashPoint:
    return CrashPoint()


def sqlite_dies(point: CrashPoint) -> type[sqlite3.Connection]:
    """Connections on which a statement ends like one of a process that is killed there: SQLite undoes what it has not
    committed."""

    def death() -> sqlite3.OperationalError:
        error = sqlite3.OperationalError("killed")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR
        return error

    class Dying(sqlite3.Connection):
        rotating = False

        def execute(self, statement: str, *parameters: Any) -> sqlite3.Cursor:
            rotation = statement.startswith(ROTATION)
            if rotation and point.here("before UPDATE"):
                raise death()
            cursor = super().execute(statement, *parameters)
            self.rotating |= rotation
            if rotation and point.here("after UPDATE"):
                cursor.close()  # the error that follows would keep it, and with it the lock
                raise death()
            if statement == "COMMIT" and self.rotating and point.here("after COMMIT"):
                raise death()
            return cursor

    return Dying


@pytest.fixture(params=["sqlite", "postgresql"])
def database(
    request: pytest.FixtureRequest, tmp_path: Path, point: CrashPoint, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/watchword.db"
        migrate(url)
        connect, dying = sqlite3.connect, sqlite_dies(point)
        monkeypatch.setattr(
            "watchword.storage.sql.sqlite.sqlite3.connect",
            lambda *args, **named: connect(*args, factory=dying, **named),
        )
        yield url
        return
    rows = postgres._rows

    async def dying_rows(connection: postgres.Connection, statement: str, parameters: Any) -> list[Any]:
        """Of one statement that is a transaction by itself: behind it is behind its commit."""
        rotation = statement.startswith(ROTATION)
        if rotation and point.here("before UPDATE"):
            await connection.close()
        found = await rows(connection, statement, parameters)
        if rotation and point.here("after COMMIT"):
            await connection.close()
            raise psycopg.OperationalError("killed")
        return found

    monkeypatch.setattr(postgres, "_rows", dying_rows)
    with fresh_database(postgres_url()) as url:
        migrate(url)
        yield url


POINTS = {
    "sqlite": ["before UPDATE", "after UPDATE", "after COMMIT", "mid-response"],
    "postgresql": ["before UPDATE", "after COMMIT", "mid-response"],
}


@pytest.fixture
async def auth(database: str) -> AsyncIterator[Watchword]:
    auth = neighbour(database, secrets.token_urlsafe(48), rotation_window="1ms")
    yield auth
    await auth.aclose()


async def refreshed(auth: Watchword, token: str, point: CrashPoint) -> str | None:
    """The next refresh token; None when the answer did not arrive."""

    async def cut(scope: Any, receive: Any, send: Any) -> None:
        async def half(message: Any) -> None:
            if message["type"] == "http.response.start" and point.here("mid-response"):
                raise MidResponse
            await send(message)

        await auth.app(scope, receive, half)

    headers = [("cookie", f"refresh_token={token}"), ("origin", auth.settings.url), ("user-agent", "tests")]
    try:
        answer = await call(cut, "POST", "/auth/refresh", headers=headers, client=("127.0.0.1", 1))
    except MidResponse:
        return None
    if point.fired:
        assert answer.status == 503, "what the client would have been told, had it been there"
        return None
    assert answer.status == 200, answer.body
    [line] = [line for line in answer.cookies if line.startswith("refresh_token=")]
    return line.partition(";")[0].partition("=")[2]


async def test_wherever_a_rotation_is_cut_off_its_client_goes_on(
    auth: Watchword, database: str, point: CrashPoint, measured: Measured
) -> None:
    """F1, I1, I2, I4, I7: the same token again is always good; of the children of a generation one is used at most;
    what was answered is in the database."""
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    grant = await granted_to(auth, "ada@example.com")
    sid, token, hit = grant.session.sid, grant.refresh_token, Counter[str]()
    lineage = grant.session.lineage
    points = POINTS[database.partition(":")[0]]
    for _ in range(CRASHES):
        name = chance.choice(points)
        point.armed, point.fired = name, False
        got = await refreshed(auth, token, point)
        hit[name] += point.fired
        point.armed, point.fired = None, False
        lineage = await _next(auth, sid, lineage, seed)
        if got is None:
            got = await refreshed(auth, token, point)
            lineage = await _next(auth, sid, lineage, seed)
        assert got is not None, f"seed {seed}"
        presented = auth.world.refresh_tokens.read(got)
        assert presented is not None
        assert presented.generation <= lineage.newest, f"seed {seed}: what was answered is not there"
        token = got
    assert all(hit[name] > CRASHES // 20 for name in points), hit
    if database.startswith("sqlite"):
        with closing(sqlite3.connect(database.removeprefix("sqlite:///"))) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    measured(f"{sum(hit.values())} rotations cut off ({dict(hit)}), none signed out")


async def _next(auth: Watchword, sid: str, before: Lineage, seed: int) -> Lineage:
    """The row as it is: whoever was used last is still so, or one of its children is."""
    loaded = await auth.world.store.load_session(sid)
    assert loaded is not None
    after = loaded.session.lineage
    assert loaded.session.ended_at is None, f"seed {seed}"
    assert after.newest >= before.newest, f"seed {seed}"
    assert after.parent == before.parent or before.floor < after.parent <= before.newest, f"seed {seed}"
    return after
