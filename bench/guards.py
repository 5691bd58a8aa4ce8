"""What a guard costs: a guarded route by the same route bare, sent the same bytes.

Rates are per second of the server's processor time. A server that has its core to itself is never idle under load, so
that this is the rate that its clients see; and where it has to share, neighbours do not count as the guard's cost.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from bench.databases import sign_in, sqlite, within
from bench.load import gets
from bench.servers import Server, busy, serving
from bench.table import Goal, Line, interleaved, rate, ratios
from watchword import Watchword
from watchword.core.uuid7 import uuid7
from watchword.flows.grant import grant

USERS, REVOKED_EACH = 20, 50  # a user has no more live sessions than that
COLD_TOKENS = 20_000
MODES = "cookies,hybrid"  # tokens by cookie and by header


@dataclass(frozen=True)
class Case:
    what: str
    guarded: str
    bare: str
    goal: float


CASES = (
    Case("FastAPI, principal in request.scope", "fastapi_guarded", "fastapi_bare", 0.92),
    Case("FastAPI, CurrentUser", "fastapi_current_user", "fastapi_bare", 0.83),
    Case("Starlette", "starlette_guarded", "starlette_bare", 0.80),
)


def guard(place: Path, rounds: int, seconds: int) -> list[Line]:
    """One token that was seen before; 1,000 revoked sessions, the feed running."""
    settings = sqlite(place, mode=MODES)
    token = within(settings, _one_token)
    carriers = {"header": f"Authorization: Bearer {token}", "cookie": f"Cookie: access_token={token}"}
    apps = {app for case in CASES for app in (case.guarded, case.bare)}
    with serving({app: (app, settings) for app in sorted(apps)}) as servers:
        measured = interleaved(
            rounds,
            {
                f"{app} {carrier}": partial(_gets, servers[app], [line], seconds)
                for carrier, line in carriers.items()
                for app in servers
            },
        )
        share = busy(*servers.values())
    lines = []
    for case in CASES:
        for carrier in carriers:
            guarded, bare = measured[f"{case.guarded} {carrier}"], measured[f"{case.bare} {carrier}"]
            beside = f"{rate(guarded)} by {rate(bare)}, {share}"
            lines.append(
                Line(
                    "guard",
                    f"{case.what}, {carrier} ÷ bare",
                    ratios(guarded, bare),
                    goal=Goal(case.goal),
                    beside=beside,
                )
            )
    return lines


def cold(place: Path, rounds: int, seconds: int) -> list[Line]:
    """Tokens that the cache does not hold: each request brings another one."""
    settings = sqlite(place, mode=MODES)
    tokens = within({**settings, "database_url": "memory:"}, _many_tokens)
    lines = [f"Authorization: Bearer {token}" for token in tokens]
    with serving({app: (app, settings) for app in ("starlette_guarded", "starlette_bare")}) as servers:
        measured = interleaved(
            rounds, {app: partial(_gets, server, lines, seconds) for app, server in servers.items()}
        )
        share = busy(*servers.values())
    guarded, bare = measured["starlette_guarded"], measured["starlette_bare"]
    return [
        Line(
            "cold",
            f"Starlette, {COLD_TOKENS:,} tokens in turn ÷ bare",
            ratios(guarded, bare),
            beside=f"{rate(guarded)} by {rate(bare)}, {share}",
        )
    ]


def _gets(server: Server, lines: Sequence[str], seconds: int) -> float:
    with server.under_load() as spent:
        answered = gets(f"{server.url}/item", lines, seconds)
    return answered / spent.cpu_seconds


async def _one_token(auth: Watchword) -> str:
    """Of a user who is signed in; all 1,000 sessions of others are revoked."""
    for number in range(USERS):
        other = await auth.users.create(f"other{number}@example.com")
        await asyncio.gather(*(sign_in(auth, other) for _ in range(REVOKED_EACH)))
        assert await auth.sessions.revoke_all(other.email) == REVOKED_EACH
    return (await sign_in(auth, await auth.users.create("ada@example.com", roles=["owner"]))).access_token


async def _many_tokens(auth: Watchword) -> list[str]:
    """Each of another session, as a sign-in gives it. None is in the servers' database, which a guard has no reason to
    ask."""
    user = await auth.users.create("ada@example.com", roles=["owner"])
    one = await sign_in(auth, user)
    now = time.time_ns() // 1000
    sessions = (
        replace(one.session, sid=uuid7(now, secrets.token_bytes(10)), seed=secrets.token_bytes(32))
        for _ in range(COLD_TOKENS)
    )
    return [grant(auth.world, session, user, now=now, read_at=now).access_token for session in sessions]
