"""Refreshing, from outside: tabs, replays, the wrong place, the wrong way, and what does not count."""

from __future__ import annotations

import json

import pytest

from tests.http.asgi import Answer, Header, call
from tests.http.devices import (
    ADA,
    EVE,
    MODES,
    PASSWORD,
    ROTATING,
    SECRET,
    Device,
    House,
    house,
    refresh_token_of,
)
from watchword.auth import Watchword
from watchword.flows.follow import poll
from watchword.settings import Settings

ORIGIN: Header = ("origin", "http://testserver")
JSON: Header = ("content-type", "application/json")
WINDOW = "20s"


async def used_up(home: House, device: Device) -> list[str]:
    """Three generations of a session's token: the first two are old."""
    tokens = [device.held]
    for _ in range(2):
        assert (await device.refresh()).status == 200
        tokens.append(device.held)
        home.clock.travel(WINDOW)
    assert (await device.refresh()).status == 200
    return [*tokens, device.held]


@pytest.mark.parametrize("mode", MODES)
async def test_a_refresh_brings_new_tokens_and_keeps_the_session(mode: str) -> None:
    """RFC 9700 §4.14.2: rotated, same sid, same user, same sign-in time; an opaque session token alone stays."""
    home = await house(mode=mode)
    device = await home.signed_in()
    before = (await device.get("/auth/me")).json
    access, refresh = device.access, device.held
    home.clock.travel("10m")
    assert (await device.refresh()).status == 200
    assert (device.access != access) is (mode != "session")
    assert (device.held != refresh) is (mode != "session")
    after = (await device.get("/auth/me")).json
    assert after["user"] == before["user"]
    assert {**after["session"], "expires_at": None} == {**before["session"], "expires_at": None}
    assert after["session"]["expires_at"] > before["session"]["expires_at"]


@pytest.mark.parametrize("mode", ROTATING)
async def test_a_second_tab_inside_the_window_gets_the_same_token(mode: str) -> None:
    """Attack 34, promise 1: both tabs hold the newest token, with an access token each."""
    home = await house(mode=mode)
    device = await home.signed_in()
    both_had = device.held
    first = await device.refresh()
    home.clock.travel("19s")
    second = await device.refresh(both_had, keep=False)
    assert (first.status, second.status) == (200, 200)
    assert refresh_token_of(first) == refresh_token_of(second)
    home.clock.travel("1m")
    assert (await device.refresh()).status == 200


@pytest.mark.parametrize("mode", MODES)
async def test_a_lost_answer_signs_nobody_out_however_late_the_retry_comes(mode: str) -> None:
    """Attack 41, I1: the token that the client still has works after seconds, hours and days."""
    for delay in ("1s", "21s", "1h", "6d"):
        home = await house(mode=mode)
        device = await home.signed_in()
        assert (await device.refresh()).status == 200
        for _ in range(3):
            assert (await device.refresh(keep=False)).status == 200, "the answer is lost"
            home.clock.travel(delay)
        assert (await device.refresh()).status == 200
        assert (await device.get("/auth/me")).status == 200


@pytest.mark.parametrize("mode", ROTATING)
async def test_a_replay_ends_the_session_and_its_access_token_at_once(mode: str) -> None:
    """Attack 33, ASVS 10.4.5: 401 refresh_reused; then neither token of the session counts, here or in a guard."""
    home = await house(mode=mode)
    device = await home.signed_in()
    first, _, _, newest = await used_up(home, device)
    headers: list[tuple[bytes, bytes]] = (
        [(b"cookie", f"access_token={device.access}".encode())]
        if mode == "cookies"
        else [(b"authorization", f"Bearer {device.access}".encode())]
    )
    await poll(home.auth.world, None)
    assert home.auth.authenticate(headers, method="GET") is not None
    home.clock.travel(WINDOW)
    answer = await device.refresh(first, keep=False)
    assert (answer.status, answer.code, answer.cookies) == (401, "refresh_reused", [])
    with pytest.raises(Exception, match="session has ended"):
        home.auth.authenticate(headers, method="GET")
    assert (await device.get("/auth/me")).code == "session_ended"
    for token in (newest, first):
        assert (await device.refresh(token, keep=False)).code == "session_ended"
    assert home.told()[-1] == "refresh_reused"
    assert home.events[-1].ip == "203.0.113.7"


@pytest.mark.parametrize("mode", ROTATING)
async def test_a_token_just_superseded_is_told_to_come_back(mode: str) -> None:
    """Attacks 33, 35: inside the window 409 with Retry-After, no token, nothing revoked, no cookie touched."""
    home = await house(mode=mode)
    device = await home.signed_in()
    _, second, _, newest = await used_up(home, device)
    answer = await device.refresh(second, keep=False)
    assert (answer.status, answer.code, answer.get("retry-after")) == (409, "refresh_superseded", "1")
    assert answer.problem["retry_after"] == 1
    assert answer.cookies == []
    assert (await device.get("/auth/me")).status == 200
    assert refresh_token_of(await device.refresh()) == newest
    assert "refresh_reused" not in home.told()


@pytest.mark.parametrize("mode", ROTATING)
async def test_with_a_window_of_a_second_the_same_rules_hold(mode: str) -> None:
    """The black box of the whole rule in its smallest time: tab, replay, end."""
    home = await house(mode=mode, rotation_window="1s")
    device = await home.signed_in()
    first = device.held
    answer = await device.refresh()
    assert refresh_token_of(await device.refresh(first, keep=False)) == refresh_token_of(answer)
    for _ in range(2):
        home.clock.travel("2s")
        assert (await device.refresh()).status == 200
    home.clock.travel("2s")
    assert (await device.refresh(first, keep=False)).code == "refresh_reused"
    assert (await device.get("/auth/me")).status == 401


@pytest.mark.parametrize("mode", MODES)
async def test_without_a_token_there_is_nothing_to_say_about_one(mode: str) -> None:
    """RFC 6750 §3.1: 401 and a bare challenge, no error parameter."""
    home = await house(mode=mode)
    answer = await home.device().post("/auth/refresh")
    assert (answer.status, answer.code, answer.get("www-authenticate")) == (401, "invalid_token", "Bearer")


@pytest.mark.parametrize("mode", MODES)
async def test_headers_of_strangers_change_nothing_about_a_refresh(mode: str) -> None:
    """W1, W3, attack 40: an expired, broken or foreign access token and chosen ids beside a good refresh token."""
    home = await house(ADA, EVE, mode=mode)
    device, eve = await home.signed_in(), await home.signed_in(EVE)
    old = device.access
    home.clock.travel("1h")
    body = json.dumps({"refresh_token": device.held}).encode() if mode == "bearer" else b""
    mine = [ORIGIN, JSON] + ([("cookie", f"{device.refresh_name}={device.held}")] if mode != "bearer" else [])
    for stray in (
        [("authorization", f"Bearer {old}")],
        [("authorization", f"Bearer {eve.access}")],
        [("authorization", "Bearer nonsense")],
        [("authorization", "Basic eDp5")],
        [("authorization", "Bearer a"), ("authorization", "Bearer b")],
        [("cookie", f"access_token={eve.access}")],
        [("cookie", "access_token=a; access_token=b")],
        [("x-user-id", (await home.auth.users.get(EVE)).id)],
        [("x-user-id", "1"), ("x-session-id", "2"), ("x-refresh-token", eve.held)],
        [("x-auth-mode", "nonsense")],
    ):
        answer = await call(home.app, "POST", "/auth/refresh", headers=[*mine, *stray], body=body)
        assert answer.status == 200, (stray, answer.body)
    assert len(await home.auth.sessions.list(EVE)) == 1
    assert (await eve.refresh()).status == 200


async def test_a_token_in_the_wrong_place_is_refused_and_harms_nothing() -> None:
    """Attack 47: a bearer session's in the cookie, a cookie session's in the body; both ways, no kill."""
    home = await house(mode="cookies,hybrid,bearer")
    program = await home.signed_in(mode="bearer")
    for mode in ("cookies", "hybrid"):
        browser = await home.signed_in(mode=mode)
        in_body = json.dumps({"refresh_token": browser.held}).encode()
        answer = await call(home.app, "POST", "/auth/refresh", headers=[JSON, ORIGIN], body=in_body)
        assert (answer.status, answer.code, answer.cookies) == (401, "invalid_token", [])
        cookie: Header = ("cookie", f"refresh_token={program.held}")
        answer = await call(home.app, "POST", "/auth/refresh", headers=[cookie, ORIGIN])
        assert (answer.status, answer.code, answer.cookies) == (401, "invalid_token", [])
        # With its own cookie beside it, the body counts and is refused: a script gets no token out of a jar.
        answer = await browser.post("/auth/refresh", {"refresh_token": browser.held}, keep=False)
        assert answer.code == "invalid_token"
        assert (await browser.refresh()).status == 200
    assert (await program.refresh()).status == 200


@pytest.mark.parametrize("mode", ["cookies", "hybrid"])
async def test_a_token_in_a_body_is_ignored_where_no_mode_reads_one(mode: str) -> None:
    """Attack 47: nothing but the cookie counts, right or wrong."""
    home = await house(mode=mode)
    device = await home.signed_in()
    body = json.dumps({"refresh_token": device.held}).encode()
    answer = await call(home.app, "POST", "/auth/refresh", headers=[JSON, ORIGIN], body=body)
    assert answer.get("www-authenticate") == "Bearer"
    answer = await device.post("/auth/refresh", {"refresh_token": "nonsense"})
    assert answer.status == 200
    assert "refresh_token" not in answer.json


async def test_a_cookie_is_ignored_where_no_mode_uses_one() -> None:
    """Attack 47, the other way: bearer alone has no jar."""
    home = await house(mode="bearer")
    device = await home.signed_in()
    cookie: Header = ("cookie", f"refresh_token={device.held}")
    answer = await call(home.app, "POST", "/auth/refresh", headers=[cookie])
    assert (answer.status, answer.get("www-authenticate")) == (401, "Bearer")
    assert (await device.refresh()).status == 200


@pytest.mark.parametrize("mode", MODES)
async def test_a_token_in_an_address_or_another_header_is_ignored(mode: str) -> None:
    """ASVS 14.2.1, attack 47."""
    home = await house(mode=mode)
    device = await home.signed_in()
    for target, headers in (
        (f"/auth/refresh?refresh_token={device.held}", []),
        ("/auth/refresh", [("authorization", f"Bearer {device.held}")]),
        ("/auth/refresh", [("x-refresh-token", device.held)]),
        ("/auth/refresh", [("cookie", f"rt={device.held}; Refresh_Token={device.held}")]),
    ):
        answer = await call(home.app, "POST", target, headers=[ORIGIN, *headers])
        assert (answer.status, answer.get("www-authenticate")) == (401, "Bearer"), target


@pytest.mark.parametrize("mode", MODES)
async def test_nothing_but_a_plain_post_refreshes(mode: str) -> None:
    """Attack 46: by GET and other methods, as a form, as text; the token stays what it was."""
    home = await house(mode=mode)
    device = await home.signed_in()
    for method in ("GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"):
        answer = await device.call(method, "/auth/refresh")
        assert (answer.status, answer.get("allow")) == (405, "POST")
    for content_type, body in (
        ("application/x-www-form-urlencoded", f"refresh_token={device.held}"),
        ("text/plain", json.dumps({"refresh_token": device.held})),
        ("multipart/form-data; boundary=x", "--x--"),
        ("text/plain", "x"),
    ):
        headers = [("content-type", content_type)]
        answer = await device.post("/auth/refresh", headers=headers, body=body.encode())
        assert (answer.status, answer.code, answer.cookies) == (415, "unsupported_media_type", [])
    assert home.told()[-1] == "signed_in"


@pytest.mark.parametrize("mode", MODES)
async def test_altered_tokens_are_unknown_and_kill_nothing(mode: str) -> None:
    """Attacks 37–39: every part of it, and one made from what a list of sessions shows."""
    home = await house(mode=mode)
    device = await home.signed_in()
    token = device.held
    sid = (await device.get("/auth/me")).json["session"]["id"]
    altered = [token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :] for at in range(len(token))]
    for wrong in [*altered, token[:-1], token + "A", token.lower(), token[4:], sid, sid.replace("-", "")]:
        answer = await device.refresh(wrong, keep=False)
        assert (answer.status, answer.code) == (401, "invalid_token"), wrong
    assert (await device.refresh()).status == 200
    assert set(home.told()) == {"user_created", "signed_in", "access_denied"}


@pytest.mark.parametrize("mode", MODES)
async def test_tokens_of_another_installation_are_unknown(mode: str) -> None:
    """Attack 38: same code, other secret; and the same session's after the secret was taken away."""
    home, other = await house(mode=mode), await house(mode=mode, secret="Zx9vQ3zL1mW7pR2tY8uB5nC4dF6gH0jK-bE")
    device, stranger = await home.signed_in(), await other.signed_in()
    assert (await device.refresh(stranger.held, keep=False)).code == "invalid_token"
    assert (await device.refresh()).status == 200


@pytest.mark.parametrize("mode", MODES)
async def test_no_refresh_survives_what_ends_the_session(mode: str) -> None:
    """Attacks 44, 45: disabled, password changed, all logged out, deleted, idle, over."""
    for how in ("disabled", "password", "revoked", "deleted", "idle", "whole"):
        home = await house(mode=mode, refresh_ttl="1h", session_max="90m")
        device = await home.signed_in()
        if how == "disabled":
            await home.auth.users.disable(ADA)
        elif how == "password":
            await home.auth.users.set_password(ADA, "another long way home")
        elif how == "revoked":
            await home.auth.sessions.revoke_all(ADA)
        elif how == "deleted":
            await home.auth.users.delete(ADA)
        elif how == "idle":
            home.clock.travel("1h")
        else:
            home.clock.travel("50m")
            assert (await device.refresh()).status == 200
            home.clock.travel("40m")
        answer = await device.refresh(keep=False)
        assert answer.status == 401, how
        unknown = (
            how == "deleted" and mode != "jwt_cookie"
        )  # a JWT is rightly signed, whatever the database knows
        assert answer.code == ("invalid_token" if unknown else "session_ended"), how
        assert answer.cookies == []
        assert "refresh_reused" not in home.told()


async def test_enabling_a_user_again_brings_no_old_session_back() -> None:
    """ASVS 7.4.2: what was ended stays ended."""
    home = await house(mode="bearer")
    device = await home.signed_in()
    await home.auth.users.disable(ADA)
    await home.auth.users.enable(ADA)
    assert (await device.refresh()).code == "session_ended"
    assert (await device.get("/auth/me")).code == "session_ended"
    assert (await home.device().sign_in()).status == 200


async def test_reauthenticating_keeps_the_session_and_renews_the_proof() -> None:
    """ASVS 7.2.4, 7.5.1: same sid, new auth_time, new tokens; the parent's answer on its way stays good."""
    for mode in MODES:
        home = await house(mode=mode)
        device = await home.signed_in()
        before = (await device.get("/auth/me")).json["session"]
        home.clock.travel("10m")
        held = device.held
        answer = await device.post("/auth/reauthenticate", {"password": PASSWORD}, keep=False)
        assert answer.status == 200
        after = (await device.get("/auth/me")).json["session"]
        assert (after["id"], after["created_at"]) == (before["id"], before["created_at"])
        assert after["auth_time"] > before["auth_time"]
        assert (await device.refresh(held)).status == 200, (
            "its answer was lost, and the old token is still good"
        )


async def test_reauthenticating_needs_a_session_and_the_right_password() -> None:
    """ASVS 7.5.1: a wrong one leaves everything as it was, and tells it as a failure."""
    home = await house(mode="bearer")
    device = await home.signed_in()
    assert (await home.device().post("/auth/reauthenticate", {"password": PASSWORD})).code == "invalid_token"
    access, told = device.access, len(home.events)
    answer: Answer = await device.post("/auth/reauthenticate", {"password": "wrong password"})
    assert (answer.status, answer.code, answer.cookies) == (401, "invalid_credentials", [])
    assert device.access == access
    assert home.told()[told:] == ["sign_in_failed"]
    await device.post("/auth/logout", {"refresh_token": device.held})
    answer = await device.post("/auth/reauthenticate", {"password": PASSWORD})
    assert answer.code == "session_ended"


@pytest.mark.parametrize(
    ("before", "after"), [("cookies", "hybrid"), ("hybrid", "cookies"), ("cookies,hybrid", "hybrid")]
)
async def test_a_session_of_a_mode_that_is_enabled_no_more_has_ended(before: str, after: str) -> None:
    """DESIGN §5: its tokens would go where nobody looks for them; only a 401 from /refresh tells a client so."""
    home = await house(mode=before)
    device = await home.signed_in(mode=before.partition(",")[0])
    texts = {"secret": SECRET, "url": "http://testserver", "database_url": "memory:", "mode": after}
    changed = Watchword(Settings.parse(texts), store=home.auth.world.store, clock=home.clock)
    device.app = changed.app
    answer = await device.refresh()
    assert (answer.status, answer.code) == (401, "session_ended")
