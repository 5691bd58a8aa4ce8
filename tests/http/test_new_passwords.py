"""Changing a password and setting one by a link, from outside: what each answer holds, in every mode."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import pytest

from tests.http.asgi import Answer
from tests.http.devices import ADA, MODES, PASSWORD, Device, House, add, house, instead
from watchword.core.user import Status
from watchword.flows.outbox import opened

NEW, NEWER = "an entirely new engine", "one more engine, of brass"
LINK = re.compile(r"\S+/reset#\S+")


async def change(device: Device, current: str = PASSWORD, new: str = NEW, **options: Any) -> Answer:
    body = {"current_password": current, "new_password": new}
    return await device.post("/auth/password/change", body, **options)


async def forgot(device: Device, email: str = ADA, **options: Any) -> Answer:
    return await device.post("/auth/password/forgot", {"email": email}, **options)


async def reset(device: Device, token: str | None, new: str = NEW, **options: Any) -> Answer:
    return await device.post("/auth/password/reset", {"token": token, "new_password": new}, **options)


def token_of(home: House) -> str:
    """Of the link that was sent last."""
    token = next(payload["token"] for payload in home.mails if "token" in payload)
    assert isinstance(token, str)
    return token


async def letters(home: House) -> list[str]:
    """Everything that any message says, newest first."""
    rows = await home.auth.world.store.list_mail(before=None, limit=50)
    written = [opened(home.auth.world, row.mail) for row in rows]
    return [letter.subject + letter.text + letter.html for letter in written]


def alike(answer: Answer) -> object:
    """All of an answer but what is new in each."""
    body = json.loads(answer.body)
    body.pop("request_id", None)
    return answer.status, body, sorted(line for line in answer.headers if line[0] != b"content-length")


# --- changing it


@pytest.mark.parametrize("mode", MODES)
async def test_a_change_signs_out_everywhere_but_here(mode: str) -> None:
    """ASVS 6.2.2, 7.4.3; DESIGN §5: answered as the session's mode delivers tokens, which work at once."""
    home = await house(mode=mode)
    here, there = await home.signed_in(), await home.signed_in()
    before = here.access
    answer = await change(here)
    assert answer.status == 200, answer.body
    assert {"expires_in", "refresh_timeout"} <= answer.json.keys()
    assert bool({"access_token", "refresh_token"} & answer.json.keys()) is (mode in ("hybrid", "bearer"))
    assert here.access != before
    assert (await here.get("/auth/me")).status == 200
    assert (await here.refresh()).status == 200
    assert (await there.get("/auth/me")).code == "session_ended"
    assert (await there.refresh()).status == 401
    assert (await home.device().sign_in()).code == "invalid_credentials"
    assert (await home.device().sign_in(password=NEW)).status == 200


@pytest.mark.parametrize("mode", MODES)
async def test_a_change_is_a_proof_of_who_one_is(mode: str) -> None:
    """ASVS 7.5.1: what needs a recent sign-in is open afterwards; the session is the same."""
    home = await house(mode=mode)
    device = await home.signed_in()
    sid = (await device.get("/auth/me")).json["session"]["id"]
    home.clock.travel("10m")
    assert (await device.delete("/auth/sessions")).code == "reauthentication_required"
    assert (await change(device)).status == 200
    assert (await device.delete("/auth/sessions")).status == 200
    assert (await device.get("/auth/me")).json["session"]["id"] == sid


@pytest.mark.parametrize("new", [NEW, "short", "password1"])
async def test_a_wrong_current_password_is_told_before_anything_else(new: str) -> None:
    """ASVS 6.2.3: nothing has changed afterwards."""
    home = await house()
    here, there = await home.signed_in(), await home.signed_in()
    answer = await change(here, "wrong wrong", new)
    assert (answer.status, answer.code) == (401, "invalid_credentials")
    assert answer.cookies == []
    for device in (here, there):
        assert (await device.get("/auth/me")).status == 200
    assert (await home.device().sign_in()).status == 200
    assert home.mails == []


@pytest.mark.parametrize(
    ("new", "code"), [("short", "too_short"), ("password1", "too_common"), (ADA, "too_personal")]
)
async def test_a_new_password_is_judged_and_its_field_named(new: str, code: str) -> None:
    """ASVS 6.2.4, 6.2.11: by a change and by a reset alike; a link survives it."""
    home = await house()
    device = await home.signed_in()
    await forgot(device)
    for answer in (await change(device, new=new), await reset(device, token_of(home), new)):
        assert answer.status == 422
        assert [(error["field"], error["code"]) for error in answer.problem["errors"]] == [
            ("new_password", code)
        ]
    assert (await device.get("/auth/me")).status == 200
    assert (await reset(home.device(), token_of(home))).status == 200


@pytest.mark.parametrize("mode", MODES)
async def test_nobody_changes_a_password_without_a_session(mode: str) -> None:
    """ASVS 6.2.3: whether the current one is right is no matter."""
    home = await house(mode=mode)
    for current in (PASSWORD, "wrong wrong"):
        assert (await change(home.device(), current)).code == "invalid_token"
    assert (await home.device().sign_in()).status == 200


async def test_of_two_changes_at_once_one_holds() -> None:
    """ASVS 6.2.3: the other is told that it does not."""
    home = await house()
    here, there = await home.signed_in(), await home.signed_in()
    answers = await asyncio.gather(change(here, new=NEW), change(there, new=NEWER))
    assert sorted(answer.status for answer in answers) == [200, 401]
    held = NEW if answers[0].status == 200 else NEWER
    assert (await home.device().sign_in(password=held)).status == 200
    assert len(home.mails) == 1


# --- asking for a link


async def unusual(home: House) -> list[str]:
    """Addresses of all sorts of people, and of nobody."""
    disabled, unverified = "disabled@example.com", "unverified@example.com"
    for email in (disabled, unverified):
        await add(home.auth, email)
    await home.auth.users.disable(disabled)
    user = await home.auth.users.get(unverified)
    await home.auth.world.store.change_status(user.id, Status.UNVERIFIED, now=home.clock.now())
    await home.auth.users.create("none@example.com")
    return [
        ADA,
        "nobody@example.com",
        disabled,
        unverified,
        "none@example.com",
        "ada",
        "no address",
        "@",
        "ß\x00",
    ]


@pytest.mark.parametrize("mode", MODES)
async def test_attack_65_every_address_is_answered_alike(mode: str) -> None:
    """Attack 65; ASVS 6.3.8: status, body, headers, Set-Cookie, and no hash for any of them; nor after the fifth."""
    home = await house(mode=mode)
    emails = await unusual(home)

    async def hashed(*_: object) -> str:
        raise AssertionError("a hash would tell by its time")

    for verb in ("hash", "verify", "aside"):
        instead(home.auth.world.hasher, verb, hashed)
    answers = [await forgot(home.device(), email) for email in emails for _ in range(7)]
    assert len({str(alike(answer)) for answer in answers}) == 1
    assert (answers[0].status, answers[0].json, answers[0].cookies) == (202, {"ok": True}, [])
    assert len(home.mails) == 3 * 5


async def test_attack_65_no_reset_tells_whose_a_link_was() -> None:
    """Attacks 65, 77: used, expired, foreign, malformed and absent tokens are answered alike, whatever comes along."""
    home = await house()
    await forgot(home.device())
    used = token_of(home)
    await forgot(home.device())
    sibling = token_of(home)
    assert (await reset(home.device(), used)).status == 200
    await forgot(home.device())
    late = token_of(home)
    home.clock.travel("30m")
    tokens = (used, sibling, late, "wwc_" + "A" * 43, "nonsense", "", None)
    answers = [await reset(home.device(), token, new) for token in tokens for new in (NEWER, "short")]
    assert len({str(alike(answer)) for answer in answers}) == 1
    assert (answers[0].status, answers[0].code) == (401, "challenge_expired")


@pytest.mark.parametrize(
    "lines",
    [
        [("host", "evil.example")],
        [("host", "testserver"), ("host", "evil.example")],
        [("x-forwarded-host", "evil.example"), ("x-forwarded-proto", "https")],
        [("forwarded", "host=evil.example;proto=https")],
        [("x-original-host", "evil.example"), ("x-forwarded-prefix", "/evil")],
    ],
)
@pytest.mark.parametrize("url", ["http://testserver", "https://login.example.com:8443"])
async def test_attack_78_links_are_made_from_the_settings_alone(
    lines: list[tuple[str, str]], url: str
) -> None:
    """Attack 78: whatever a request says of the host that it was sent to."""
    home = await house(url=url, trusted_proxies="203.0.113.0/24")
    assert (await forgot(home.device(), headers=lines)).status == 202
    [letter] = await letters(home)
    found = set(re.findall(r"https?://[^\s\"<]+", letter))
    assert found == {f"{url}/auth/reset#{token_of(home)}"}
    assert "evil" not in letter


async def test_the_token_stands_behind_the_fragment_and_in_no_answer() -> None:
    """ASVS 14.2.1, attack 77: not in a path or a query; and whoever asks for the link is not told."""
    home = await house(prefix="/login.v2")
    device = home.device()
    answer = await device.post("/login.v2/password/forgot", {"email": ADA})
    [letter] = await letters(home)
    token = token_of(home)
    assert f"http://testserver/login.v2/reset#{token}" in letter
    assert token.encode() not in answer.body + repr(answer.headers).encode()


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_attack_77_what_a_scanner_fetches_uses_nothing_up(method: str) -> None:
    """Attack 77: a program that follows links in mail, fragment and all."""
    home = await house()
    await forgot(home.device())
    token = token_of(home)
    for path in ("/auth/reset", f"/auth/reset?token={token}", "/auth/password/reset"):
        await home.device().call(method, path)
    assert (await reset(home.device(), token)).status == 200


# --- using it


@pytest.mark.parametrize("mode", MODES)
async def test_a_link_ends_all_sessions_and_opens_none(mode: str) -> None:
    """ASVS 7.4.3, 6.4.3; attack 76: no token and no cookie in the answer; the user signs in as usual."""
    home = await house(mode=mode)
    there = await home.signed_in()
    await forgot(home.device())
    device = home.device()
    answer = await reset(device, token_of(home))
    assert (answer.status, answer.json, answer.cookies) == (200, {"ok": True}, [])
    assert (await device.get("/auth/me")).code == "invalid_token"
    assert (await there.get("/auth/me")).code == "session_ended"
    assert (await there.refresh()).status == 401
    assert (await home.device().sign_in()).code == "invalid_credentials"
    assert (await home.device().sign_in(password=NEW)).status == 200


@pytest.mark.parametrize("mode", MODES)
async def test_a_link_skips_no_second_step(mode: str) -> None:
    """ASVS 6.4.3; attack 59."""
    home = await house(mode=mode, two_factor="required")
    await forgot(home.device())
    assert (await reset(home.device(), token_of(home))).status == 200
    device = home.device()
    answer = await device.sign_in(password=NEW)
    assert answer.json["next"]["step"] == "two_factor"
    assert (await device.get("/auth/me")).status == 401
    assert (await device.enter(home.code)).status == 200


async def test_attack_76_what_was_begun_before_a_reset_is_over() -> None:
    """Attack 76: whatever challenge of the user was open."""
    home = await house(two_factor="required")
    waiting = home.device()
    await waiting.sign_in()
    code = home.code
    await forgot(home.device())
    await reset(home.device(), token_of(home))
    assert (await waiting.enter(code)).code == "challenge_expired"


async def test_attack_77_of_uses_at_once_one_counts() -> None:
    """Attack 77."""
    home = await house()
    await forgot(home.device())
    token = token_of(home)
    answers = await asyncio.gather(*(reset(home.device(), token, f"{NEW} {n}") for n in range(8)))
    statuses = [answer.status for answer in answers]
    assert sorted(statuses) == [200] + [401] * 7
    answer = await home.device().sign_in(password=f"{NEW} {statuses.index(200)}")
    assert answer.status == 200


@pytest.mark.parametrize("how", ["a change", "another reset"])
async def test_attack_77_no_link_is_good_after_a_new_password(how: str) -> None:
    """Attack 77."""
    home = await house()
    device = await home.signed_in()
    await forgot(device)
    link = token_of(home)
    if how == "a change":
        await change(device)
    else:
        await forgot(device)
        await reset(device, token_of(home))
    assert (await reset(home.device(), link, NEWER)).code == "challenge_expired"
    assert (await home.device().sign_in(password=NEW)).status == 200


async def test_attack_75_a_stranger_who_signed_up_with_ones_address_is_out() -> None:
    """Attack 75: it takes a mail to that address, and then their password signs nobody in."""
    home = await house()
    email = (await unusual(home))[3]
    assert (await home.device().sign_in(email)).json["next"]["step"] == "verify_email"
    await forgot(home.device(), email)
    await reset(home.device(), token_of(home))
    assert (await home.device().sign_in(email)).code == "invalid_credentials"
    answer = await home.device().sign_in(email, NEW)
    assert answer.json["user"]["email_verified"] is True


async def test_the_owner_is_told_of_either_and_no_mail_signs_anybody_in() -> None:
    """ASVS 6.3.7: from what and from where."""
    home = await house()
    await change(await home.signed_in())
    home.clock.travel("1s")
    await forgot(home.device())
    home.clock.travel("1s")
    await reset(home.device(), token_of(home), NEWER)
    by_reset, link, by_change = await letters(home)
    for letter in (by_reset, by_change):
        assert "was changed" in letter
        assert "Firefox on Linux" in letter
        assert "203.0.113.7" in letter
        assert not LINK.search(letter)
    assert LINK.search(link)
    for letter in (by_reset, link, by_change):
        assert NEW not in letter
        assert NEWER not in letter


@pytest.mark.parametrize("path", ["change", "forgot", "reset"])
async def test_a_page_of_somebody_else_does_none_of_it(path: str) -> None:
    """ASVS 3.5.1: refused before a body is read."""
    home = await house()
    device = await home.signed_in()
    device.origin = "https://evil.example"
    body = {"current_password": PASSWORD, "new_password": NEW, "email": ADA, "token": "x"}
    assert (await device.post(f"/auth/password/{path}", body)).code == "csrf_rejected"
    assert home.mails == []


async def test_keys_follow_the_settings() -> None:
    """DESIGN §5: `field_case` is for requests too."""
    home = await house(field_case="camel")
    device = home.device()
    await forgot(device)
    body = {"token": token_of(home), "newPassword": NEW}
    assert (await device.post("/auth/password/reset", body)).status == 200
