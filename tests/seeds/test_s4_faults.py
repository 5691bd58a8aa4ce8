"""Faults of S4 that we do not inherit, on the settings with which its clients work."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime
from functools import cache
from pathlib import Path

import pytest

from tests.cli.programs import run, spoken
from tests.seeds.callers import Python, header
from tests.seeds.house import House, names_on_this_machine, running
from tests.seeds.stories import Visitor, refuse
from tests.servers import EMAIL, PASSWORD

ADA = {"email": EMAIL, "password": PASSWORD}
BEARER, COOKIE, SESSION = "S4 bearer", "S4 cookie", "S4 session"
SISTER, STRANGER = "https://evil.example.com", "https://evil.example.org"
"""Origins of another host of our site, and of another site."""
IDLE, WHOLE = 7, 10
"""Seconds of a session in `test_w15_no_session_outlives_its_cap`: longer than what was looked up is kept (KEEP)."""
Street = Callable[[str], House]


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    with names_on_this_machine(), ExitStack() as open_houses:

        @cache
        def house(name: str) -> House:
            return open_houses.enter_context(running(name, tmp_path_factory.mktemp("house")))

        yield house


@pytest.mark.parametrize("name", [BEARER, COOKIE, SESSION])
@pytest.mark.parametrize("origin", [SISTER, STRANGER, "null"])
def test_w13_no_origin_is_reflected(origin: str, name: str, street: Street) -> None:
    """W13: with CORS for the whole app, pages of origins that nobody named still read nothing."""
    client = Python(street(name))
    asking = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    for path in ("/profile", "/login"):
        preflight = client.send("OPTIONS", path, headers=asking)
        answer = client.send("POST", path, ADA, {"Origin": origin})
        assert preflight.status == 403
        assert header(preflight, "access-control-allow-origin") is None
        assert header(answer, "access-control-allow-origin") is None


@pytest.mark.parametrize("name", [COOKIE, SESSION])
@pytest.mark.parametrize("browser", ["new", "old"])
def test_w14_strict_is_not_all_that_stops_a_neighbouring_host(
    browser: str, name: str, street: Street
) -> None:
    """W14: a page of another subdomain is of the same site, so the Strict cookie comes along: it is refused, whether
    its browser sends Sec-Fetch-Site or the origin alone, and nothing has changed."""
    visitor = Visitor(name, Python(street(name)))
    visitor.sign_in()
    sent = {"Origin": SISTER} | ({"Sec-Fetch-Site": "same-site"} if browser == "new" else {})
    for path in ("/data", "/refresh", "/logout", "/logout/all"):
        answer = visitor.caller.send("POST", path, {}, sent)
        assert (answer.status, answer.code) == (403, "csrf_rejected"), path
    visitor.work()


@pytest.mark.parametrize("name", [COOKIE, SESSION])
@pytest.mark.parametrize("origin", [SISTER, STRANGER])
def test_w14_nobody_is_signed_in_by_a_strangers_page(origin: str, name: str, street: Street) -> None:
    """W14: login CSRF, for which no cookie is needed, so that Strict does nothing about it."""
    victim = Python(street(name))
    answer = victim.send("POST", "/login", ADA, {"Origin": origin})
    assert (answer.status, answer.code, victim.jar) == (403, "csrf_rejected", {})


@pytest.mark.parametrize("name", [BEARER, COOKIE, SESSION])
def test_w15_a_sign_out_leaves_nothing_alive_at_the_server(name: str, street: Street) -> None:
    """W15: sign-out ends the session itself, not the cookie alone: it is in no list, and no copy opens anything."""
    house = street(name)
    visitor = Visitor(name, Python(house))
    sid, copy = visitor.sign_in().body["session"]["id"], visitor.copy()
    assert sid in _live(house)
    visitor.sign_out()
    assert sid not in _live(house)
    refuse(visitor, copy)


@pytest.mark.parametrize("name", [BEARER, COOKIE, SESSION])
def test_w15_sessions_are_listed_and_can_be_ended_one_by_one(name: str, street: Street) -> None:
    """W15: each with when it was last used; ending another one ends it at once, and this one goes on."""
    here, there = (Visitor(name, Python(street(name))) for _ in range(2))
    mine, other = (visitor.sign_in().body["session"]["id"] for visitor in (here, there))
    sessions = {one["id"]: one for one in here.send("GET", "/sessions").body["sessions"]}
    assert (sessions[mine]["current"], sessions[other]["current"]) == (True, False)
    for one in (sessions[mine], sessions[other]):
        assert one["ip"] == "127.0.0.0/24"
        assert datetime.fromisoformat(one["created_at"]) <= datetime.fromisoformat(one["last_used_at"])
    assert here.send("DELETE", f"/sessions/{other}").status == 200
    refuse(there, there.copy())
    here.work()


def test_w15_no_session_outlives_its_cap(tmp_path: Path) -> None:
    """W15: its idle time begins anew with every use, and its end stays where it was: a session in steady use outlives
    the one and ends with the other, in the self-renewing cookie and in the one that is looked up."""
    short = {"access_ttl": "2s", "refresh_ttl": f"{IDLE}s", "session_max": f"{WHOLE}s"}
    both = {"mode": "jwt_cookie,session", "session_cookie": "sessionId", "rotation_window": "1s"}
    with names_on_this_machine(), running(COOKIE, tmp_path, **short, **both) as house:
        clients = {mode: Python(house) for mode in ("jwt_cookie", "session")}
        begun = time.monotonic()
        for mode, client in clients.items():
            assert client.send("POST", "/login", ADA, {"X-Auth-Mode": mode}).status == 200
        seen = dict.fromkeys(clients, 0.0)
        while (now := time.monotonic() - begun) < WHOLE + 2:
            for mode, client in clients.items():
                if client.send("GET", "/profile").status == 200:
                    seen[mode] = now
            time.sleep(0.3)
    assert all(IDLE + 1 < last < WHOLE + 1 for last in seen.values()), seen


def _live(house: House) -> set[str]:
    listed = json.loads(spoken(run("session", "list", EMAIL, "--json", **house.settings)))
    return {one["id"] for one in listed}
