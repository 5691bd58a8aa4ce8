"""Devices and signing out, from outside: who may see and end what."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.http.asgi import Answer, Header, call
from tests.http.devices import ADA, BROWSER, EVE, FIREFOX, KEPT, MODES, PASSWORD, Device, house, instead
from watchword.errors import Unavailable
from watchword.flows.follow import poll

ORIGIN: Header = ("origin", "http://testserver")
NOWHERE = "0199a2b0-0000-7000-8000-000000000000"


async def sid_of(device: Device) -> str:
    sid = (await device.get("/auth/me")).json["session"]["id"]
    assert isinstance(sid, str)
    return sid


async def log_out(device: Device, path: str = "/auth/logout", **options: Any) -> Answer:
    body = {"refresh_token": device.held} if device.mode == "bearer" else None
    return await device.post(path, body, **options)


@pytest.mark.parametrize("mode", MODES)
async def test_the_list_shows_every_live_session_and_which_one_asks(mode: str) -> None:
    """DESIGN §5, ASVS 7.5.2: newest first, in words of our own; ended and expired ones are gone."""
    home = await house(mode=mode)
    phone = await home.signed_in(user_agent="Mozilla/5.0 (iPhone) Version/18.0 Safari/604.1")
    home.clock.travel("1m")
    laptop = await home.signed_in()
    rows = (await laptop.get("/auth/sessions")).json["sessions"]
    assert [set(row) for row in rows] == [
        {"id", "label", "ip", "created_at", "last_used_at", "current"},
        {"id", "label", "ip", "created_at", "last_used_at", "current"},
    ]
    assert [(row["label"], row["current"]) for row in rows] == [
        ("Firefox on Linux", True),
        ("Safari on iPhone", False),
    ]
    assert [row["id"] for row in rows] == [await sid_of(laptop), await sid_of(phone)]
    await log_out(phone)
    assert len((await laptop.get("/auth/sessions")).json["sessions"]) == 1
    home.clock.travel("5d")
    await laptop.refresh()
    tablet = await home.signed_in()
    home.clock.travel("3d")
    assert (await tablet.refresh()).status == 200
    home.clock.travel("5d")
    await tablet.refresh()
    rows = (await tablet.get("/auth/sessions")).json["sessions"]
    assert [row["id"] for row in rows] == [await sid_of(tablet)], "the laptop was idle for a week"


@pytest.mark.parametrize("mode", MODES)
async def test_one_of_my_sessions_can_be_ended_and_is_at_once(mode: str) -> None:
    """ASVS 7.5.2, 10.4.9: refresh and access tokens of that one; mine goes on."""
    home = await house(mode=mode)
    phone, laptop = await home.signed_in(), await home.signed_in()
    answer = await laptop.delete(f"/auth/sessions/{await sid_of(phone)}")
    assert (answer.status, answer.json) == (200, {"ok": True})
    assert (await phone.get("/auth/me")).code == "session_ended"
    assert (await phone.refresh()).code == "session_ended"
    assert (await laptop.get("/auth/me")).status == 200
    ended = home.events[-1]
    assert (ended.name, ended.detail) == ("session_ended", "revoked")


@pytest.mark.parametrize("mode", MODES)
async def test_all_my_other_sessions_can_be_ended_at_once(mode: str) -> None:
    """ASVS 7.4.3, 7.5.2: all but the one that asks, and nobody else's."""
    home = await house(ADA, EVE, mode=mode)
    others = [await home.signed_in() for _ in range(3)]
    eve, mine = await home.signed_in(EVE), await home.signed_in()
    assert (await mine.delete("/auth/sessions")).json == {"ok": True}
    assert [(await other.get("/auth/me")).code for other in others] == ["session_ended"] * 3
    assert (await mine.get("/auth/me")).status == 200
    assert (await eve.get("/auth/me")).status == 200
    assert (await mine.delete("/auth/sessions")).status == 200, "nothing left to end is no error"


@pytest.mark.parametrize("mode", MODES)
async def test_ending_sessions_needs_a_fresh_sign_in(mode: str) -> None:
    """ASVS 7.5.1, RFC 9470: after five minutes the password is asked for again, before anything is looked up."""
    home = await house(mode=mode)
    phone, laptop = await home.signed_in(), await home.signed_in()
    sid = await sid_of(phone)
    home.clock.travel("5m")
    home.clock.travel("1s")
    for path in ("/auth/sessions", f"/auth/sessions/{sid}", f"/auth/sessions/{NOWHERE}"):
        answer = await laptop.delete(path)
        assert (answer.status, answer.code) == (401, "reauthentication_required")
        assert 'max_age="300"' in (answer.get("www-authenticate") or "")
    await laptop.post("/auth/reauthenticate", {"password": PASSWORD})
    assert (await laptop.delete(f"/auth/sessions/{sid}")).status == 200


@pytest.mark.parametrize("mode", MODES)
async def test_nobody_can_see_or_end_what_is_somebody_elses(mode: str) -> None:
    """Attack 93, ASVS 8.2.2: two users × every route; another's session answers like one that never was."""
    home = await house(ADA, EVE, mode=mode)
    people = {ADA: await home.signed_in(ADA), EVE: await home.signed_in(EVE)}
    sids = {email: await sid_of(device) for email, device in people.items()}
    for me, other in ((ADA, EVE), (EVE, ADA)):
        device = people[me]
        assert (await device.get("/auth/me")).json["user"]["email"] == me
        assert [row["id"] for row in (await device.get("/auth/sessions")).json["sessions"]] == [sids[me]]
        theirs = await device.delete(f"/auth/sessions/{sids[other]}")
        nobodys = await device.delete(f"/auth/sessions/{NOWHERE}")
        assert (theirs.status, theirs.code) == (404, "not_found")
        assert theirs.headers == nobodys.headers
        assert {**theirs.problem, "request_id": ""} == {**nobodys.problem, "request_id": ""}
        for parameter in ("user", "user_id", "sub", "id", "sid"):
            for value in (sids[other], (await home.auth.users.get(other)).id):
                for path in ("/auth/me", "/auth/sessions"):
                    answer = await device.get(f"{path}?{parameter}={value}")
                    assert other.encode() not in answer.body
                    assert sids[other].encode() not in answer.body
        assert (await device.delete("/auth/sessions")).status == 200
        assert (await people[other].get("/auth/me")).status == 200
        assert (await people[other].refresh()).status == 200


async def test_a_session_that_has_ended_answers_like_one_that_never_was() -> None:
    """Attack 93: 404 both times; ending it twice is told."""
    home = await house(mode="bearer")
    phone, laptop = await home.signed_in(), await home.signed_in()
    sid = await sid_of(phone)
    assert (await laptop.delete(f"/auth/sessions/{sid}")).status == 200
    assert (await laptop.delete(f"/auth/sessions/{sid}")).code == "not_found"
    for spelling in (sid.upper(), sid.replace("-", ""), "{" + sid + "}", "urn:uuid:" + sid):
        assert (await laptop.delete(f"/auth/sessions/{spelling}")).status in (404, 422)


@pytest.mark.parametrize("mode", MODES)
async def test_my_own_session_can_be_ended_like_any_other(mode: str) -> None:
    """It is in the list, so it can be ended there."""
    home = await house(mode=mode)
    device = await home.signed_in()
    assert (await device.delete(f"/auth/sessions/{await sid_of(device)}")).status == 200
    assert (await device.get("/auth/me")).code == "session_ended"


@pytest.mark.parametrize("mode", MODES)
async def test_logging_out_ends_the_session_and_both_its_tokens(mode: str) -> None:
    """ASVS 7.4.1, 14.3.1; R23: `{"ok":true,"message":"Logged out"}`, and caches are told to forget."""
    home = await house(mode=mode)
    device, other = await home.signed_in(), await home.signed_in()
    kept = home.device(
        jar=dict(device.jar), access_token=device.access_token, refresh_token=device.refresh_token
    )
    answer = await log_out(device)
    assert (answer.status, answer.json) == (200, {"ok": True, "message": "Logged out"})
    assert answer.get("clear-site-data") == '"cache"'
    assert (await kept.get("/auth/me")).code == "session_ended"
    assert (await kept.refresh()).code == "session_ended"
    assert (await other.get("/auth/me")).status == 200
    assert (home.events[-1].name, home.events[-1].detail) == ("session_ended", "logout")


@pytest.mark.parametrize("mode", MODES)
async def test_logging_out_everywhere_ends_all_of_mine_and_nobody_elses(mode: str) -> None:
    """ASVS 7.4.1: phone and laptop; Eve goes on."""
    home = await house(ADA, EVE, mode=mode)
    phone, laptop, eve = await home.signed_in(), await home.signed_in(), await home.signed_in(EVE)
    kept = home.device(jar=dict(laptop.jar), access_token=laptop.access_token)
    answer = await log_out(laptop, "/auth/logout/all")
    assert answer.json == {"ok": True, "message": "Logged out"}
    for device in (phone, kept):
        assert (await device.get("/auth/me")).code == "session_ended"
    assert (await eve.get("/auth/me")).status == 200


@pytest.mark.parametrize("mode", MODES)
async def test_logging_out_with_nothing_to_end_succeeds(mode: str) -> None:
    """DESIGN §5: 200 all the same, and the cookies go: nobody is trapped in half a session."""
    home = await house(mode=mode)
    for path in ("/auth/logout", "/auth/logout/all"):
        for device in (home.device(), home.device(jar={"refresh_token": "x", "access_token": "y"})):
            answer = await device.post(path)
            assert (answer.status, answer.json["ok"]) == (200, True)
            assert len(answer.cookies) == {"cookies": 2, "bearer": 0}.get(mode, 1)
        twice = await home.signed_in()
        assert (await log_out(twice, path, keep=False)).status == 200
        assert (await log_out(twice, path, keep=False)).status == 200


@pytest.mark.parametrize("mode", ["cookies", "hybrid"])
async def test_logging_out_works_with_cookies_that_somebody_has_tossed(mode: str) -> None:
    """Attack 25: two of a name do not keep the session alive where the other token names it."""
    home = await house(mode=mode)
    device = await home.signed_in()
    line = (
        f"refresh_token={device.held}; refresh_token=planted; access_token={device.jar.get('access_token')}"
    )
    headers: list[Header] = [ORIGIN, ("cookie", line)]
    if device.access_token:
        headers.append(("authorization", f"Bearer {device.access_token}"))
    answer = await call(home.app, "POST", "/auth/logout", headers=headers)
    assert answer.status == 200
    assert (await device.get("/auth/me")).code == "session_ended"


@pytest.mark.parametrize("mode", MODES)
async def test_an_expired_access_token_is_enough_to_log_out(mode: str) -> None:
    """DESIGN §5: who closes the laptop for the night can still sign out in the morning."""
    home = await house(mode=mode)
    device = await home.signed_in()
    home.clock.travel("1h")
    if mode == "cookies" or mode in KEPT:
        headers: list[Header] = [ORIGIN, ("cookie", f"{device.access_name}={device.access}")]
    else:
        headers = [ORIGIN, ("authorization", f"Bearer {device.access}")]
    assert (await call(home.app, "POST", "/auth/logout", headers=headers)).status == 200
    assert (await device.refresh()).code == "session_ended"


async def test_a_forged_token_logs_nobody_out() -> None:
    """Attacks 37, 39: a sid alone, altered tokens, another installation's."""
    home = await house(mode="bearer")
    other = await house(mode="bearer", secret="Zx9vQ3zL1mW7pR2tY8uB5nC4dF6gH0jK-bE")
    device, stranger = await home.signed_in(), await other.signed_in()
    for token in (device.held[:-1] + "!", "wwr_" + "A" * 80, stranger.held, await sid_of(device)):
        for path in ("/auth/logout", "/auth/logout/all"):
            body = json.dumps({"refresh_token": token}).encode()
            headers: list[Header] = [
                ("content-type", "application/json"),
                ("authorization", f"Bearer {stranger.access}"),
            ]
            assert (await call(home.app, "POST", path, headers=headers, body=body)).status == 200
    assert (await device.get("/auth/me")).status == 200


async def test_the_token_of_an_ended_session_logs_nobody_else_out() -> None:
    """Attack 66 in spirit: who once had a token cannot sign its owner out of everything for ever."""
    home = await house(mode="bearer")
    stolen = await home.signed_in()
    mine = await home.signed_in()
    await mine.delete(f"/auth/sessions/{await sid_of(stolen)}")
    for data in ({"refresh_token": stolen.held}, None):
        assert (await stolen.post("/auth/logout/all", data)).status == 200
    assert (await mine.get("/auth/me")).status == 200


async def test_the_refresh_token_names_the_session_before_the_access_token_does() -> None:
    """Attack 40: Ada's access token beside Eve's refresh token ends Eve's session, as /refresh would renew it."""
    home = await house(ADA, EVE, mode="bearer")
    ada, eve = await home.signed_in(), await home.signed_in(EVE)
    headers = [("authorization", f"Bearer {ada.access}")]
    await home.device().post("/auth/logout", {"refresh_token": eve.held}, headers=headers)
    assert (await ada.get("/auth/me")).status == 200
    assert (await eve.get("/auth/me")).code == "session_ended"


@pytest.mark.parametrize("mode", MODES)
async def test_me_and_the_list_need_somebody(mode: str) -> None:
    """ASVS 8.2.1: every route that shows or changes something, without and with a token of no use. What is looked up
    is of use for as long as its session is."""
    home = await house(mode=mode)
    expired = await home.signed_in()
    home.clock.travel("1h")
    for method, path in (
        ("GET", "/auth/me"),
        ("GET", "/auth/sessions"),
        ("DELETE", "/auth/sessions"),
        ("DELETE", f"/auth/sessions/{NOWHERE}"),
    ):
        answer = await home.device().call(method, path)
        assert (answer.status, answer.get("www-authenticate")) == (401, "Bearer")
        if mode not in KEPT:
            assert (await expired.call(method, path)).code == "token_expired"


async def test_the_health_of_the_process_and_of_what_it_needs() -> None:
    """Live as soon as it answers; ready once revocations were read, and only while the database answers."""
    home = await house()
    device = home.device()
    assert (await device.get("/auth/health/live")).json == {"status": "ok"}
    answer = await device.get("/auth/health/ready")
    assert (answer.status, answer.code, answer.get("retry-after")) == (503, "unavailable", "1")
    await poll(home.auth.world, None)
    assert (await device.get("/auth/health/ready")).json == {"status": "ok"}
    home.clock.travel("4s")
    assert (await device.get("/auth/health/ready")).status == 503
    await poll(home.auth.world, home.clock.now())

    async def away() -> None:
        raise Unavailable(retry_after=1)

    instead(home.auth.world.store, "check", away)
    assert (await device.get("/auth/health/ready")).status == 503
    assert (await device.get("/auth/health/live")).status == 200


async def test_a_device_is_named_by_what_it_is() -> None:
    """DESIGN §5 `label`: never the stranger's own text."""
    home = await house(mode="bearer")
    for agent, label in (
        (FIREFOX, "Firefox on Linux"),
        (
            "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537 Chrome/140.0 Safari/537 Edg/140.0",
            "Edge on Windows",
        ),
        ("Mozilla/5.0 (Linux; Android 16) Chrome/140.0 Mobile Safari/537", "Chrome on Android"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15) Version/18 Safari/605", "Safari on macOS"),
        ("curl/8.10", "Unknown device"),
        ("", "Unknown device"),
    ):
        device = await home.signed_in(user_agent=agent)
        rows = (await device.get("/auth/sessions")).json["sessions"]
        assert next(row["label"] for row in rows if row["current"]) == label


@pytest.mark.parametrize("path", ["/auth/logout", "/auth/logout/all"])
@pytest.mark.parametrize("mode", BROWSER)
async def test_a_cookie_planted_beside_ours_does_not_keep_a_session_alive_through_a_sign_out(
    mode: str, path: str
) -> None:
    """Attack 25; DESIGN §5: 200 is said of a session that has ended, whichever of two values is ours."""
    home = await house(mode=mode)
    device = await home.signed_in()
    doubled = "; ".join(f"{name}=planted; {name}={value}" for name, value in device.jar.items())
    device.jar, device.access_token = {}, None
    assert (await device.post(path, headers=[("cookie", doubled)])).status == 200
    assert await home.auth.sessions.list(ADA) == []
