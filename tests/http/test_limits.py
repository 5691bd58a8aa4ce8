"""Rate limits from outside: what is counted, before what, for whom; and who gets in all the same."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest

from tests.http.asgi import Answer
from tests.http.devices import ADA, BROWSER, EVE, MODES, ROTATING, Device, House, build, house, instead
from watchword.auth import Watchword
from watchword.errors import Unavailable
from watchword.flows.follow import poll
from watchword.rates import Rate
from watchword.settings import Settings
from watchword.storage.memory_limiter import MemoryLimiter
from watchword.storage.standby_limiter import StandbyLimiter

WRONG = "not her password"
NOBODY = "nobody@example.com"
TIGHT = "login=1000/m,login_account=3/h,login_device=2/h"


def hashes(home: House) -> list[str]:
    """What the hasher will have been asked."""
    calls: list[str] = []
    verify = home.auth.world.hasher.verify

    async def noted(digest: str | None, password: str) -> bool:
        calls.append(password)
        return await verify(digest, password)

    instead(home.auth.world.hasher, "verify", noted)
    return calls


async def guesses(device: Device, number: int, email: str = ADA, **options: Any) -> list[int]:
    return [(await device.sign_in(email, WRONG, **options)).status for _ in range(number)]


async def outcome(device: Device, email: str = ADA) -> str:
    answer = await device.sign_in(email)
    return "in" if answer.status == 200 else answer.code


def limited(answer: Answer, seconds: int) -> None:
    assert (answer.status, answer.code, answer.get("retry-after")) == (429, "rate_limited", str(seconds))
    assert answer.problem["retry_after"] == seconds
    assert answer.cookies == []


async def test_ten_sign_ins_a_minute_from_an_address_and_one_more_each_six_seconds() -> None:
    """ASVS 2.4.1, 6.3.1."""
    home = await house(limits="on")
    device = home.device()
    assert await guesses(device, 10) == [401] * 10
    limited(await device.sign_in(), 6)
    assert home.told()[-1] == "rate_limited"
    home.clock.travel("6s")
    assert await outcome(device) == "in"
    limited(await device.sign_in(), 6)


@pytest.mark.parametrize("path", ["/auth/login", "/auth/login/credentials"])
async def test_of_a_hundred_guesses_at_once_ten_are_hashed(path: str) -> None:
    """Attack 68. ASVS 2.3.2."""
    home = await house(limits="on")
    calls, device = hashes(home), home.device()
    body = {"email": ADA, "password": WRONG}
    answers = await asyncio.gather(*(device.post(path, body, keep=False) for _ in range(100)))
    assert len(calls) == 10
    assert sorted(answer.status for answer in answers) == [401] * 10 + [429] * 90


async def test_a_right_password_makes_no_address_whole_again() -> None:
    """Attack 67."""
    home = await house(ADA, EVE, limits="on")
    thief = home.device()
    assert await guesses(thief, 9) == [401] * 9
    assert await outcome(thief, EVE) == "in"
    limited(await thief.sign_in(ADA, WRONG), 6)


async def test_another_address_is_not_concerned_and_one_of_the_same_64_is() -> None:
    """Attack 89."""
    home = await house(limits="login_account=1000/h")
    assert 429 in await guesses(home.device(address=("2001:db8:0:7::1", 1)), 11)
    limited(await home.device(address=("2001:db8:0:7:ffff::2", 1)).sign_in(), 6)
    assert await outcome(home.device(address=("2001:db8:0:8::1", 1))) == "in"
    assert await outcome(home.device(address=("192.0.2.1", 1))) == "in"


async def test_a_forwarded_address_counts_from_a_trusted_proxy_alone() -> None:
    """Attack 89: an address made up for each guess is no new budget."""
    home = await house(limits="on")
    made_up = [[("x-forwarded-for", f"198.51.100.{n}")] for n in range(11)]
    answers = [await home.device().sign_in(ADA, WRONG, headers=headers) for headers in made_up]
    limited(answers[-1], 6)
    home = await house(limits="on", trusted_proxies="203.0.113.7")
    answers = [await home.device().sign_in(ADA, WRONG, headers=headers) for headers in made_up]
    assert [answer.status for answer in answers] == [401] * 11


@pytest.mark.parametrize("email", [ADA, NOBODY, "disabled@example.com", "no address at all"])
async def test_the_budget_of_an_account_tells_nobody_whether_there_is_one(email: str) -> None:
    """Attacks 51, 65: from as many addresses as there are guesses."""
    home = await house(ADA, "disabled@example.com", limits="on")
    await home.auth.users.disable("disabled@example.com")
    calls = hashes(home)
    statuses = [
        (await home.device(address=(f"192.0.2.{n}", 1)).sign_in(email, WRONG)).status for n in range(25)
    ]
    assert statuses == [401] * 20 + [429] * 5
    assert len(calls) == 20
    limited(await home.device(address=("192.0.2.99", 1)).sign_in(email, WRONG), 180)


async def test_however_a_login_is_spelt_it_is_one_account() -> None:
    home = await house(limits="login=1000/m")
    spelt = [ADA, ADA.upper(), ADA.title(), "Ada@EXAMPLE.com"]
    statuses = [(await home.device().sign_in(spelt[n % 4], WRONG)).status for n in range(21)]
    assert statuses == [401] * 20 + [429]


async def test_all_sign_ins_together_have_a_limit() -> None:
    home = await house(limits="login_all=5/s")
    for n in range(5):
        await home.device(address=(f"192.0.2.{n}", 1)).sign_in(f"{n}@example.com", WRONG)
    limited(await home.device().sign_in(), 1)
    home.clock.travel("1s")
    assert await outcome(home.device()) == "in"


@pytest.mark.parametrize("email", [ADA, NOBODY])
async def test_all_who_forgot_their_password_have_a_limit_that_tells_nothing(email: str) -> None:
    """Attacks 55, 65: from as many addresses as there are requests; asked before anybody is looked up."""
    home = await house(limits="forgot_all=5/s")

    async def forgot(number: int) -> Answer:
        device = home.device(address=(f"192.0.2.{number}", 1))
        return await device.post("/auth/password/forgot", {"email": email})

    assert [(await forgot(n)).status for n in range(5)] == [202] * 5
    before = len(home.mails)
    looked_up: list[str] = []
    instead(home.auth.world.store, "find_user", looked_up.append)
    limited(await forgot(5), 1)
    assert (len(home.mails), looked_up) == (before, [])


async def test_a_guess_that_is_refused_by_one_limit_spends_no_other() -> None:
    """A flood from one address does not lock an account."""
    home = await house(limits="on")
    assert (await guesses(home.device(), 500)).count(429) == 490
    assert await outcome(home.device(address=("192.0.2.1", 1))) == "in"


# --- known devices


@pytest.mark.parametrize("mode", BROWSER)
async def test_a_browser_that_signs_in_again_is_no_news_to_its_owner(mode: str) -> None:
    """ASVS 6.3.5: with its `device` cookie, from another network, after signing out; another browser there is."""
    home = await house(mode=mode, limits="on")
    mine = await home.signed_in()
    await mine.post("/auth/logout")
    mine.address = ("198.51.100.7", 1)
    await mine.sign_in()
    assert home.mails == []
    await home.signed_in(address=("198.51.100.8", 1), user_agent="Safari")
    assert [said["ip"] for said in home.mails] == ["198.51.100.8"]


async def test_a_browser_stays_known_through_its_second_step() -> None:
    """ASVS 6.3.5."""
    home = await house(two_factor="required", limits="on")
    mine = home.device()
    for network in (1, 2):
        mine.address = (f"192.0.{network}.1", 1)
        await mine.sign_in()
        assert (await mine.post("/auth/login/2fa", {"code": home.code})).status == 200
        await mine.post("/auth/logout")
    assert all("code" in said for said in home.mails)


@pytest.mark.parametrize("mode", BROWSER)
async def test_who_has_a_known_device_signs_in_while_somebody_exhausts_the_account(mode: str) -> None:
    """Attack 66; ASVS 6.1.1, 8.2.4."""
    home = await house(mode=mode, limits=TIGHT)
    owner = await home.signed_in()
    await owner.post("/auth/logout")
    assert "device" in owner.jar
    stranger = home.device(address=("198.51.100.9", 40_000))
    assert 429 in await guesses(stranger, 1000)
    assert await outcome(home.device()) == "rate_limited"
    assert await outcome(owner) == "in"


async def test_a_known_device_has_a_budget_of_its_own_for_failures_alone() -> None:
    home = await house(limits=TIGHT)
    owner = await home.signed_in()
    for _ in range(5):  # each makes it a new device
        assert await guesses(owner, 1) == [401]
        assert await outcome(owner) == "in"
    assert await guesses(owner, 3) == [401, 401, 429]
    assert await outcome(home.device()) == "in"  # that of the account is untouched


@pytest.mark.parametrize("mode", BROWSER)
async def test_a_device_that_is_known_to_one_user_is_not_known_to_another(mode: str) -> None:
    home = await house(ADA, EVE, mode=mode, limits=TIGHT)
    eve = await home.signed_in(EVE)
    assert await guesses(eve, 4, ADA) == [401, 401, 401, 429]


async def test_a_spelling_or_a_forgery_of_the_cookie_is_no_device() -> None:
    """Else each spelling would be another budget."""
    home = await house(limits=TIGHT)
    owner = await home.signed_in()
    token = owner.jar["device"]
    assert 429 in await guesses(home.device(), 5)
    for forged in (
        token + "=",
        token[:-1] + ("A" if token[-1] != "A" else "B"),
        token[:-4],
        "A" * len(token),
        "",
    ):
        stranger = home.device()
        stranger.jar["device"] = forged
        assert await outcome(stranger) == "rate_limited", forged
    twice = home.device()
    cookies = [("cookie", f"device={token}; device={token}")]
    limited(await twice.sign_in(headers=[("x-auth-mode", "cookies"), *cookies]), 1200)


async def test_a_known_device_does_not_get_past_the_limit_of_an_address() -> None:
    home = await house(limits="login_device=1000/h")
    owner = await home.signed_in()
    assert await guesses(owner, 10) == [401] * 9 + [429]


async def test_the_cookie_of_a_device_comes_with_a_whole_sign_in_and_not_before() -> None:
    home = await house(two_factor="required", smtp_url="smtp://localhost", limits="on")
    device = home.device()
    await device.sign_in()
    assert "device" not in device.jar
    answer = await device.enter(home.code)
    [line] = [line for line in answer.cookies if line.startswith("device=")]
    assert line.partition("; ")[2] == "Max-Age=15552000; Path=/; HttpOnly; SameSite=Lax"


async def test_without_limits_or_without_a_jar_there_is_no_such_cookie() -> None:
    assert "device" not in (await (await house(limits="off")).signed_in()).jar
    assert (await (await house(mode="bearer", limits="on")).signed_in()).jar == {}


async def test_the_cookie_of_a_device_is_no_reason_to_take_a_program_for_a_forger() -> None:
    """It authenticates nothing: a program without Origin that keeps its jar signs in again after it has signed out."""
    home = await house(limits="on")
    program = home.device(origin=None)
    assert await outcome(program) == "in"
    program.jar = {"device": program.jar["device"]}
    assert await outcome(program) == "in"


# --- the other routes


async def test_codes_have_a_limit_an_address_before_any_login_is_looked_up() -> None:
    """ASVS 2.4.1: codes tried and codes asked for are counted together."""
    home = await house(two_factor="required", smtp_url="smtp://localhost", limits="codes=4/m")
    stranger = home.device()
    stranger.jar["two_factor_auth"] = "wwc_" + "A" * 43
    for _ in range(2):
        assert (await stranger.enter("000000")).code == "challenge_expired"
        assert (await stranger.resend()).code == "challenge_expired"
    limited(await stranger.enter("000000"), 15)
    limited(await stranger.resend(), 15)
    elsewhere = home.device(address=("192.0.2.1", 1))
    await elsewhere.sign_in()
    assert (await elsewhere.enter(home.code)).status == 200


@pytest.mark.parametrize("mode", MODES)
async def test_proving_it_again_has_the_accounts_limit_in_a_budget_that_strangers_cannot_spend(
    mode: str,
) -> None:
    """Attack 66; ASVS 6.3.1."""
    home = await house(mode=mode, limits=TIGHT)
    owner = await home.signed_in()
    calls = hashes(home)
    assert 429 in await guesses(home.device(), 10)
    calls.clear()
    for status in (401, 401, 401, 429):
        assert (await owner.post("/auth/reauthenticate", {"password": WRONG})).status == status
    assert len(calls) == 3
    assert (await owner.get("/auth/me")).status == 200


@pytest.mark.parametrize("mode", MODES)
async def test_a_session_is_refreshed_so_often_and_no_oftener_and_lives_on(mode: str) -> None:
    home = await house(mode=mode, limits="refresh=3/m")
    device, other = await home.signed_in(), await home.signed_in()
    for _ in range(3):
        assert (await device.refresh()).status == 200
    held = device.held
    limited(await device.refresh(), 20)
    assert (await other.refresh()).status == 200
    home.clock.travel("20s")
    assert device.held == held
    assert (await device.refresh()).status == 200


@pytest.mark.parametrize("mode", ROTATING)
async def test_who_knows_a_sessions_id_alone_cannot_spend_its_refreshes(mode: str) -> None:
    """A token's tag is looked at first."""
    home = await house(mode=mode, limits="refresh=3/m")
    device = await home.signed_in()
    forged = device.held[:-5] + ("AAAAA" if not device.held.endswith("AAAAA") else "BBBBB")
    for _ in range(10):
        assert (await device.refresh(forged, keep=False)).code == "invalid_token"
    assert (await device.refresh()).status == 200


# --- what holds for all


class Broken:
    """Implements `ports.Limiter`: one that is gone."""

    async def take(self, asked: Sequence[tuple[str, Rate]], *, now: int) -> int | None:
        raise Unavailable(retry_after=1)


async def test_without_its_limiter_nobody_is_let_in_and_nobody_is_signed_out() -> None:
    """ASVS 16.5.2, 16.5.3: what guards against guessing fails closed, what needs no other machine goes on."""
    home = await house(limits="on")
    device = await home.signed_in()
    calls = hashes(home)
    object.__setattr__(home.auth.world, "limiter", Broken())
    for path, body in (
        ("/auth/login", {"email": ADA, "password": WRONG}),
        ("/auth/login/2fa", {"code": "000000"}),
        ("/auth/reauthenticate", {"password": WRONG}),
    ):
        answer = await device.post(path, body)
        assert (answer.status, answer.code, answer.get("retry-after")) == (503, "unavailable", "1"), path
    assert calls == []
    assert (await device.refresh()).status == 200
    assert (await device.get("/auth/me")).status == 200


async def test_while_redis_is_silent_people_sign_in_and_the_server_stays_ready() -> None:
    """F5: readiness is about what would be refused, and nothing is."""
    home = await house(limits="on")
    world = home.auth.world
    object.__setattr__(
        world, "limiter", StandbyLimiter(Broken(), MemoryLimiter(), begins=lambda: None, ends=lambda: None)
    )
    await poll(world, None)
    assert await guesses(home.device(), 3) == [401] * 3
    assert await outcome(home.device()) == "in"
    assert (await home.device().get("/auth/health/ready")).status == 200


async def test_limits_that_are_off_are_off() -> None:
    home = await house(limits="off")
    assert await guesses(home.device(), 60) == [401] * 60


def test_redis_counts_where_there_is_one_else_the_store() -> None:
    def limiter(**texts: str) -> str:
        given = {"secret": "Kx3vQ9zL7mW2pR8tY5uB1nC6dF4gH0jS-aE"} | texts
        return type(Watchword(Settings.parse(given)).world.limiter).__name__

    assert limiter(database_url="sqlite:///here.db") == "SqliteStore"
    assert limiter(database_url="memory:") == "MemoryLimiter"
    assert limiter(database_url="sqlite:///here.db", redis_url="redis://127.0.0.1/0") == "StandbyLimiter"


async def test_no_event_and_no_answer_tells_which_account_was_guessed_at() -> None:
    auth, _, events = build(limits="login=1/m")
    home = House(auth, auth.world.clock, events, auth.app, "cookies")  # type: ignore[arg-type]
    await guesses(home.device(), 2, NOBODY)
    [event] = [event for event in events if event.name == "rate_limited"]
    assert (event.user_id, event.ip, event.detail) == (None, "203.0.113.7", "login")
    assert NOBODY not in json.dumps(str(events))


async def test_an_address_that_has_had_enough_costs_the_shared_limiter_nothing() -> None:
    """Attack 72: new logins from one address would each leave a row, and wait for one that everybody shares."""
    home = await house(limits="on")
    object.__setattr__(home.auth.world, "near_limiter", MemoryLimiter())  # as beside a database or Redis
    asked: list[int] = []
    take = home.auth.world.limiter.take

    async def noted(keys: Sequence[tuple[str, Rate]], *, now: int) -> int | None:
        asked.append(len(keys))
        return await take(keys, now=now)

    instead(home.auth.world.limiter, "take", noted)
    device = home.device()
    for number in range(40):
        await device.sign_in(f"nobody{number}@example.com", WRONG)
    assert len(asked) == 10


async def test_a_sign_in_takes_of_an_addresss_budget_once() -> None:
    """Where all limits are of this process there is one place to ask."""
    home = await house(limits="login=3/m")
    counted = list[str]()
    take = home.auth.world.limiter.take

    async def noted(keys: Sequence[tuple[str, Rate]], *, now: int) -> int | None:
        counted.extend(key for key, _ in keys)
        return await take(keys, now=now)

    instead(home.auth.world.limiter, "take", noted)
    assert home.auth.world.near_limiter is home.auth.world.limiter
    assert await guesses(home.device(), 1) == [401]
    assert len(counted) == len(set(counted)) == 3, "address, account, everybody"


@pytest.mark.parametrize(("near", "left"), [(False, 2), (True, 0)], ids=["one process", "a database"])
async def test_what_another_limit_refuses_costs_an_address_its_tries_in_the_process_alone(
    near: bool, left: int
) -> None:
    """Attack 72: else one address could have a database asked without end about accounts that are locked."""
    home = await house(limits="login=4/m,login_account=2/h")
    if near:
        object.__setattr__(home.auth.world, "near_limiter", MemoryLimiter())
    device = home.device()
    assert await guesses(device, 4) == [401, 401, 429, 429]
    assert (await guesses(device, 3, NOBODY)).count(401) == left
    object.__setattr__(
        home.auth.world, "near_limiter", home.auth.world.limiter
    )  # another process, the same database
    assert (await guesses(device, 2, EVE)).count(401) == (2 - left)


async def test_links_are_asked_for_twenty_times_an_hour_by_an_address_and_taken_ten_times_a_minute() -> None:
    """Attack 55; ASVS 6.1.1, 6.3.4: neither mail nor the judging of new passwords is anybody's to have without end."""
    home = await house(limits="on")
    device = home.device()
    asked = [
        (await device.post("/auth/password/forgot", {"email": f"{number}@example.com"})).status
        for number in range(21)
    ]
    assert asked == [202] * 20 + [429]
    body = {"token": "x" * 43, "new_password": "another long way to Samarkand"}
    taken = [(await device.post("/auth/password/reset", body)).status for _ in range(11)]
    assert taken[-1] == 429
    assert 429 not in taken[:-1]
