"""The thief of the development page: whom he steals from, what he gives back, and that nobody else has him.

What the page shows of it is told in test_account_in_a_browser.
"""

from __future__ import annotations

import pytest

from tests.http.asgi import Answer, call
from tests.http.devices import ADA, FIREFOX, SECRET, Device, House, add
from watchword.auth import Watchword
from watchword.drivers.hasher import Argon2Hasher
from watchword.events import Event
from watchword.pages import promises
from watchword.server.app import standalone
from watchword.settings import Settings
from watchword.storage.memory import MemoryStore
from watchword.testing import TravellingClock, make_auth

PAGE = "/auth/dev/promises"
HOST = "localhost:8000"
WINDOW = "21s"


async def at_home(**texts: str) -> House:
    """A Watchword with the page, as `watchword dev` has it, in which Ada lives."""
    clock, events = TravellingClock(), list[Event]()
    given = {"secret": SECRET, "url": "http://localhost:8000", "limits": "off"} | texts
    auth = Watchword(
        Settings.parse(given),
        store=MemoryStore(clock),
        hasher=Argon2Hasher(threads=1, memory=8, passes=1),
        clock=clock,
        on_event=events.append,
        features=[promises.router],
    )
    await add(auth, ADA)
    return House(auth, clock, events, auth.app, auth.settings.mode[0].value)


async def ask(device: Device, verb: str) -> Answer:
    return await device.post(f"{PAGE}/{verb}", host=HOST)


async def test_a_copy_that_comes_back_a_window_later_ends_the_session() -> None:
    """Attack 33: by our own route, from another network; no script ever sees the token."""
    home = await at_home()
    device = await home.signed_in()
    stolen = device.held
    answer = await ask(device, "steal")
    assert answer.json == {"ok": True, "window": 20.0}
    assert stolen not in answer.body.decode()
    for _ in range(2):
        home.clock.travel(WINDOW)
        assert (await device.refresh()).status == 200
    home.clock.travel(WINDOW)
    assert (await ask(device, "replay")).json == {"ok": True, "status": 401, "code": "refresh_reused"}
    [reused] = [event for event in home.events if event.name == "refresh_reused"]
    assert reused.ip == promises.THIEF[0]
    assert (await device.get("/auth/me")).code == "session_ended"


async def test_inside_the_window_the_thief_is_told_as_little_as_a_late_tab() -> None:
    """Attack 34: what a page is shown of a repeated answer is its status."""
    home = await at_home()
    device = await home.signed_in()
    await ask(device, "steal")
    assert (await ask(device, "replay")).json == {"ok": True, "status": 200, "code": "ok"}
    assert (await device.refresh()).status == 200


async def test_he_gives_back_what_he_stole_from_this_session_and_once() -> None:
    home = await at_home()
    device, other = await home.signed_in(), await home.signed_in()
    assert (await ask(device, "steal")).status == 200
    assert (await ask(other, "replay")).status == 404
    assert (await ask(device, "replay")).status == 200
    assert (await ask(device, "replay")).status == 404


@pytest.mark.parametrize("verb", ["steal", "replay"])
async def test_who_is_not_signed_in_or_comes_by_another_name_or_page_is_refused(verb: str) -> None:
    """Attacks 82, 100: cross-site, and DNS rebinding."""
    home = await at_home()
    assert (await ask(home.device(), verb)).status == 401
    device = await home.signed_in()
    elsewhere = await device.post(f"{PAGE}/{verb}", host="evil.example")
    assert elsewhere.status == 404
    cookies = "; ".join(f"{name}={value}" for name, value in device.jar.items())
    lines = [("cookie", cookies), ("sec-fetch-site", "cross-site"), ("user-agent", FIREFOX)]
    answer = await call(home.app, "POST", f"{PAGE}/{verb}", headers=lines, host=HOST)
    assert (answer.status, answer.code) == (403, "csrf_rejected")


@pytest.mark.parametrize(
    ("mode", "status", "races"), [("cookies", 200, True), ("session", 200, False), ("bearer", 404, False)]
)
async def test_a_mode_without_refresh_tokens_has_nothing_to_race_for(
    mode: str, status: int, races: bool
) -> None:
    """And its workers run from our files alone."""
    home = await at_home(mode=mode)
    answer = await call(home.app, "GET", PAGE, host=HOST)
    assert (answer.status, b'id="race"' in answer.body) == (status, races)
    if status == 200:
        assert "worker-src 'self';" in (answer.get("content-security-policy") or "")


async def test_no_other_server_has_him() -> None:
    """Not in an app, not in `serve`."""
    url = f"http://{HOST}"
    for app in (make_auth(url=url).app, standalone(make_auth(url=url))):
        for method, path in (("GET", PAGE), ("POST", f"{PAGE}/steal"), ("POST", f"{PAGE}/replay")):
            answer = await call(app, method, path, headers=[("origin", url)], host=HOST)
            assert answer.status == 404
