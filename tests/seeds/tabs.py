"""Pages of another origin, as Python plays them: a jar and an Origin each; and a look into the house's database."""

from __future__ import annotations

import json
import sqlite3
from base64 import urlsafe_b64decode
from contextlib import closing
from typing import Any

import httpx2

from tests.seeds.house import House
from tests.servers import EMAIL, PASSWORD

PAGE, OTHER_PAGE = "https://app.example.com", "https://admin.example.com"
STRANGER = "https://app.example.net"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
DAY = 86_400
INSTANTS = (
    *("created_at", "auth_time", "last_used_at", "minted_at", "rotated_at"),
    *("idle_until", "idle_day", "ends_at", "ended_at"),
)


def tab(house: House, **cookies: str) -> httpx2.Client:
    """A page of `PAGE` in a browser of its own. `cookies` are sent in place of what its jar holds."""
    client = house.client()
    # A connection a call, so that no test has to remember which tabs it opened.
    client.headers |= {"origin": PAGE, "user-agent": FIREFOX, "connection": "close"}
    if cookies:
        client.headers["cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
    return client


def sign_in(client: httpx2.Client, password: str = PASSWORD, email: str = EMAIL) -> httpx2.Response:
    return client.post("/auth/login", json={"email": email, "password": password})


def signed_in(house: House) -> tuple[httpx2.Client, str]:
    """A new tab whose user has signed in, and the access token that it keeps in memory."""
    client = tab(house)
    body = sign_in(client).raise_for_status().json()
    return client, body.get("accessToken") or body["access_token"]


def refresh(client: httpx2.Client) -> httpx2.Response:
    return client.post("/auth/refresh")


def profile(client: httpx2.Client, token: str) -> httpx2.Response:
    return client.get("/profile", headers={"authorization": f"Bearer {token}"})


def preflight(client: httpx2.Client, path: str, method: str, *names: str) -> httpx2.Response:
    """What a browser asks before it sends such a request for a page of another origin."""
    asked = {"access-control-request-method": method, "access-control-request-headers": ",".join(names)}
    return client.request("OPTIONS", path, headers=asked)


def held(client: httpx2.Client, name: str) -> str:
    """The value of a cookie that a tab would send to /auth/refresh."""
    [value] = [c.value for c in client.cookies.jar if c.name == name and c.path == "/auth/refresh"]
    assert value is not None
    return value


def given(answer: httpx2.Response, name: str) -> str:
    """The value that an answer sets a cookie to; the same for each of its paths."""
    pairs = (line.partition(";")[0].partition("=") for line in answer.headers.get_list("set-cookie"))
    [value] = {value for key, _, value in pairs if key == name}
    return value


def cookie_lines(answer: httpx2.Response) -> list[str]:
    """The Set-Cookie lines of an answer, with … for values that are not empty."""
    pairs = (line.partition(";") for line in answer.headers.get_list("set-cookie"))
    return [f"{pair.partition('=')[0]}={'…' if pair[-1] != '=' else ''};{rest}" for pair, _, rest in pairs]


def code(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def parts(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The header and the claims of a JWT, as anybody may read them."""
    header, claims, _ = token.split(".")
    return _read(header), _read(claims)


def rows(house: House, statement: str, *values: object) -> list[dict[str, Any]]:
    """What is in the database now."""
    with closing(sqlite3.connect(f"file:{house.database}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(statement, values)]


def session(house: House, token: str) -> dict[str, Any]:
    """The row of the session that an access token is of."""
    [row] = rows(house, "SELECT * FROM ww_session WHERE sid = ?", parts(token)[1]["sid"])
    return row


def later(house: House, token: str, seconds: float) -> None:
    """Lets time pass for a session: all its instants move back. The server itself knows no clock but the machine's."""
    moved = ", ".join(f"{name} = max(0, {name} - :span)" for name in INSTANTS)
    values = {"span": int(seconds * 1_000_000), "sid": parts(token)[1]["sid"]}
    with closing(sqlite3.connect(house.database, timeout=10)) as connection, connection:
        connection.execute(f"UPDATE ww_session SET {moved} WHERE sid = :sid", values)


def _read(segment: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    return value
