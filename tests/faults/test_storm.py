"""Many refreshes of one token at once, over two server processes."""

import asyncio
import resource
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.needs import postgres_url
from tests.postgres import fresh_database
from tests.servers import Answer, Browser, post, prepared, serving

CALLS = 1000


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/watchword.db"
    else:
        with fresh_database(postgres_url()) as url:
            yield url


def test_a_thousand_refreshes_of_one_token_make_one_rotation_and_equal_answers(database_url: str) -> None:
    """Attack 36, F13, R19, W7: one Rotate, 999 answers with the same token, no 5xx."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4096)), hard))
    env = prepared(database_url)
    with serving(env) as first, serving(env, origin=first.url) as second:
        browser = Browser(first.url)
        browser.sign_in()
        answers = asyncio.run(_storm([first.address, second.address], browser))

    assert {answer.status for answer in answers} == {200}
    assert len({answer.cookies()["refresh_token"] for answer in answers}) == 1
    assert _newest(database_url) == 2  # generation 1 at sign-in, and one rotation


async def _storm(addresses: list[str], browser: Browser) -> list[Answer]:
    cookie = f"refresh_token={browser.jar['refresh_token']}"
    calls = (post(addresses[n % 2], "/auth/refresh", origin=browser.url, cookie=cookie) for n in range(CALLS))
    return await asyncio.gather(*calls)


def _newest(database_url: str) -> int:
    statement = "SELECT newest FROM ww_session"
    if database_url.startswith("sqlite"):
        with sqlite3.connect(database_url.removeprefix("sqlite:///")) as connection:
            return int(connection.execute(statement).fetchone()[0])
    with psycopg.connect(database_url) as postgres:
        row = postgres.execute(statement).fetchone()
        assert row is not None
        return int(row[0])
