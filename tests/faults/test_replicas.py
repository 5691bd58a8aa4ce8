"""A replica ten seconds behind (F6): whatever the address leads to, sessions are read where they are written."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator

import psycopg
import pytest

from tests.clusters import Cluster, own_postgres
from tests.drivers.neighbours import granted_to, neighbour
from watchword.core.session import Client
from watchword.errors import Unavailable
from watchword.flows.refresh import refresh
from watchword.storage.sql.migrate import migrate

EMAIL = "ada@example.com"


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Cluster, Cluster]]:
    """A primary and its replica, which applies what it hears ten seconds later."""
    with own_postgres("-c fsync=off") as primary:
        migrate(primary.url)
        with own_postgres("-c fsync=off -c recovery_min_apply_delay=10s", copy_of=primary) as replica:
            yield primary, replica


def both(first: Cluster, second: Cluster) -> str:
    return f"postgresql://postgres@127.0.0.1:{first.port},127.0.0.1:{second.port}/postgres"


async def test_of_two_hosts_the_primary_is_asked_whichever_is_named_first(
    pair: tuple[Cluster, Cluster],
) -> None:
    """F6, I7: a session is renewed at once, over and over, and never is unknown, ahead or used again."""
    primary, replica = pair
    auth = neighbour(both(replica, primary), secrets.token_urlsafe(48), rotation_window="1ms")
    try:
        grant = await granted_to(auth, EMAIL)
        for newest in range(2, 12):
            await asyncio.sleep(0.005)  # longer than the window: each renewal writes
            grant = await refresh(
                auth.world, grant.refresh_token, in_cookie=True, client=Client("127.0.0.1", "tests")
            )
            assert grant.session.lineage.newest == newest
        loaded = await auth.world.store.load_session(grant.session.sid)
        assert loaded is not None
        assert loaded.session.lineage == grant.session.lineage
    finally:
        await auth.aclose()
    with psycopg.connect(replica.url) as there:
        row = there.execute("SELECT count(*) FROM ww_session").fetchone()
    assert row == (0,), "the replica would have known already: this has proved nothing"


async def test_a_replica_alone_is_unavailable_and_no_source_of_answers(pair: tuple[Cluster, Cluster]) -> None:
    """F6, I6: neither reads nor writes, and a refusal would be one too."""
    _, replica = pair
    auth = neighbour(replica.url, secrets.token_urlsafe(48))
    try:
        with pytest.raises(Unavailable):
            await auth.world.store.load_session(secrets.token_hex(16))
        with pytest.raises(Unavailable):
            await auth.world.store.find_user(EMAIL)
    finally:
        await auth.aclose()
