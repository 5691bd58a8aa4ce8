"""Signing in, from outside: by either name, in every mode, over an older session, and what a refusal gives away."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.http.asgi import Answer, call
from tests.http.devices import (
    ADA,
    BROWSER,
    EVE,
    MODES,
    PASSWORD,
    Device,
    House,
    add,
    house,
    instead,
    refresh_token_of,
)
from watchword.core.user import Status

USER = {"id", "email", "email_verified", "username", "roles", "two_factor", "created_at"}
SESSION = {"id", "created_at", "expires_at", "auth_time"}
EVERYWHERE = {"expires_in", "refresh_timeout"}
BODIES = {
    "cookies": EVERYWHERE,
    "hybrid": EVERYWHERE | {"access_token", "token_type"},
    "bearer": EVERYWHERE | {"access_token", "token_type", "refresh_token"},
    "jwt_cookie": EVERYWHERE,
    "session": EVERYWHERE,
}
COOKIES = {
    "cookies": ["access_token", "refresh_token"],
    "hybrid": ["refresh_token"],
    "bearer": [],
    "jwt_cookie": ["auth_token"],
    "session": ["session_id"],
}


def names(answer: Answer) -> list[str]:
    return [line.partition("=")[0] for line in answer.cookies]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("path", ["/auth/login", "/auth/login/credentials"])
@pytest.mark.parametrize(
    "login", [{"email": ADA}, {"username": "ada"}, {"email": "ADA@Example.COM"}, {"username": "Ada"}]
)
async def test_signing_in_answers_by_the_table_of_modes(mode: str, path: str, login: dict[str, str]) -> None:
    """DESIGN §5: which token travels where; user and session in the body of every mode."""
    home = await house(mode=mode)
    device = home.device()
    answer = await device.post(path, login | {"password": PASSWORD})
    assert answer.status == 200
    assert answer.json.keys() == BODIES[mode] | {"user", "session"}
    assert names(answer) == COOKIES[mode]
    assert answer.json["user"].keys() == USER
    assert answer.json["session"].keys() == SESSION
    assert answer.json["user"]["email"] == ADA
    assert (await device.get("/auth/me")).json["user"] == answer.json["user"]


@pytest.mark.parametrize("mode", MODES)
async def test_every_answer_that_renews_tokens_has_the_same_shape(mode: str) -> None:
    """DESIGN §5: expires_in and refresh_timeout in each; tokens in the place of the mode and nowhere else."""
    home = await house(mode=mode, access_ttl="10m", rotation_window="10s")
    device = await home.signed_in()
    for answer in (
        await device.refresh(),
        await device.post("/auth/reauthenticate", {"password": PASSWORD}),
    ):
        assert answer.json.keys() == BODIES[mode]
        assert names(answer) == COOKIES[mode]
        seconds = 7 * 86_400 if mode == "session" else 600
        assert (answer.json["expires_in"], answer.json["refresh_timeout"]) == (seconds, 4)
        assert answer.json.get("token_type", "Bearer") == "Bearer"


async def test_the_time_to_give_a_refresh_up_follows_the_window() -> None:
    """DESIGN §4.1: 40 % of it; 8 s when there is none."""
    for window, seconds in (("20s", 8), ("1s", 0.4), ("0s", 8), ("7s", 2.8), ("1ms", 0.0004)):
        home = await house(rotation_window=window)
        assert (await home.device().sign_in()).json["refresh_timeout"] == seconds


@pytest.mark.parametrize("mode", BROWSER)
async def test_no_token_that_travels_by_cookie_is_in_any_body(mode: str) -> None:
    """ASVS 3.3.5: a scan of every answer's body and other headers for the bytes of every token there was."""
    home = await house(mode=mode)
    device = home.device()
    answers, tokens = [], set()
    for step in (
        device.sign_in,
        device.refresh,
        lambda: device.post("/auth/reauthenticate", {"password": PASSWORD}),
        lambda: device.get("/auth/me"),
        lambda: device.get("/auth/sessions"),
        lambda: device.get("/auth/openapi.json"),
        lambda: device.delete("/auth/sessions"),
        lambda: device.refresh("wwr_" + "A" * 80, keep=False),
        lambda: device.post("/auth/logout"),
    ):
        answers.append(await step())  # type: ignore[no-untyped-call]
        tokens |= set(device.jar.values())
        home.clock.travel("21s")
    assert len(tokens) >= {"cookies": 4, "session": 2}.get(mode, 3)
    for answer in answers:
        others = [value for name, value in answer.headers if name != b"set-cookie"]
        for token in tokens:
            signature = token.rpartition(".")[2].encode()
            assert signature not in answer.body
            assert not any(signature in value for value in others)


async def test_instants_are_utc_in_rfc_3339() -> None:
    """DESIGN §5, whole seconds with a Z."""
    home = await house(mode="bearer")
    device = await home.signed_in()
    told = (await device.get("/auth/me")).json
    instants = [told["user"]["created_at"], *(told["session"][name] for name in SESSION - {"id"})]
    for text in instants:
        assert datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).year > 2000
    now = home.clock.now() // 1_000_000
    week = datetime.fromisoformat(told["session"]["expires_at"]).timestamp() - now
    assert 604799 <= week <= 604800


async def test_the_mode_is_chosen_at_sign_in_and_never_changed() -> None:
    """DESIGN §5: X-Auth-Mode counts there alone, so that no script turns a cookie session into tokens in a body."""
    home = await house(mode=",".join(MODES))
    for mode in MODES:
        device = home.device(mode=mode)
        assert (await device.sign_in()).json.keys() == BODIES[mode] | {"user", "session"}
        for other in MODES:
            headers = [("x-auth-mode", other)]
            answer = await device.refresh(headers=headers)
            assert answer.json.keys() == BODIES[mode]
            answer = await device.post("/auth/reauthenticate", {"password": PASSWORD}, headers=headers)
            assert (answer.json.keys(), names(answer)) == (BODIES[mode], COOKIES[mode])


async def test_the_first_of_the_enabled_modes_is_the_default() -> None:
    """A client that says nothing gets what the settings name first; others are refused."""
    for modes, first in (("bearer,cookies", "bearer"), ("hybrid,bearer", "hybrid"), ("cookies", "cookies")):
        home = await house(mode=modes)
        answer = await home.device(mode=first).sign_in(headers=[])
        assert answer.json.keys() == BODIES[first] | {"user", "session"}


async def refusals(home: House, device: Device) -> dict[str, Answer]:
    """All kinds of sign-ins that fail."""
    disabled = await add(home.auth, "disabled@example.com")
    await home.auth.users.disable(disabled.email)
    await home.auth.users.create("nopassword@example.com")
    unverified = await add(home.auth, "unverified@example.com")
    await home.auth.world.store.change_status(unverified.id, Status.UNVERIFIED, now=home.clock.now())
    tries: dict[str, tuple[Any, str]] = {
        "wrong password": (ADA, "wrong password"),
        "wrong password by username": ("ada", "wrong password"),
        "unknown address": ("nobody@example.com", PASSWORD),
        "unknown username": ("nobody", PASSWORD),
        "no address": ("@@", PASSWORD),
        "disabled, right password": (disabled.email, PASSWORD),
        "disabled, wrong password": (disabled.email, "wrong password"),
        "no password set": ("nopassword@example.com", PASSWORD),
        "unverified, wrong password": (unverified.email, "wrong password"),
        "right but for case": (ADA, PASSWORD.upper()),
        "right but for a space": (ADA, PASSWORD + " "),
    }
    return {name: await device.sign_in(login, password) for name, (login, password) in tries.items()}


@pytest.mark.parametrize("mode", MODES)
async def test_no_refusal_tells_an_unknown_account_from_a_wrong_password(mode: str) -> None:
    """Attack 65, ASVS 6.3.8: status, headers in their order and body are the same bytes, but for the request id."""
    home = await house(mode=mode)
    answers = await refusals(home, home.device())

    def outside(answer: Answer) -> Any:
        body = answer.body.replace(answer.problem["request_id"].encode(), b"-")
        return answer.status, answer.headers, body

    wanted = outside(answers["wrong password"])
    assert wanted[0] == 401
    assert {name: outside(answer) for name, answer in answers.items()} == dict.fromkeys(answers, wanted)


async def test_every_refusal_costs_one_hash() -> None:
    """Attack 65: the same work for known, unknown, disabled, unverified and without a password."""
    home = await house()
    verified: list[str | None] = []
    verify = home.auth.world.hasher.verify

    async def counted(digest: str | None, password: str) -> bool:
        verified.append(digest)
        return await verify(digest, password)

    instead(home.auth.world.hasher, "verify", counted)
    answers = await refusals(home, home.device())
    assert len(verified) == len(answers)


async def test_only_who_knows_the_password_learns_that_the_address_is_unverified() -> None:
    """DESIGN §4.5: the next step is named, and there is no session."""
    home = await house(EVE)
    user = await home.auth.users.get(EVE)
    await home.auth.world.store.change_status(user.id, Status.UNVERIFIED, now=home.clock.now())
    answer = await home.device().sign_in(EVE)
    assert (answer.status, answer.json, answer.cookies) == (200, {"next": {"step": "verify_email"}}, [])
    assert (await home.device().sign_in(EVE, "wrong password")).code == "invalid_credentials"


@pytest.mark.parametrize("mode", BROWSER)
async def test_signing_in_again_in_the_same_browser_replaces_the_session(mode: str) -> None:
    """Attacks 32, 79, ASVS 7.2.4: new sid; the old one ends at once, whoever signs in."""
    home = await house(ADA, EVE, mode=mode)
    for who in (ADA, EVE):
        device = await home.signed_in()
        before = home.device(jar=dict(device.jar), access_token=device.access_token)
        first = (await device.get("/auth/me")).json["session"]["id"]
        await device.sign_in(who)
        told = (await device.get("/auth/me")).json
        assert told["user"]["email"] == who
        assert told["session"]["id"] != first
        assert (await before.get("/auth/me")).code == "session_ended"
        sids = [row.sid for row in await home.auth.sessions.list(ADA)]
        assert first not in sids


async def test_a_wrong_password_over_a_session_leaves_it_alone() -> None:
    """Somebody who fails to sign in at my desk does not sign me out."""
    home = await house(mode="cookies")
    device = await home.signed_in()
    assert (await device.sign_in(ADA, "wrong password")).status == 401
    assert (await device.get("/auth/me")).status == 200
    assert (await device.refresh()).status == 200


@pytest.mark.parametrize("mode", ["cookies", "hybrid"])
async def test_a_refresh_under_way_during_a_sign_in_is_told_to_come_back(mode: str) -> None:
    """DESIGN §4.1: 409 inside the window, as the jar holds the new token by then; session_ended afterwards."""
    home = await house(mode=mode)
    device = await home.signed_in()
    under_way = device.held
    await device.sign_in()
    answer = await device.refresh(under_way, keep=False)
    assert (answer.status, answer.code, answer.get("retry-after")) == (409, "refresh_superseded", "1")
    assert answer.cookies == []
    assert (await device.refresh()).status == 200
    home.clock.travel("20s")
    answer = await device.refresh(under_way, keep=False)
    assert (answer.status, answer.code) == (401, "session_ended")
    assert (await device.refresh()).status == 200


async def test_a_stolen_jar_cannot_end_the_session_of_somebody_else_by_signing_in() -> None:
    """Attack 40: what is replaced is the session of a genuine refresh token, nothing that a sid or a guess names."""
    home = await house(ADA, EVE, mode="cookies")
    ada = await home.signed_in()
    forged = "wwr_" + "A" * 80
    sid = (await ada.get("/auth/me")).json["session"]["id"]
    for jar in ({"refresh_token": forged}, {"refresh_token": sid}, {"access_token": ada.access}):
        eve = home.device(jar=dict(jar))
        assert (await eve.sign_in(EVE)).status == 200
    assert (await ada.get("/auth/me")).status == 200


async def test_signing_in_for_a_program_leaves_the_browser_alone() -> None:
    """A bearer session lives in another place than the jar that came along."""
    home = await house(mode="cookies,bearer")
    browser = await home.signed_in(mode="cookies")
    program = home.device(mode="bearer", jar=dict(browser.jar))
    answer = await program.sign_in(headers=[("x-auth-mode", "bearer"), ("origin", "http://testserver")])
    assert (answer.status, answer.cookies) == (200, [])
    assert (await browser.get("/auth/me")).status == 200
    assert len(await home.auth.sessions.list(ADA)) == 2


async def test_two_sign_ins_are_two_sessions() -> None:
    """ASVS 7.2.4: each its own sid, each ended by itself."""
    home = await house(mode="bearer")
    one, two = await home.signed_in(), await home.signed_in()
    assert (await one.get("/auth/me")).json["session"]["id"] != (await two.get("/auth/me")).json["session"][
        "id"
    ]
    await one.post("/auth/logout", {"refresh_token": one.held})
    assert (await one.get("/auth/me")).status == 401
    assert (await two.get("/auth/me")).status == 200


async def test_a_password_is_taken_as_it_was_typed() -> None:
    """ASVS 6.2.8, attack 71: long, with spaces, emoji and NUL; nothing is cut, and é is é however it was composed."""
    home = await house(mode="bearer")
    for number, (password, typed, wrong) in enumerate(
        [
            ("correct horse " * 6 + "end", "correct horse " * 6 + "end", "correct horse " * 6 + "enD"),
            ("nul\0inside it", "nul\0inside it", "nul"),
            (" leading and trailing ", " leading and trailing ", "leading and trailing"),
            (
                "\U0001f511 in \U0001f30d!" * 9,
                "\U0001f511 in \U0001f30d!" * 9,
                "\U0001f511 in \U0001f30d!" * 8,
            ),
            ("caf\u00e9 noir au lait", "cafe\u0301 noir au lait", "cafe noir au lait"),
        ]
    ):
        email = f"user{number}@example.com"
        await home.auth.users.create(email, password)
        assert (await home.device().sign_in(email, typed)).status == 200
        assert (await home.device().sign_in(email, wrong)).status == 401


async def test_an_access_token_carries_no_personal_data() -> None:
    """ASVS 14.1.1: its payload is public; and sub, sid, amr and roles say what guards need."""
    home = await house(mode="bearer")
    device = await home.signed_in()
    payload = device.access.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert set(claims) == {
        *("iss", "aud", "client_id", "sub", "sid", "iat", "exp", "jti", "roles", "amr", "auth_time"),
    }
    assert claims["amr"] == ["pwd"]
    assert not any(mark in json.dumps(claims) for mark in ("@", "example"))
    assert claims["exp"] - claims["iat"] == 900


async def test_no_access_token_outlives_its_session() -> None:
    """ASVS 7.3.2: the last one before session_max is shorter, and its answer and cookie say so."""
    home = await house(mode="cookies", refresh_ttl="1h", session_max="1h")
    device = await home.signed_in()
    home.clock.travel("55m")
    answer = await device.refresh()
    assert answer.status == 200
    assert answer.json["expires_in"] <= 300
    home.clock.travel("5m")
    home.clock.travel("6s")
    assert (await device.get("/auth/me")).status == 401
    assert device.jar


async def test_the_login_routes_answer_a_forwarded_host_with_nothing_of_it() -> None:
    """Attack 78: whatever a header says, documents and cookies name the configured address."""
    home = await house()
    headers = [
        ("x-forwarded-host", "evil.example"),
        ("forwarded", "host=evil.example"),
        ("x-forwarded-proto", "https"),
        ("content-type", "application/json"),
    ]
    body = json.dumps({"email": ADA, "password": PASSWORD}).encode()
    for host in ("evil.example", "testserver"):
        for sent, status in ((body, 200), (b"{}", 422)):
            answer = await call(home.app, "POST", "/auth/login", headers=headers, body=sent, host=host)
            assert answer.status == status
            assert b"evil" not in answer.body
            assert b"evil" not in b"".join(value for _, value in answer.headers)


async def test_sign_ins_are_told_as_events_with_who_and_where() -> None:
    """ASVS 16.3.1: success, failure, failure of an unknown login; never the login itself or the password."""
    home = await house(mode="bearer")
    device = home.device()
    home.events.clear()
    await device.sign_in()
    await device.sign_in(ADA, "wrong password")
    await device.sign_in("nobody@example.com")
    assert home.told() == ["signed_in", "sign_in_failed", "sign_in_failed"]
    user = await home.auth.users.get(ADA)
    assert [event.user_id for event in home.events] == [user.id, user.id, None]
    assert {event.ip for event in home.events} == {"203.0.113.7"}
    assert PASSWORD not in repr(home.events)
    assert "nobody" not in repr(home.events)
    assert refresh_token_of(await device.sign_in()) not in repr(home.events)
