"""Clocks that are wrong (F8): hosts seconds apart, and one that jumps by an hour and back. Nobody is signed out by it
who holds a session, and nothing comes back to life that had ended."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.drivers.neighbours import granted_to, neighbour
from tests.needs import postgres_url
from tests.postgres import fresh_database
from watchword.auth import Watchword
from watchword.core.access_token import LEEWAY
from watchword.core.session import Client, End
from watchword.errors import InvalidToken, RefreshSuperseded, SessionEnded, TokenExpired
from watchword.flows.end import end_one
from watchword.flows.follow import poll
from watchword.flows.grant import Grant
from watchword.flows.refresh import refresh
from watchword.flows.sweep import sweep
from watchword.storage.sql.migrate import migrate

EMAIL = "ada@example.com"
CLIENT = Client("127.0.0.1", "tests")
SECOND = 1_000_000
HOUR = 3600


class WrongClock:
    """So many seconds beside the host's. Implements `ports.Clock`."""

    def __init__(self, seconds: float = 0) -> None:
        self.seconds = seconds

    def now(self) -> int:
        return time.time_ns() // 1000 + int(self.seconds * SECOND)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/watchword.db"
        migrate(url)
        yield url
    else:
        with fresh_database(postgres_url()) as url:
            migrate(url)
            yield url


Hosts = list[tuple[Watchword, WrongClock]]


@pytest.fixture
async def hosts(database: str) -> AsyncIterator[Hosts]:
    secret = secrets.token_urlsafe(48)
    async with AsyncExitStack() as stack:
        made = []
        for clock in (WrongClock(), WrongClock()):
            auth = neighbour(database, secret, clock=clock, rotation_window="20ms")
            stack.push_async_callback(auth.aclose)
            made.append((auth, clock))
        yield made


def verify(auth: Watchword, grant: Grant) -> None:
    auth.world.verifier.verify(grant.access_token.encode(), auth.world.clock.now())


async def renewed(auth: Watchword, grant: Grant) -> Grant:
    """As a client does it: 409 means once more, and the newest token of its jar goes with it."""
    try:
        return await refresh(auth.world, grant.refresh_token, in_cookie=True, client=CLIENT)
    except RefreshSuperseded:
        raise AssertionError("an honest client that waits for each answer is never told 409") from None


@pytest.mark.parametrize("apart", [5, -5])
async def test_between_hosts_that_are_five_seconds_apart_everything_goes_on(hosts: Hosts, apart: int) -> None:
    """F8, I7: each takes what the other has just issued, and both renew in turn."""
    (here, _), (there, clock) = hosts
    clock.seconds = apart
    grant = await granted_to(here, EMAIL)
    for _ in range(8):
        for auth in (there, here):
            await asyncio.sleep(0.03)  # longer than the window: these are renewals, and no repetitions
            grant = await renewed(auth, grant)
            verify(here, grant)
            verify(there, grant)
    assert grant.session.lineage.newest == 17
    assert await end_one(here.world, grant.session.sid, End.LOGOUT, user_id=grant.user.id)
    for auth in (here, there):
        await poll(auth.world, None)
        with pytest.raises(SessionEnded):
            verify(auth, grant)


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
async def test_a_clock_that_jumps_by_an_hour_and_back_signs_nobody_out(hosts: Hosts, jump: int) -> None:
    """F8, I1, I7: an access token is refused at worst, and a refresh brings another; lost answers as well."""
    (here, clock), (other, _) = hosts
    grant = await granted_to(here, EMAIL)
    for seconds in (jump, jump, 0, 0, jump, 0):
        clock.seconds = seconds
        lost = await renewed(here, grant)
        grant = await renewed(here, grant)  # the answer was lost, and the old token comes once more
        assert grant.session.lineage.newest >= lost.session.lineage.newest
        verify(here, grant)
        grant = await renewed(here, grant)
        verify(here, grant)
    grant = await renewed(other, grant)
    verify(other, grant)
    assert not here.world.revocations.ended(grant.session.sid)


async def test_a_token_of_a_host_an_hour_ahead_is_none_elsewhere_and_a_refresh_brings_another(
    hosts: Hosts,
) -> None:
    """F8, ASVS 9.2.1: beyond the leeway, what is issued in the future is not taken."""
    (ahead, clock), (right, _) = hosts
    clock.seconds = LEEWAY + 3
    grant = await granted_to(ahead, EMAIL)
    with pytest.raises(InvalidToken):
        verify(right, grant)
    verify(right, await renewed(right, grant))


async def test_no_token_of_an_ended_session_comes_back_with_the_clock(hosts: Hosts) -> None:
    """F8, I5, attack 21: ahead by an hour its token has expired, its revocation is forgotten, and the tables are swept;
    when the clock is right again the token is refused all the same."""
    (here, clock), (other, other_clock) = hosts
    grant = await granted_to(here, EMAIL)
    verify(other, grant)
    assert await end_one(here.world, grant.session.sid, End.LOGOUT, user_id=grant.user.id)
    last = {auth: await poll(auth.world, None) for auth, _ in hosts}
    clock.seconds = other_clock.seconds = HOUR
    for auth, _ in hosts:
        last[auth] = await poll(auth.world, last[auth])
        with pytest.raises(TokenExpired):
            verify(auth, grant)
    await sweep(here.world)
    clock.seconds = other_clock.seconds = 5
    for auth, _ in hosts:
        await poll(auth.world, last[auth])
        with pytest.raises(SessionEnded):
            verify(auth, grant)
