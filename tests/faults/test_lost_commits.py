"""The answer to a COMMIT is lost with its connection (F4): what was written is neither written again nor untold."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterator

import psycopg
import pytest

from tests.drivers.neighbours import granted_to, neighbour
from tests.needs import postgres_url
from tests.postgres import fresh_database
from tests.proxies import Proxy, proxying
from watchword import events
from watchword.auth import Watchword
from watchword.core.session import Client, End
from watchword.errors import RefreshReused, Unavailable
from watchword.flows.end import end_one
from watchword.flows.grant import Grant
from watchword.flows.refresh import refresh
from watchword.storage.sql.migrate import migrate

EMAIL = "ada@example.com"
CLIENT = Client("127.0.0.1", "tests")


@pytest.fixture
def database() -> Iterator[str]:
    with fresh_database(postgres_url()) as url:
        migrate(url)
        yield url


@pytest.fixture
def proxy(database: str) -> Iterator[tuple[Proxy, str]]:
    with proxying(database, 5432) as (proxy, url):
        yield proxy, url


@pytest.fixture
async def auth(proxy: tuple[Proxy, str]) -> AsyncIterator[Watchword]:
    auth = neighbour(proxy[1], secrets.token_urlsafe(48), rotation_window="30s")
    yield auth
    await auth.aclose()


async def renewed(auth: Watchword, grant: Grant) -> Grant:
    return await refresh(auth.world, grant.refresh_token, in_cookie=True, client=CLIENT)


async def told(auth: Watchword, database: str) -> list[tuple[str, str]]:
    await auth.events.list()  # writes what waits
    with psycopg.connect(database) as connection:
        rows = connection.execute("SELECT name, coalesce(detail, '') FROM ww_event ORDER BY id").fetchall()
    return [(name, detail) for name, detail in rows if name not in (events.USER_CREATED, events.SIGNED_IN)]


async def test_a_rotation_whose_answer_was_lost_is_repeated_with_the_same_successor(
    auth: Watchword, proxy: tuple[Proxy, str], database: str
) -> None:
    """F4, I1, I2, I4: the client is told 503, asks again and gets what it would have got."""
    first = await granted_to(auth, EMAIL)
    proxy[0].cut_behind(b"UPDATE ww_session")
    with pytest.raises(Unavailable) as refused:
        await renewed(auth, first)
    assert refused.value.retry_after == 1
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT newest FROM ww_session").fetchone() == (2,), "it was committed"
    again, once_more = await renewed(auth, first), await renewed(auth, first)
    assert again.refresh_token == once_more.refresh_token
    assert again.session.lineage.newest == 2
    assert (await renewed(auth, again)).session.lineage.newest == 2, "young: what is newest is repeated"
    assert await told(auth, database) == []


async def test_an_end_whose_answer_was_lost_is_told_once(
    auth: Watchword, proxy: tuple[Proxy, str], database: str
) -> None:
    """F4, I4, ASVS 16.3.3: one event in the log of what happened, and this process refuses at once."""
    grant = await granted_to(auth, EMAIL)
    proxy[0].cut_behind(b"COMMIT")
    assert await end_one(auth.world, grant.session.sid, End.LOGOUT, user_id=grant.user.id)
    assert auth.world.revocations.ended(grant.session.sid)
    assert not await end_one(auth.world, grant.session.sid, End.LOGOUT, user_id=grant.user.id)
    assert await told(auth, database) == [(events.SESSION_ENDED, "logout")]


async def test_a_reuse_whose_answer_was_lost_is_told_once(
    auth: Watchword, proxy: tuple[Proxy, str], database: str
) -> None:
    """F4, I3, attack 35: and its owner gets one mail."""
    stolen = await granted_to(auth, EMAIL)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("UPDATE ww_session SET parent = 7, floor = 7, before = 6, newest = 8")
        proxy[0].cut_behind(b"COMMIT")
        with pytest.raises(RefreshReused):
            await renewed(auth, stolen)
        sent = connection.execute("SELECT count(*) FROM ww_outbox WHERE kind = 'refresh_reused'").fetchone()
    assert sent == (1,)
    assert await told(auth, database) == [(events.REFRESH_REUSED, "")]


async def test_an_end_that_was_not_committed_is_unavailable_and_told_by_nobody(
    auth: Watchword, proxy: tuple[Proxy, str], database: str
) -> None:
    """F4: cut before its first statement has an effect."""
    grant = await granted_to(auth, EMAIL)
    proxy[0].cut_behind(b"SET LOCAL statement_timeout")
    with pytest.raises(Unavailable):
        await end_one(auth.world, grant.session.sid, End.LOGOUT, user_id=grant.user.id)
    assert await told(auth, database) == []
    assert await end_one(auth.world, grant.session.sid, End.LOGOUT, user_id=grant.user.id)
    assert await told(auth, database) == [(events.SESSION_ENDED, "logout")]
