"""Signing up over both databases: how an address is spelled, and how many sign up with it at once."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from tests.http.devices import SECRET, Device
from tests.needs import postgres_url
from tests.postgres import fresh_database
from tests.servers import Answer, Browser, prepared, serving
from watchword.auth import Watchword
from watchword.drivers.hasher import Argon2Hasher
from watchword.settings import Settings
from watchword.storage.sql.migrate import migrate

EMAIL, PASSWORD = "many@example.com", "an entirely new engine"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/watchword.db"
    else:
        with fresh_database(postgres_url()) as url:
            yield url


@pytest.fixture
async def auth(database_url: str) -> AsyncIterator[Watchword]:
    migrate(database_url)
    texts = {"secret": SECRET, "url": "http://testserver", "database_url": database_url, "limits": "off"}
    made = Watchword(Settings.parse(texts), hasher=Argon2Hasher(threads=1, memory=8, passes=1))
    yield made
    await made.aclose()


def rows(database_url: str, statement: str) -> list[tuple[object, ...]]:
    """Ask past the store."""
    if database_url.startswith("sqlite"):
        with sqlite3.connect(database_url.removeprefix("sqlite:///")) as connection:
            return connection.execute(statement).fetchall()
    with psycopg.connect(database_url) as postgres:
        return postgres.execute(statement.encode()).fetchall()


async def test_attack_73_of_fifty_who_sign_up_at_once_in_two_processes_one_makes_the_user(
    database_url: str,
) -> None:
    """Attack 73: one row, one answer; five mails, whose links are all of that user. ASVS 2.3.4."""
    env = prepared(database_url)
    with serving(env) as first, serving(env, origin=first.url) as second, ThreadPoolExecutor(50) as pool:

        def ask(number: int) -> Answer:
            body = {"email": EMAIL, "password": f"{PASSWORD} {number}", "username": "wanted"}
            to = (first, second)[number % 2].address
            return Browser(first.url).send("POST", "/auth/register", body, to=to)

        answers = await asyncio.gather(
            *(asyncio.get_running_loop().run_in_executor(pool, ask, number) for number in range(50))
        )
    assert {(answer.status, str(answer.body)) for answer in answers} == {(202, "{'ok': True}")}
    assert {tuple(sorted(name for name, _ in answer.headers)) for answer in answers} == {
        tuple(sorted(name for name, _ in answers[0].headers))
    }
    [[user_id]] = rows(database_url, f"SELECT id FROM ww_user WHERE email = '{EMAIL}'")
    assert rows(database_url, "SELECT user_id FROM ww_challenge") == [(user_id,)] * 5
    assert (
        len(rows(database_url, f"SELECT id FROM ww_outbox WHERE kind = 'verify' AND \"to\" = '{EMAIL}'")) == 5
    )


SPELLED: dict[str, str | None] = {
    "One.Person@Example.com": "one.person@example.com",
    "ONE.PERSON@EXAMPLE.COM": "one.person@example.com",
    "one.person@\uff45xample.com": "one.person@example.com",  # a full-width e: domains are folded (IDNA)
    "one.person@example\u3002com": "one.person@example.com",
    "one.person@exam\u212ale.com": "one.person@examkle.com",
    "\uff2fne.person@example.com": "\uff4fne.person@example.com",  # mailboxes are not: another one
    "\u212aelvin@example.com": "kelvin@example.com",  # Kelvin: what is mailed to is what is stored
    "kelvin@example.com": "kelvin@example.com",
    "zo\u00eb@b\u00fccher.example": "zo\u00eb@b\u00fccher.example",
    "zoe\u0308@xn--bcher-kva.example": "zo\u00eb@b\u00fccher.example",
    "\u00df@EXAMPLE.com": "\u00df@example.com",
    "\u0130stanbul@example.com": "i\u0307stanbul@example.com",
    "\u0131stanbul@example.com": "\u0131stanbul@example.com",  # a dotless i is another letter
    "one.person@example.com.": None,
    "one.person\uff20example.com": None,
    "one.person@example.com@example.com": None,
    '"one.person"@example.com': None,
    "one.person\u200b@example.com": None,
    "\u202eone.person@example.com": None,
    "one.person@example.com\x00": None,
    " one.person@example.com": None,
    "one.person@example.com\n": None,
}
"""What is asked for, and under which address somebody is stored; None for what is refused."""


async def test_attacks_69_70_an_address_has_one_form_and_mail_goes_to_that(
    auth: Watchword, database_url: str
) -> None:
    """Attacks 69, 70: however it is spelled, on both databases alike: refused, or the one form and nothing like it."""
    device = Device(auth.app, "cookies", "http://testserver")
    for spelled, stored in SPELLED.items():
        answer = await device.post("/auth/register", {"email": spelled, "password": PASSWORD})
        assert answer.status == (422 if stored is None else 202), ascii(spelled)
    expected = set(SPELLED.values()) - {None}
    found = [email for [email] in rows(database_url, "SELECT email FROM ww_user")]
    assert (len(found), set(found)) == (len(expected), expected)
    assert {to for [to] in rows(database_url, 'SELECT "to" FROM ww_outbox')} == expected
