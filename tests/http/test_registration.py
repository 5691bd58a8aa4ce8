"""Signing up, proving an address and asking for another link, from outside: what each answer holds, in every mode."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.http.asgi import Answer
from tests.http.devices import ADA, MODES, PASSWORD, Device, House, house
from tests.http.test_new_passwords import alike, letters, unusual
from watchword.core.user import Status

NEW, CHOSEN, OTHER = "new.person@example.com", "an entirely new engine", "what a stranger chose"


async def sign_up(device: Device, email: str = NEW, password: str = CHOSEN, **more: Any) -> Answer:
    return await device.post("/auth/register", {"email": email, "password": password} | more)


async def verify(device: Device, token: str | None, password: str | None = None) -> Answer:
    body = {"token": token} | ({} if password is None else {"password": password})
    return await device.post("/auth/email/verify", body)


async def resend(device: Device, email: str = NEW) -> Answer:
    return await device.post("/auth/email/verify/resend", {"email": email})


def tokens(home: House) -> list[str]:
    """Of the links that were sent, newest first."""
    return [payload["token"] for payload in home.mails if "token" in payload]


def count_hashes(home: House) -> list[str]:
    """From now on, what is asked of the hasher, which goes on doing it."""
    calls: list[str] = []
    hasher = home.auth.world.hasher
    for verb in ("hash", "verify"):
        real: Callable[..., Awaitable[Any]] = getattr(hasher, verb)

        async def counted(*of: Any, verb: str = verb, real: Callable[..., Awaitable[Any]] = real) -> Any:
            calls.append(verb)
            return await real(*of)

        setattr(hasher, verb, counted)
    return calls


@pytest.mark.parametrize("mode", MODES)
async def test_who_signs_up_proves_the_address_and_signs_in(mode: str) -> None:
    """DESIGN §5: 202, then `verify_email`, then 200, then tokens as the mode says; nothing before brings any."""
    home = await house(mode=mode)
    device = home.device()
    answer = await sign_up(device, "New.Person@Example.com", username="New.Person")
    assert (answer.status, answer.json, answer.cookies) == (202, {"ok": True}, [])
    answer = await device.sign_in(NEW, CHOSEN)
    assert (answer.status, answer.json, answer.cookies) == (200, {"next": {"step": "verify_email"}}, [])
    answer = await verify(device, tokens(home)[0])
    assert (answer.status, answer.json, answer.cookies) == (200, {"ok": True}, [])
    assert (await device.get("/auth/me")).code == "invalid_token"
    assert (await device.sign_in(NEW, CHOSEN)).status == 200
    user = (await device.get("/auth/me")).json["user"]
    assert (user["email"], user["email_verified"], user["username"]) == (NEW, True, "new.person")
    assert (user["roles"], user["two_factor"]) == ([], False)


@pytest.mark.parametrize("mode", MODES)
async def test_attack_65_signing_up_is_answered_alike_whoever_has_the_address(mode: str) -> None:
    """Attack 65; ASVS 6.3.8: status, body, headers, Set-Cookie and the number of hashes; nor after the fifth mail."""
    home = await house(mode=mode)
    known = [email for email in await unusual(home) if email.endswith("@example.com")]
    calls = count_hashes(home)
    answers, hashes = [], set()
    for email in known:  # free, active, disabled, unverified, without a password
        for _ in range(7):
            calls.clear()
            answers.append(await sign_up(home.device(), email))
            hashes.add(tuple(calls))
    assert len({str(alike(answer)) for answer in answers}) == 1
    assert hashes == {("hash",)}
    assert (answers[0].status, answers[0].json, answers[0].cookies) == (202, {"ok": True}, [])
    assert len(known) == 5
    assert len(home.mails) == 5 * 5


@pytest.mark.parametrize("mode", MODES)
async def test_attack_65_asking_for_another_link_is_answered_alike(mode: str) -> None:
    """Attack 65: for every address and what is none, and no hash for any; a link goes to who waits for it alone."""
    home = await house(mode=mode)
    emails = await unusual(home)
    await sign_up(home.device())
    calls = count_hashes(home)
    answers = [await resend(home.device(), email) for email in (*emails, NEW) for _ in range(7)]
    assert len({str(alike(answer)) for answer in answers}) == 1
    assert (answers[0].status, answers[0].json, answers[0].cookies) == (202, {"ok": True}, [])
    assert calls == []
    assert len(home.mails) == 2 * 5, "to who has signed up, and to who is unverified for another reason"


async def test_attack_65_no_verification_tells_whose_a_link_was() -> None:
    """Attacks 65, 77: used, expired, foreign, malformed and absent tokens are answered alike, whatever comes along."""
    home = await house()
    await sign_up(home.device())
    await sign_up(home.device())
    used, sibling = tokens(home)
    assert (await verify(home.device(), used)).status == 200
    await sign_up(home.device(), "two@example.com")
    late = tokens(home)[0]
    await sign_up(home.device(), "three@example.com")
    user = await home.auth.users.get("three@example.com")
    disabled = tokens(home)[0]
    await home.auth.users.disable(user.id)
    home.clock.travel("30m")
    calls = count_hashes(home)
    bad = (used, sibling, late, disabled, "wwc_" + "A" * 43, "nonsense", "", None)
    answers = [await verify(home.device(), token, given) for token in bad for given in (None, CHOSEN, OTHER)]
    assert len({str(alike(answer)) for answer in answers}) == 1
    assert (answers[0].status, answers[0].code) == (401, "challenge_expired")
    assert calls == []


async def test_attack_75_who_follows_a_strangers_link_does_not_confirm_the_strangers_password() -> None:
    """Attack 75: with a password the link must be of the one who gives it; it stays open for its own."""
    home = await house()
    await sign_up(home.device(), password=OTHER)
    stranger = tokens(home)[0]
    await sign_up(home.device())
    own = tokens(home)[0]
    answer = await verify(home.device(), stranger, CHOSEN)
    assert (answer.status, answer.code, answer.cookies) == (401, "invalid_credentials", [])
    assert (await verify(home.device(), own, CHOSEN)).status == 200
    assert (await home.device().sign_in(NEW, CHOSEN)).status == 200
    assert (await home.device().sign_in(NEW, OTHER)).code == "invalid_credentials"
    assert (await verify(home.device(), stranger, OTHER)).code == "challenge_expired"


async def test_guesses_at_the_password_of_a_link_are_counted_by_link() -> None:
    """ASVS 2.4.1: from however many addresses; and the link alone still does what it says."""
    home = await house(limits="verify=off,register=off")
    await sign_up(home.device())
    token = tokens(home)[0]
    devices = [home.device(address=(f"198.51.100.{n}", 1)) for n in range(12)]
    answers = [await verify(device, token, OTHER) for device in devices]
    assert [answer.code for answer in answers] == ["invalid_credentials"] * 10 + ["rate_limited"] * 2
    assert (await verify(home.device(), token)).status == 200


async def test_five_registrations_an_hour_come_from_one_address() -> None:
    """DESIGN §4.5; attack 68: the sixth is refused before anything is hashed; who chose badly has lost none."""
    home = await house(limits="on")
    calls = count_hashes(home)
    for _ in range(3):
        assert (await sign_up(home.device(), password="password1")).status == 422
    answers = [await sign_up(home.device(), f"{n}@example.com") for n in range(7)]
    assert [answer.status for answer in answers] == [202] * 5 + [429] * 2
    assert answers[5].get("retry-after") is not None
    assert calls == ["hash"] * 5
    elsewhere = home.device(address=("198.51.100.7", 1))
    assert (await sign_up(elsewhere, "6@example.com")).status == 202


async def test_judging_passwords_has_its_own_limit() -> None:
    """ASVS 2.4.1: as it is slow, and comes before the other one."""
    home = await house(limits="on")
    answers = [await sign_up(home.device(), password="password1") for _ in range(22)]
    assert [answer.status for answer in answers] == [422] * 20 + [429] * 2


@pytest.mark.parametrize(
    "more",
    [
        {"is_admin": True},
        {"id": "01"},
        {"email_verified": True},
        {"role": "owner"},
        {"roles": ["owner"]},
        {"status": "active"},
        {"password_hash": "x"},
        {"digest": "x"},
        {"user": {"roles": ["owner"]}},
        {"__proto__": {"roles": ["owner"]}},
        {"Username": "x"},
        {"password": ["x"]},
        {"email": {"$ne": None}},
        {"username": 7},
    ],
)
async def test_attack_74_nothing_else_can_be_assigned(more: dict[str, Any]) -> None:
    """Attack 74; ASVS 15.3.3: refused, and nobody is made."""
    home = await house()
    answer = await home.device().post("/auth/register", {"email": NEW, "password": CHOSEN} | more)
    assert (answer.status, answer.code) == (422, "invalid_request")
    assert len(await home.auth.users.list()) == 1
    assert home.mails == []


@pytest.mark.parametrize(
    "body", ['{"email": "a@example.com", "password": "x", "email": "b@example.com"}', "[]"]
)
async def test_attack_74_what_can_be_read_in_two_ways_is_not_read(body: str) -> None:
    """Attacks 74, 81."""
    home = await house()
    headers = [("content-type", "application/json")]
    answer = await home.device().call("POST", "/auth/register", headers=headers, body=body.encode())
    assert answer.status in (400, 422)
    assert len(await home.auth.users.list()) == 1


@pytest.mark.parametrize(
    ("password", "status"),
    [
        ("long and new " * 78, 202),  # 1,014 bytes
        ("é" * 513, 422),
        ("x" * 1025, 422),
        ("x" * 15_000, 422),
        ("x" * 1_000_000, 413),
        ("long and new \x00 engine", 202),
        ("long and new \ud800 engine", 422),
    ],
)
async def test_attack_71_long_and_odd_passwords_are_whole_or_refused(password: str, status: int) -> None:
    """Attack 71: and what is refused is refused before it is hashed."""
    home = await house()
    calls = count_hashes(home)
    answer = await sign_up(home.device(), password=password)
    assert answer.status == status
    assert calls == (["hash"] if status == 202 else [])
    if status == 202:
        await verify(home.device(), tokens(home)[0], password)
        assert (await home.device().sign_in(NEW, password)).status == 200
        for twin in {password[:72], password[:-1], password.partition("\x00")[0]} - {password}:
            assert (await home.device().sign_in(NEW, twin)).status == 401


@pytest.mark.parametrize("mode", MODES)
async def test_where_sign_up_is_closed_nobody_signs_up_and_who_did_still_verifies(mode: str) -> None:
    """DESIGN §5: 403 `signup_closed` for every address alike, and no hash."""
    home = await house(mode=mode, signup="closed")
    calls = count_hashes(home)
    answers = [await sign_up(home.device(), email) for email in (NEW, ADA)]
    assert len({str(alike(answer)) for answer in answers}) == 1
    assert (answers[0].status, answers[0].code) == (403, "signup_closed")
    assert (calls, home.mails) == ([], [])
    assert (await resend(home.device())).status == 202
    assert (await verify(home.device(), "wwc_" + "A" * 43)).code == "challenge_expired"


@pytest.mark.parametrize("path", ["register", "email/verify", "email/verify/resend"])
async def test_a_page_of_somebody_else_does_none_of_it(path: str) -> None:
    """ASVS 3.5.1: refused before a body is read."""
    home = await house()
    await sign_up(home.device())
    device = home.device()
    device.origin = "https://evil.example"
    body = {"email": NEW, "password": CHOSEN, "token": tokens(home)[0]}
    assert (await device.post(f"/auth/{path}", body)).code == "csrf_rejected"
    assert len(home.mails) == 1


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_attack_77_what_a_scanner_fetches_uses_nothing_up(method: str) -> None:
    """Attack 77: a program that follows links in mail, fragment and all."""
    home = await house()
    await sign_up(home.device())
    token = tokens(home)[0]
    for path in ("/auth/verify", f"/auth/verify?token={token}", "/auth/email/verify"):
        await home.device().call(method, path)
    assert (await verify(home.device(), token)).status == 200


@pytest.mark.parametrize("lines", [[("host", "evil.example")], [("x-forwarded-host", "evil.example")]])
async def test_attack_78_links_are_made_from_the_settings_alone(lines: list[tuple[str, str]]) -> None:
    """Attack 78: whatever a request says of the host that it was sent to; in either mail."""
    home = await house(trusted_proxies="203.0.113.0/24", prefix="/login.v2")
    for email in (NEW, ADA):
        body = {"email": email, "password": CHOSEN}
        answer = await home.device().post("/login.v2/register", body, headers=lines)
        assert answer.status == 202
        home.clock.travel("1s")
    taken, link = await letters(home)
    assert set(re.findall(r"https?://[^\s\"<]+", link)) == {
        f"http://testserver/login.v2/verify#{tokens(home)[0]}"
    }
    assert set(re.findall(r"https?://[^\s\"<]+", taken)) == {"http://testserver/login.v2/forgot"}


async def test_no_answer_holds_the_token_and_no_mail_the_password() -> None:
    """ASVS 14.2.1."""
    home = await house()
    answers = [await sign_up(home.device()), await resend(home.device())]
    for answer in answers:
        assert not any(
            token.encode() in answer.body + repr(answer.headers).encode() for token in tokens(home)
        )
    assert not any(CHOSEN in letter for letter in await letters(home))


async def test_keys_follow_the_settings() -> None:
    """DESIGN §5: `field_case` is for requests too, and these have none that it changes."""
    home = await house(field_case="camel")
    assert (await sign_up(home.device(), username="someone")).json == {"ok": True}
    assert (await resend(home.device())).json == {"ok": True}
    assert (await verify(home.device(), tokens(home)[0], CHOSEN)).json == {"ok": True}


async def test_what_is_told_of_it_names_no_address_and_no_secret() -> None:
    """ASVS 16.2.5: one fact a request, whoever has the address."""
    home = await house()
    await sign_up(home.device())
    await sign_up(home.device())
    await sign_up(home.device(), ADA)
    await resend(home.device())
    await resend(home.device(), "nobody@example.com")
    await verify(home.device(), tokens(home)[0], OTHER)
    await verify(home.device(), tokens(home)[0])
    assert home.told()[1:] == [
        "user_created",
        "registered_again",
        "registered_again",
        "verify_requested",
        "verify_requested",
        "verify_refused",
        "status_changed",
    ]
    told = json.dumps([repr(event) for event in home.events])
    for secret in (NEW, ADA, CHOSEN, PASSWORD, *tokens(home)):
        assert secret not in told
    user = await home.auth.users.get(NEW)
    assert user.status is Status.ACTIVE
    assert [event.user_id for event in home.events if event.name == "verify_requested"] == [user.id, None]
