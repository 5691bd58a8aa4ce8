"""One's own account from outside: proving who one is by a code, deleting it, moving it to another address."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.http.asgi import Answer
from tests.http.devices import ADA, EVE, MODES, PASSWORD, Device, House, house, instead
from watchword.errors import Unavailable
from watchword.flows.follow import poll

NEW = "augusta@example.com"
CODE = "/auth/reauthenticate/code"


async def prove(device: Device, **body: Any) -> Answer:
    return await device.post("/auth/reauthenticate", body)


async def change(device: Device, email: str = NEW) -> Answer:
    return await device.post("/auth/email/change", {"email": email})


async def confirm(device: Device, token: str) -> Answer:
    return await device.post("/auth/email/verify", {"token": token})


def link(home: House) -> str:
    token = next(payload["token"] for payload in home.mails if "token" in payload)
    assert isinstance(token, str)
    return token


def alike(answer: Answer) -> object:
    """All of an answer but what is new in each."""
    body = json.loads(answer.body)
    body.pop("request_id", None)
    return answer.status, body, sorted(line for line in answer.headers if line[0] != b"content-length")


# --- by a code


@pytest.mark.parametrize("mode", MODES)
async def test_a_code_opens_what_needs_a_recent_sign_in(mode: str) -> None:
    """DESIGN §5, ASVS 7.5.1: answered as the session's mode delivers tokens, which work at once."""
    home = await house(mode=mode)
    device = await home.signed_in()
    home.clock.travel("6m")
    await device.refresh()
    assert (await device.delete("/auth/sessions")).code == "reauthentication_required"
    asked = await device.post(CODE)
    assert (asked.status, asked.json, asked.cookies) == (202, {"ok": True, "expires_in": 600}, [])
    answer = await prove(device, code=home.code)
    assert answer.status == 200, answer.body
    assert {"expires_in", "refresh_timeout"} <= answer.json.keys()
    assert bool({"access_token", "refresh_token"} & answer.json.keys()) is (mode in ("hybrid", "bearer"))
    assert (await device.delete("/auth/sessions")).status == 200
    [session] = await home.auth.sessions.list(ADA)
    assert session.amr == ("pwd", "otp")


@pytest.mark.parametrize("mode", MODES)
async def test_a_code_of_another_session_is_worth_nothing(mode: str) -> None:
    """Attack 54: of the same user on another device, and of another user."""
    home = await house(ADA, EVE, mode=mode)
    here, there, eve = await home.signed_in(), await home.signed_in(), await home.signed_in(EVE)
    await here.post(CODE)
    code = home.code
    for device in (there, eve):
        assert (await prove(device, code=code)).code == "challenge_expired"
    assert (await home.device().post("/auth/reauthenticate", {"code": code})).code == "invalid_token"
    assert (await prove(here, code=code)).status == 200
    assert (await prove(here, code=code)).code == "challenge_expired"


@pytest.mark.parametrize(
    "body", [{}, {"password": PASSWORD, "code": "123456"}, {"password": None, "code": None}]
)
async def test_one_proof_is_given_and_no_more(body: dict[str, Any]) -> None:
    """DESIGN §5: password, or code."""
    home = await house()
    device = await home.signed_in()
    answer = await prove(device, **body)
    assert (answer.status, answer.code) == (422, "invalid_request")


async def test_the_refusals_of_a_code_are_those_of_a_second_step() -> None:
    """DESIGN §4.7; attacks 52, 55, 62."""
    home = await house()
    device = await home.signed_in()
    assert (await prove(device, code="123456")).code == "challenge_expired"
    await device.post(CODE)
    again = await device.post(CODE)
    assert (again.status, again.code, again.get("retry-after")) == (429, "rate_limited", "30")
    wrong = f"{(int(home.code) + 1) % 1_000_000:06d}"
    for _ in range(5):
        assert (await prove(device, code=wrong)).code == "code_invalid"
    answer = await prove(device, code=home.code)
    assert (answer.status, answer.code) == (429, "too_many_attempts")
    assert int(answer.get("retry-after") or 0) > 0
    assert (await prove(device, password=PASSWORD)).status == 200, "the password has a budget of its own"


@pytest.mark.parametrize("mode", MODES)
async def test_mailbox_and_stolen_session_do_not_turn_the_second_step_off(mode: str) -> None:
    """Attack 59: the step's own channel proves nothing; the password does. ASVS 6.4.4."""
    home = await house(mode=mode, two_factor="optional")
    device = await home.signed_in()
    factor = (await device.post("/auth/factors", {"method": "email"})).json["factor"]["id"]
    home.clock.travel("6m")
    await device.refresh()
    before = len(home.mails)
    assert (await device.post(CODE)).code == "forbidden"
    assert (await prove(device, code="123456")).code == "forbidden"
    assert len(home.mails) == before
    assert (await device.delete(f"/auth/factors/{factor}")).code == "reauthentication_required"
    assert (await prove(device, password=PASSWORD)).status == 200
    assert (await device.delete(f"/auth/factors/{factor}")).status == 200


# --- an end


@pytest.mark.parametrize("mode", MODES)
async def test_who_deletes_themselves_is_gone(mode: str) -> None:
    """DESIGN §5: every device, at once; the jar is empty; nothing of the account is left but the mail that tells."""
    home = await house(ADA, EVE, mode=mode, limits="on")
    here, there, eve = await home.signed_in(), await home.signed_in(), await home.signed_in(EVE)
    answer = await here.delete("/auth/me")
    assert (answer.status, answer.json) == (200, {"ok": True})
    assert answer.get("clear-site-data") == '"cache"'
    assert here.jar == {}
    assert (await there.get("/auth/me")).status == 401
    assert (await there.refresh()).status == 401
    assert (await home.device().sign_in()).code == "invalid_credentials"
    assert (await eve.get("/auth/me")).status == 200
    assert home.told().count("user_deleted") == 1
    [event] = [event for event in home.events if event.name == "user_deleted"]
    assert event.ip == "203.0.113.7"
    assert home.mails[0] == {"device": "Firefox on Linux", "ip": "203.0.113.7"}


@pytest.mark.parametrize("mode", ["cookies", "jwt_cookie"])
async def test_access_tokens_die_on_other_processes_too(mode: str) -> None:
    """DESIGN §4.3: the revocations outlive the user's row."""
    home = await house(mode=mode)
    device = await home.signed_in()
    sid = (await device.get("/auth/me")).json["session"]["id"]
    assert (await device.delete("/auth/me")).status == 200
    other = (await house(mode=mode)).auth
    instead(other.world.store, "read_revocations", home.auth.world.store.read_revocations)
    await poll(other.world, None)
    assert other.world.revocations.ended(sid)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("what", ["delete", "change"])
async def test_both_need_a_recent_sign_in(mode: str, what: str) -> None:
    """DESIGN §5, ASVS 7.5.1; attack 76."""
    home = await house(mode=mode)
    device = await home.signed_in()
    home.clock.travel("6m")
    await device.refresh()
    answer = await (device.delete("/auth/me") if what == "delete" else change(device))
    assert (answer.status, answer.code) == (401, "reauthentication_required")
    assert home.mails == []
    assert (await device.get("/auth/me")).status == 200


async def test_a_database_that_is_away_deletes_nobody() -> None:
    """ASVS 16.5.3: 503, the jar as it was."""
    home = await house()
    device = await home.signed_in()
    jar = dict(device.jar)

    async def away(*_: Any, **__: Any) -> Any:
        raise Unavailable(retry_after=1)

    instead(home.auth.world.store, "delete_own_user", away)
    assert (await device.delete("/auth/me")).status == 503
    assert device.jar == jar


# --- another address


@pytest.mark.parametrize("mode", MODES)
async def test_an_account_moves_to_another_address(mode: str) -> None:
    """DESIGN §5, attack 76: asked for here, confirmed from anywhere; this session stays and no other."""
    home = await house(mode=mode)
    here, there = await home.signed_in(), await home.signed_in()
    answer = await change(here)
    assert (answer.status, answer.json, answer.cookies) == (202, {"ok": True}, [])
    assert (await here.get("/auth/me")).json["user"]["email"] == ADA
    done = await confirm(home.device(), link(home))
    assert (done.status, done.json, done.cookies) == (200, {"ok": True}, [])
    user = (await here.get("/auth/me")).json["user"]
    assert (user["email"], user["email_verified"]) == (NEW, True)
    assert (await there.get("/auth/me")).code == "session_ended"
    assert (await home.device().sign_in()).code == "invalid_credentials"
    assert (await home.device().sign_in(NEW)).status == 200
    assert (await confirm(home.device(), link(home))).code == "challenge_expired"


async def test_nothing_tells_whose_an_address_is() -> None:
    """Attack 65: free, taken, and at the end of the budget."""
    home = await house(ADA, EVE)
    device = await home.signed_in()
    answers = [await change(device, email) for email in (NEW, EVE, NEW, EVE, NEW)]
    assert len({str(alike(answer)) for answer in answers}) == 1
    refused = [await change(device, email) for email in (NEW, EVE)]
    assert {answer.code for answer in refused} == {"rate_limited"}
    assert len({str(alike(answer)) for answer in refused}) == 1


async def test_a_link_that_is_over_reads_like_any_other() -> None:
    """Attack 62: unknown, used, replaced, taken meanwhile, and of a session that has ended."""
    home = await house()
    device, stranger = await home.signed_in(), home.device()
    await change(device)
    replaced = link(home)
    await change(device, "second@example.com")
    taken = link(home)
    await home.auth.users.create("second@example.com", PASSWORD)
    answers = [await confirm(stranger, token) for token in ("wwc_" + "A" * 43, replaced, taken)]
    other = await home.signed_in()
    await change(other, "third@example.com")
    await other.post("/auth/logout", {"refresh_token": other.held} if other.mode == "bearer" else None)
    answers.append(await confirm(stranger, link(home)))
    assert {answer.code for answer in answers} == {"challenge_expired"}
    assert len({str(alike(answer)) for answer in answers}) == 1
    assert (await device.get("/auth/me")).json["user"]["email"] == ADA


async def test_camel_case_changes_nothing_here() -> None:
    """DESIGN §5: keys of one word have one spelling."""
    home = await house(field_case="camel")
    device = await home.signed_in()
    assert (await device.post(CODE)).json.keys() == {"ok", "expiresIn"}
    assert (await change(device)).status == 202
    assert (await device.delete("/auth/me")).json == {"ok": True}


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({}, "email", "missing"),
        ({"email": ""}, "email", "too_short"),
        ({"email": "a" * 321}, "email", "too_long"),
        ({"email": ["a@b.example"]}, "email", "wrong_type"),
        ({"email": "nobody"}, "email", "invalid_email"),
        ({"email": "a\0@b.example"}, "email", "invalid_email"),
        ({"email": ADA}, "email", "unchanged"),
        ({"email": NEW, "email_verified": True}, "email_verified", "unknown_field"),
        ({"email": NEW, "user_id": "x"}, "user_id", "unknown_field"),
    ],
)
async def test_a_body_that_names_no_address_changes_nothing(body: Any, field: str, code: str) -> None:
    """Attacks 69, 74."""
    home = await house()
    device = await home.signed_in()
    answer = await device.post("/auth/email/change", body)
    assert [(error["field"], error["code"]) for error in answer.problem["errors"]] == [(field, code)]
    assert home.mails == []


@pytest.mark.parametrize("body", [{"code": "123456"}, {"email": EVE}])
async def test_asking_for_a_code_takes_no_body(body: Any) -> None:
    """Attack 74: whose it is says the session alone."""
    home = await house(ADA, EVE)
    device = await home.signed_in()
    assert (await device.post(CODE, body)).code == "invalid_request"
    assert (await device.post(CODE, {})).status == 202
    assert len(home.mails) == 1
