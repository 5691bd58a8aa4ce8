"""W4: what a refresh and signing out cost, counted and not timed, in a process of the tests' own."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from importlib.metadata import requires
from pathlib import Path
from typing import TypeVar

from tests.http.asgi import call
from tests.seeds.house import inhabited
from tests.seeds.settings import COMMON, SEEDS
from tests.seeds.tabs import PAGE
from tests.servers import EMAIL, PASSWORD
from watchword import Settings, Watchword
from watchword.drivers.clock import SystemClock
from watchword.drivers.hasher import Argon2Hasher
from watchword.storage.sql.rows import Parameters, Row
from watchword.storage.sql.sqlite import SqliteStore
from watchword.storage.sql.statements import Script

SECRET = "Kx3vQ9zL7mW2pR8tY5uB1nC6dF4gH0jS-aE"
T = TypeVar("T")


async def test_w4_renewing_and_signing_out_cost_the_same_for_one_session_and_for_many(
    tmp_path: Path, anyio_backend: str
) -> None:
    """No salted hash to try tokens against: a look-up by id and a write, no password hash, however many there are."""
    one, many = await _cost(tmp_path, sessions=0), await _cost(tmp_path, sessions=40)
    assert one == many == {"/auth/refresh": (2, 0), "/auth/logout": (3, 0)}
    assert not any("bcrypt" in name for name in requires("watchword") or ())


class _CountingStore(SqliteStore):
    """Counts the statements that it runs."""

    statements = 0

    async def _read(self, statement: str, parameters: Parameters) -> Sequence[Row]:
        self.statements += 1
        return await super()._read(statement, parameters)

    async def _write(self, script: Script, parameters: Parameters) -> Sequence[Sequence[Row]]:
        self.statements += len(script)
        return await super()._write(script, parameters)


class _CountingHasher(Argon2Hasher):
    """Counts the passwords that it hashes; cheaply, as this is not about them."""

    hashed = 0

    async def aside(self, work: Callable[[], T]) -> T:
        self.hashed += 1
        return await super().aside(work)


async def _cost(folder: Path, *, sessions: int) -> dict[str, tuple[int, int]]:
    """Statements and hashes of a refresh and of signing out, by a user with so many sessions besides."""
    file = folder / f"{sessions}.db"
    file.write_bytes(inhabited())
    store, hasher = _CountingStore(file, SystemClock()), _CountingHasher(memory=8, passes=1)
    often = {
        "secret": SECRET,
        "limits": "login=100/m,login_account=100/h",
    }  # that of refreshes stays: it costs none
    auth = Watchword(Settings.parse(COMMON | SEEDS["S1"] | often), store=store, hasher=hasher)
    lines = [("origin", PAGE), ("content-type", "application/json")]
    body = json.dumps({"email": EMAIL, "password": PASSWORD}).encode()
    for _ in range(sessions):
        await call(auth.app, "POST", "/auth/login", headers=lines, body=body)
    answer = await call(auth.app, "POST", "/auth/login", headers=lines, body=body)
    token = answer.cookies[0].partition(";")[0]
    cost = {}
    for path in ("/auth/refresh", "/auth/logout"):
        before = store.statements, hasher.hashed
        answer = await call(auth.app, "POST", path, headers=[("origin", PAGE), ("cookie", token)])
        assert answer.status == 200
        cost[path] = store.statements - before[0], hasher.hashed - before[1]
    [row] = await store._read("SELECT count(*) FROM ww_session", {})
    assert row[0] == sessions + 1
    await auth.aclose()
    return cost
