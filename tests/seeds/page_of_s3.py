"""A page of S3 in this process: how it signs in by its two steps, and how time passes for what it left in the house's
database.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

import httpx2

from tests.seeds.house import House, names_on_this_machine
from tests.servers import EMAIL, PASSWORD
from watchword.core.challenge import CODES

LOGIN, CODE, RESEND = "/auth/login/credentials", "/auth/login/2fa", "/auth/login/2fa/resend"
ATTRIBUTES = "Path=/; Secure; HttpOnly; SameSite=Lax"
MINUTE = 60
HOUR = 60 * MINUTE
DAY = 24 * HOUR


@contextmanager
def opened(house: House) -> Iterator[httpx2.Client]:
    """A jar, and the header that browsers add; whoever was here before has used up nobody's codes and tries."""
    codes_later(house, seconds=2 * DAY)
    with names_on_this_machine(), house.client() as client:
        client.headers["Origin"] = house.url
        yield client


def give_password(browser: httpx2.Client, password: str = PASSWORD, email: str = EMAIL) -> httpx2.Response:
    return browser.post(LOGIN, json={"email": email, "password": password})


def code_for(house: House, browser: httpx2.Client, email: str = EMAIL) -> str:
    """Take the first step; the code for the second."""
    answer, code = house.mail.after(lambda: give_password(browser, email=email))
    assert answer.status_code == 200, answer.text
    return code


def enter(browser: httpx2.Client, code: str) -> httpx2.Response:
    return browser.post(CODE, json={"code": code})


def wrong(code: str, by: int = 1) -> str:
    """Another code."""
    return f"{(int(code) + by) % CODES:06d}"


def sign_in(house: House, browser: httpx2.Client) -> httpx2.Response:
    """By both steps; the answer to the second."""
    answer = enter(browser, code_for(house, browser))
    assert answer.status_code == 200, answer.text
    return answer


def signed_in(house: House, browser: httpx2.Client) -> str:
    """Sign in; the id of the session."""
    return str(sign_in(house, browser).json()["session"]["id"])


def jar(browser: httpx2.Client) -> dict[str, str]:
    return {cookie.name: cookie.value or "" for cookie in browser.cookies.jar}


def with_jar(
    browser: httpx2.Client, method: str, path: str, *, json: Any = None, **cookies: str
) -> httpx2.Response:
    """A request that brings these cookies instead of the jar's."""
    browser.cookies.clear()
    line = "; ".join(f"{name}={value}" for name, value in cookies.items())
    return browser.request(method, path, json=json, headers={"Cookie": line})


def refused(answer: httpx2.Response, status: int = 401) -> str:
    """The code of a refusal, which sets no cookie."""
    assert answer.status_code == status, answer.text
    assert "set-cookie" not in answer.headers
    return str(answer.json()["code"])


def later(house: House, sid: str, *, seconds: int, idle: bool = True) -> None:
    """Make the session as much older, and unused for as long if it is `idle`."""
    moved = ["minted_at", "rotated_at", "created_at", "auth_time", "ends_at", "last_used_at", "ended_at"]
    moved += ["idle_until", "idle_day"] if idle else []
    assert _moved(house, "ww_session", moved, seconds, "WHERE sid = ?", [sid]) == 1


def codes_later(house: House, *, seconds: int) -> None:
    """Make every code as much older, and the login that waits for it."""
    _moved(house, "ww_challenge", ["created_at", "sent_at", "expires_at", "ended_at"], seconds)


def rows(house: House, query: str, *values: Any) -> list[Any]:
    with closing(sqlite3.connect(house.database, timeout=10)) as database:
        return database.execute(query, values).fetchall()


def _moved(
    house: House,
    table: str,
    columns: Sequence[str],
    seconds: int,
    where: str = "",
    values: Sequence[Any] = (),
) -> int:
    changes = ", ".join(f"{name} = {name} - {seconds * 1_000_000}" for name in columns)
    with closing(sqlite3.connect(house.database, timeout=10)) as database, database:
        return database.execute(f"UPDATE {table} SET {changes} {where}", values).rowcount
