"""Sessions in one cookie, from outside: when a JWT renews itself and when an opaque token is looked up, what a browser
is given on the way, and what neither of them survives.
"""

from __future__ import annotations

import asyncio
import logging
import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.http.asgi import Answer, Header, call
from tests.http.devices import ADA, EVE, KEPT, PASSWORD, Device, House, house, instead
from tests.http.doors import Behind, bearer, behind, break_store, carried, count_loads
from watchword.auth import Watchword
from watchword.core.session import End
from watchword.core.session_token import PREFIX
from watchword.errors import InvalidToken, SessionEnded, TokenExpired, Unavailable
from watchword.flows.follow import poll
from watchword.storage.memory import MemoryStore

HTTP = "http://testserver"
ORIGIN: Header = ("origin", HTTP)
ATTRIBUTES = "Path=/; HttpOnly; SameSite=Lax"
WEEK = 7 * 86_400
MONTH = 30 * 86_400
SET_BY_USE = {"jwt_cookie": WEEK, "session": None}
"""The Max-Age of the cookie that any answer sets after a while; an opaque one has its whole life from the start."""
both = pytest.mark.parametrize("mode", KEPT)
renewing = pytest.mark.parametrize("mode", ["jwt_cookie"])


async def later(door: Behind, span: str) -> None:
    """Time passes while revocations are followed."""
    door.home.clock.travel(span)
    await poll(door.home.auth.world, None)


async def visit(door: Behind, device: Device, method: str = "GET", *headers: Header) -> Answer:
    """A request to the app as the browser sends it, which keeps what comes back."""
    answer = await door.ask(method, "/shut", carried(device), *headers)
    device.keep(answer)
    return answer


def max_age(answer: Answer, name: str) -> int | None:
    """The life of the one cookie that an answer sets; None when it sets none. Its attributes are looked at too."""
    if not answer.cookies:
        return None
    [line] = answer.cookies
    found = re.fullmatch(rf"{name}=[A-Za-z0-9._~-]+; Max-Age=(\d+); {ATTRIBUTES}", line)
    assert found, line
    assert answer.all("cache-control") == ["no-store"]
    return int(found[1])


def count_writes(home: House) -> list[str]:
    """From now on, which sessions were written."""
    written: list[str] = []
    swap = home.auth.world.store.swap_session

    async def counted(before: Any, after: Any) -> bool:
        written.append(after.sid)
        return await swap(before, after)

    instead(home.auth.world.store, "swap_session", counted)
    return written


async def beside(home: House, **changes: Any) -> Behind:
    """Another process over the same database, with other settings if they are given; its feed was just read."""
    world = home.auth.world
    settings = replace(home.auth.settings, **changes)
    auth = Watchword(settings, store=world.store, hasher=world.hasher, clock=world.clock)
    await poll(auth.world, None)
    return Behind(House(auth, home.clock, [], auth.app, home.mode))


async def proved(door: Behind, mode: str) -> Device:
    """Signed in where a CSRF token is demanded."""
    device, auth = door.home.device(mode=mode), door.home.auth
    token, lines = auth.site.forgery.give([], None, door.home.clock.now())
    device.keep(Answer(204, tuple(lines), b""))
    assert (await device.sign_in(headers=[("x-auth-mode", mode), ("x-csrf-token", token)])).status == 200
    return device


# When a cookie is renewed


async def test_a_young_jwt_costs_no_look_at_the_store_and_one_past_half_its_life_is_set_anew() -> None:
    """R45, R11, R10: stateless while young; renewed before it expires, with the session's whole idle time."""
    door = await behind("jwt_cookie")
    device = await door.home.signed_in()
    first, asked = device.access, count_loads(door.home)
    await later(door, "7m")
    assert max_age(await visit(door, device), "auth_token") is None
    assert asked == []
    await later(door, "30s")
    assert max_age(await visit(door, device), "auth_token") == WEEK
    assert (len(asked), device.access != first) == (1, True)
    assert max_age(await visit(door, device), "auth_token") is None, "the new one is young"


async def test_a_jwt_that_expired_days_ago_works_once_more_while_its_session_lives() -> None:
    """R45, DESIGN §5: one request is enough; the app is told who it is, by a principal that is valid now."""
    door = await behind("jwt_cookie")
    device = await door.home.signed_in()
    await later(door, "6d")
    answer = await visit(door, device)
    assert (answer.status, max_age(answer, "auth_token")) == (200, WEEK)
    now = door.home.clock.now() // 1_000_000
    assert door.ran[-1] is not None
    assert (door.ran[-1].issued_at, door.ran[-1].expires_at) == (now, now + 900)
    assert max_age(await visit(door, device), "auth_token") is None
    await later(door, "6d")
    assert (await visit(door, device)).status == 200, "its idle time began anew"


@renewing
async def test_the_cookie_lives_as_long_as_what_is_left_of_the_idle_time(mode: str) -> None:
    """R45, ASVS 7.3.2, attack 31: Max-Age ends with the session, by idling or absolutely."""
    door = await behind(mode, refresh_ttl="1h", session_max="90m")
    device = await door.home.signed_in()
    name = device.access_name
    await later(door, "50m")
    assert max_age(await visit(door, device), name) == 2400, "90 minutes less 50"
    await later(door, "39m")
    assert max_age(await visit(door, device), name) == 60
    await later(door, "1m")
    answer = await visit(door, device)
    assert (answer.status, answer.code, answer.cookies) == (401, "session_ended", [])


async def test_an_opaque_cookie_is_set_for_the_whole_session_and_never_by_mere_use() -> None:
    """R46, promise 1, ASVS 7.3.1: an answer that lands late would undo a step-up; the row alone knows the idle time."""
    door = await behind("session", refresh_ttl="1h", session_max="90m")
    device = door.home.device()
    assert max_age(await device.sign_in(), "session_id") == 5400
    for _ in range(8):
        await later(door, "10m")
        answer = await visit(door, device)
        assert (answer.status, answer.cookies) == (200, [])
    assert max_age(await device.refresh(), "session_id") == 600
    await later(door, "10m")
    assert (await visit(door, device)).code == "session_ended"


@both
async def test_an_answer_that_lands_after_that_of_a_step_up_does_not_undo_it(mode: str) -> None:
    """Promise 1: requests of another tab with the cookie from before; the jar holds what the step-up brought."""
    for wait in ("10s", "8m"):
        door = await behind(mode)
        device = await door.home.signed_in()
        before = door.home.device(jar=dict(device.jar))
        await later(door, wait)
        assert (await device.post("/auth/reauthenticate", {"password": PASSWORD})).status == 200
        for span in ("0s", "1s"):
            await later(door, span)
            for answer in (await visit(door, before), await before.refresh(), await before.get("/auth/me")):
                assert (answer.status, answer.cookies) == (200, [])
            assert (await visit(door, device)).status == 200


async def test_a_good_jwt_that_a_step_up_has_replaced_passes_until_it_runs_out() -> None:
    """Promise 1: past half its life it is not renewed, which is no reason to refuse it; nor does it end anything."""
    door = await behind("jwt_cookie")
    device = await door.home.signed_in()
    before = door.home.device(jar=dict(device.jar))
    assert (await device.post("/auth/reauthenticate", {"password": PASSWORD})).status == 200
    assert (await device.refresh()).status == 200
    for span in ("8m", "6m"):
        await later(door, span)
        for _ in range(2):
            answer = await visit(door, before)
            assert (answer.status, answer.cookies) == (200, [])
            door.home.clock.travel("4s")  # now the database is asked whether the session has ended
    await later(door, "1m")
    assert (await visit(door, before)).code == "invalid_token"
    assert (await visit(door, device)).status == 200


async def test_a_jwt_whose_step_up_was_never_answered_is_set_anew_once_it_has_run_out() -> None:
    """Promise 1: the answer was lost, and there is no newer one in the jar; it must not fall out of it."""
    door = await behind("jwt_cookie")
    device = await door.home.signed_in()
    assert (await device.post("/auth/reauthenticate", {"password": PASSWORD}, keep=False)).status == 200
    for days in (6, 12, 18, 24):
        await later(door, "6d")
        assert max_age(await visit(door, device), "auth_token") == min(7, 30 - days) * 86_400


@both
async def test_past_its_idle_time_the_session_has_ended(mode: str) -> None:
    """ASVS 7.3.1, attack 31: whatever the browser still sends; POST /refresh says the same."""
    door = await behind(mode, refresh_ttl="1h")
    device = await door.home.signed_in()
    await later(door, "1h")
    answer = await visit(door, device)
    assert (answer.status, answer.code) == (401, "session_ended")
    assert (await device.refresh()).code == "session_ended"
    assert (await device.get("/auth/me")).code == "session_ended"
    assert len(door.ran) == 0


async def test_an_opaque_token_is_looked_up_once_in_five_seconds() -> None:
    """R46: DB or cache; a use is noted, and the cookie stays as it is."""
    door = await behind("session")
    device = await door.home.signed_in()
    asked, written = count_loads(door.home), count_writes(door.home)
    for _ in range(10):
        assert max_age(await visit(door, device), "session_id") is None
        await later(door, "1s")
    assert (len(asked), written) == (2, [])
    await later(door, "1m")
    assert max_age(await visit(door, device), "session_id") is None
    assert len(written) == 1


@both
async def test_a_use_is_written_down_at_most_once_a_minute(mode: str) -> None:
    """R46: however many requests there are, and POST /refresh among them."""
    door = await behind(mode, access_ttl="10s")
    device = await door.home.signed_in()
    written = count_writes(door.home)
    for second in range(300):
        await later(door, "1s")
        assert (await visit(door, device)).status == 200
        if second % 10 == 0:
            assert (await device.refresh()).status == 200
    assert len(written) in (4, 5)


async def test_twenty_requests_at_once_past_half_life_all_succeed() -> None:
    """W16, promise 1: tabs and images race for a new cookie; each answer's is good."""
    for wait in ("8m", "3d"):
        door = await behind("jwt_cookie")
        device = await door.home.signed_in()
        await later(door, wait)
        answers = await asyncio.gather(*(door.ask("GET", "/shut", carried(device)) for _ in range(20)))
        assert [answer.status for answer in answers] == [200] * 20
        assert {max_age(answer, "auth_token") for answer in answers} == {WEEK}
        for answer in answers:
            device.keep(answer)
            assert (await visit(door, device)).status == 200


async def test_a_renewal_that_took_long_is_good_all_the_same() -> None:
    """F8: the new token is checked against the clock of now, not of before a database that was busy."""
    door = await behind("jwt_cookie")
    device = await door.home.signed_in()
    await later(door, "1h")
    load = door.home.auth.world.store.load_session

    async def slow(sid: str) -> Any:
        door.home.clock.travel("20s")
        return await load(sid)

    instead(door.home.auth.world.store, "load_session", slow)
    before = door.home.auth.world.store.swap_session

    async def lost(*rows: Any) -> bool:
        instead(door.home.auth.world.store, "swap_session", before)
        return False

    instead(door.home.auth.world.store, "swap_session", lost)
    assert (await visit(door, device)).status == 200


async def test_roles_that_change_while_a_jwt_is_renewed_are_for_the_next_request() -> None:
    """ASVS 8.3.2: never an error in this mode; the token says what was read, and is renewed at once."""
    door = await behind("jwt_cookie")
    device = await door.home.signed_in()
    await later(door, "1h")
    swap = door.home.auth.world.store.swap_session

    async def meanwhile(*rows: Any) -> bool:
        await door.home.auth.users.set_roles(ADA, ["owner"])
        return await swap(*rows)

    instead(door.home.auth.world.store, "swap_session", meanwhile)
    assert (await visit(door, device)).status == 200
    assert (await visit(door, device)).status == 200
    assert door.ran[-1] is not None
    assert door.ran[-1].roles == ("owner",)


# What ends, and what changes


@both
async def test_other_roles_are_there_with_the_next_request(mode: str) -> None:
    """ASVS 8.3.2, W13: gained or lost, known here or elsewhere; nobody is told to refresh."""
    door = await behind(mode)
    device = await door.home.signed_in()
    other = await beside(door.home)
    assert [(await visit(each, device)).status for each in (door, other)] == [200, 200]
    for roles in (["owner"], []):
        await door.home.auth.users.set_roles(ADA, roles)
        assert (await visit(door, device)).status == 200
        assert door.ran[-1] is not None
        assert door.ran[-1].roles == tuple(roles)
        await poll(other.home.auth.world, None)
        assert (await visit(other, device)).status == 200
        assert other.ran[-1] is not None
        assert other.ran[-1].roles == tuple(roles)


@both
async def test_what_another_process_revokes_is_refused_after_the_feed(mode: str) -> None:
    """ASVS 7.4.1, DESIGN §4.3: two processes over one database, whatever either of them has cached."""
    door = await behind(mode)
    device = await door.home.signed_in()
    other = await beside(door.home)
    assert (await visit(other, device)).status == 200
    assert await door.home.auth.sessions.revoke_all(ADA) == 1
    assert (await visit(door, device)).code == "session_ended"
    assert (await visit(other, device)).status == 200, "not told yet"
    await poll(other.home.auth.world, None)
    answer = await visit(other, device)
    assert (answer.status, answer.code, answer.cookies) == (401, "session_ended", [])


@both
async def test_while_revocations_are_unread_the_database_is_asked_once_a_request(mode: str) -> None:
    """DESIGN §4.3: not twice, and with new roles nobody is refused."""
    door = await behind(mode)
    device = await door.home.signed_in()
    assert (await visit(door, device)).status == 200
    door.home.clock.travel("3001ms")
    asked = count_loads(door.home)
    for _ in range(3):
        assert (await visit(door, device)).status == 200
    assert len(asked) == 3
    user = await door.home.auth.users.get(ADA)
    await door.home.auth.world.store.change_roles(user.id, ("owner",), now=door.home.clock.now())
    assert (await visit(door, device)).status == 200
    assert door.ran[-1] is not None
    assert door.ran[-1].roles == ("owner",)
    session = (await door.home.auth.sessions.list(ADA))[0]
    await door.home.auth.world.store.end_session(session.sid, End.REVOKED, now=door.home.clock.now())
    assert (await visit(door, device)).code == "session_ended"


async def test_roles_that_this_process_has_not_heard_of_are_no_error_on_our_own_routes() -> None:
    """ASVS 8.3.2: what reads the row knows better than the cookie, which is renewed."""
    for mode in KEPT:
        home = await house(mode=mode)
        device = await home.signed_in()
        await poll(home.auth.world, None)
        assert (await device.get("/auth/me")).status == 200
        user = await home.auth.users.get(ADA)
        await home.auth.world.store.change_roles(user.id, ("owner",), now=home.clock.now())
        answer = await device.get("/auth/me")
        assert (answer.status, answer.json["user"]["roles"]) == (200, ["owner"])


# Without a database


async def test_without_a_database_a_jwt_passes_unless_it_needs_one() -> None:
    """ASVS 16.5.3: young, and past half its life without renewal; an expired one is a 503; never open."""
    for wait, status in (("0s", 200), ("8m", 200), ("16m", 503), ("6d", 503)):
        door = await behind("jwt_cookie")
        device = await door.home.signed_in()
        await later(door, wait)
        break_store(door.home, lambda: Unavailable(retry_after=1))
        answer = await visit(door, device)
        assert (answer.status, answer.cookies) == (status, [])
        assert len(door.ran) == (status == 200)
        door.home.clock.travel("4s")
        answer = await visit(door, device)
        assert (answer.status, answer.code, answer.get("retry-after")) == (503, "unavailable", "1")
        assert (await door.ask("GET", "/open", carried(device))).status == 200
        assert door.ran[-1] is None, "on a public route nobody is taken for signed in"
        assert (await door.ask()).status == 401


async def test_without_a_database_an_opaque_token_passes_for_its_five_seconds_if_the_feed_is_fresh() -> None:
    """ASVS 16.5.3, R46: then 503; one that was never looked up at once."""
    for seconds, feed, status in (
        *((0, True, 200), (2, True, 200), (4.999, True, 200), (5, True, 503)),
        *((3, False, 200), (3.001, False, 503), (4.999, False, 503)),
    ):
        door = await behind("session")
        device, unseen = await door.home.signed_in(), await door.home.signed_in()
        assert (await visit(door, device)).status == 200
        await later(door, f"{round(seconds * 1000)}ms") if feed else door.home.clock.travel(
            f"{round(seconds * 1000)}ms"
        )
        break_store(door.home, lambda: Unavailable(retry_after=1))
        assert (await visit(door, device)).status == status, (seconds, feed)
        answer = await visit(door, unseen)
        assert (answer.status, answer.code) == (503, "unavailable")


async def test_a_revocation_voids_the_cache_without_a_database_too() -> None:
    """ASVS 7.4.1: what is known to have ended is not 503 but over."""
    door = await behind("session")
    device = await door.home.signed_in()
    assert (await visit(door, device)).status == 200
    await door.home.auth.sessions.revoke_all(ADA)
    break_store(door.home, lambda: Unavailable(retry_after=1))
    assert (await visit(door, device)).code == "session_ended"


# Whose token counts where


@pytest.mark.parametrize("mode", ["cookies", "hybrid", "bearer"])
async def test_a_jwt_of_another_mode_in_this_cookie_is_never_renewed(mode: str) -> None:
    """DESIGN §5: a session that begins in a mode ends in it, so nobody trades 15 minutes for 30 days."""
    door = await behind(f"{mode},jwt_cookie")
    device = await door.home.signed_in(mode=mode)
    planted: Header = ("cookie", f"auth_token={device.access}")
    written, asked = count_writes(door.home), count_loads(door.home)
    for span, status in (("0s", 200), ("8m", 200), ("6m", 200), ("2m", 401), ("1d", 401)):
        await later(door, span)
        answer = await door.ask("GET", "/shut", planted)
        assert (answer.status, answer.cookies) == (status, [])
        refused = await call(door.home.app, "POST", "/auth/refresh", headers=[planted, ORIGIN])
        assert (refused.status, refused.code, refused.cookies) == (401, "token_expired", [])
    assert (written, asked) == ([], []), "its claims tell that it is none of this mode"


async def test_a_jwt_of_this_mode_in_a_header_is_never_renewed() -> None:
    """DESIGN §5: the cookie is its place; a script that got hold of one holds it for its own life at most."""
    door = await behind("jwt_cookie,bearer")
    device = await door.home.signed_in()
    await later(door, "14m")
    answer = await door.ask("GET", "/shut", bearer(device.access))
    assert (answer.status, answer.cookies) == (200, [])
    await later(door, "2m")
    answer = await door.ask("GET", "/shut", bearer(device.access))
    assert (answer.status, answer.code, answer.cookies) == (401, "token_expired", [])
    answer = await door.ask("GET", "/shut", bearer(device.access), carried(device))
    assert (answer.status, answer.cookies) == (401, []), "nor with its cookie beside it"
    assert (await visit(door, device)).status == 200


async def test_one_kind_of_token_in_the_cookie_of_another_opens_nothing() -> None:
    """Attack 19: access, refresh, session and CSRF tokens in every cookie of ours but their own."""
    modes = ("cookies", "jwt_cookie", "session")
    door = await behind(",".join(modes), csrf="token")
    devices = {mode: await proved(door, mode) for mode in modes}
    tokens = {
        "refresh_token": devices["cookies"].held,
        "session_id": devices["session"].access,
        "csrf_token": devices["cookies"].jar["csrf_token"],
    }
    for name in ("access_token", "auth_token", "session_id"):
        for kind, token in tokens.items():
            if kind != name:
                answer = await door.ask("GET", "/shut", ("cookie", f"{name}={token}"))
                assert (answer.status, answer.code, answer.cookies) == (401, "invalid_token", []), (
                    name,
                    kind,
                )
    for jwt in (devices["cookies"].access, devices["jwt_cookie"].access):
        assert (await door.ask("GET", "/shut", ("cookie", f"session_id={jwt}"))).code == "invalid_token"
        assert (await door.ask("GET", "/shut", ("cookie", f"refresh_token={jwt}"))).code == "invalid_token"
    assert door.ran == []


@both
async def test_altered_and_foreign_tokens_are_nobodys(mode: str) -> None:
    """Attacks 19, 20, 37–39: every character; another installation's; a sid; and none of it is written down."""
    door, other = await behind(mode), await behind(mode, secret="Zx9vQ3zL1mW7pR2tY8uB5nC4dF6gH0jK-bE")
    device, stranger = await door.home.signed_in(), await other.home.signed_in()
    token, name = device.access, device.access_name
    await later(door, "1h")
    written = count_writes(door.home)
    altered = [token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :] for at in range(len(token))]
    sid = (await door.home.auth.sessions.list(ADA))[0].sid
    for wrong in [
        *altered,
        token[:-1],
        token + "A",
        stranger.access,
        sid,
        "x",
        PREFIX.decode(),
        "wws_" + "A" * 80,
    ]:
        answer = await door.ask("GET", "/shut", ("cookie", f"{name}={wrong}"))
        assert (answer.status, answer.code, answer.cookies) == (401, "invalid_token", []), wrong
    assert (written, door.ran) == ([], [])
    assert (await visit(door, device)).status == 200


@both
async def test_a_removed_secret_opens_nothing_and_a_listed_one_still_does(mode: str) -> None:
    """Attack 38, ASVS 13.3.4: and in between the cookie moves to the new key by itself."""
    new = "Nq7-tomorrows-secret-4bVcXzLkJhGfDsApOiU"
    door = await behind(mode)
    device = await door.home.signed_in()
    before = door.home.device(jar=dict(device.jar))
    await later(door, "1h")
    two = await beside(door.home, secret=(new, *door.home.auth.settings.secret))
    assert (await visit(two, device)).status == 200
    one = await beside(door.home, secret=(new,))
    assert (await visit(one, device)).status == 200
    assert (await visit(one, before)).code == "invalid_token"


@pytest.mark.parametrize("csrf", ["origin", "token"])
async def test_a_shorter_life_of_access_tokens_signs_nobody_out(csrf: str) -> None:
    """Promise 1, attack 12: a JWT that was given more is not good, but renews; by any request, or as it is asked."""
    door = await behind("jwt_cookie", csrf=csrf)
    devices = [await proved(door, "jwt_cookie") for _ in range(4)]
    await later(door, "1m")
    short = await beside(door.home, access_ttl=timedelta(minutes=5))
    for device, method in zip(devices, ("GET", "POST", "refresh", "logout"), strict=True):
        proof = device.jar["csrf_token"] if csrf == "token" else ""
        headers: list[Header] = [ORIGIN, ("cookie", "; ".join(f"{k}={v}" for k, v in device.jar.items()))]
        headers += [("x-csrf-token", proof)] if proof and method != "GET" else []
        if method in ("GET", "POST"):
            answer = await short.ask(method, "/shut", *headers)
            assert (answer.status, max_age(answer, "auth_token")) == (200, WEEK)
            assert short.ran[-1] is not None
            assert short.ran[-1].expires_at - short.ran[-1].issued_at == 300
        else:
            answer = await call(short.home.app, "POST", f"/auth/{method}", headers=headers)
            assert answer.status == 200
    assert len(await door.home.auth.sessions.list(ADA)) == 3
    with pytest.raises(InvalidToken):
        short.home.auth.authenticate([(b"cookie", f"auth_token={devices[0].access}".encode())], method="GET")


@both
async def test_two_cookies_of_our_name_are_none_and_both_are_cleared(mode: str) -> None:
    """Attack 25: and nothing is looked up for either."""
    door = await behind(mode)
    device = await door.home.signed_in()
    name, token = device.access_name, device.access
    await later(door, "1h")
    asked = count_loads(door.home)
    cleared = [f"{name}=; Max-Age=0; {ATTRIBUTES}"]
    for line in (
        f"{name}={token}; {name}=planted",
        f"{name}={token}; {name}={token}",
        f"{name}=; {name}={token}",
    ):
        answer = await door.ask("GET", "/shut", ("cookie", line))
        assert (answer.status, answer.code, answer.cookies) == (401, "invalid_token", cleared)
        answer = await call(door.home.app, "POST", "/auth/refresh", headers=[("cookie", line), ORIGIN])
        assert (answer.status, answer.code, answer.cookies) == (401, "invalid_token", cleared)
    assert asked == []
    assert (await visit(door, device)).status == 200


async def test_tokens_of_two_sign_ins_are_never_mixed() -> None:
    """Attack 32: any two cookies that each claim to be the sign-in are cleared, header and cookie are a conflict;
    expired ones are not renewed on the way."""
    modes = ("cookies", "jwt_cookie", "session", "bearer")
    for wait in ("0s", "1h"):
        door = await behind(",".join(modes), ADA, EVE)
        ada = {mode: await door.home.signed_in(mode=mode) for mode in modes}
        eve = {mode: await door.home.signed_in(EVE, mode=mode) for mode in modes}
        await later(door, wait)
        asked = count_loads(door.home)
        for one in ("cookies", "jwt_cookie", "session"):
            for two in ("cookies", "jwt_cookie", "session"):
                if one != two:
                    line = (
                        f"{ada[one].access_name}={ada[one].access}; {eve[two].access_name}={eve[two].access}"
                    )
                    answer = await door.ask("GET", "/shut", ("cookie", line))
                    assert (answer.status, answer.code) == (401, "invalid_token"), (one, two)
                    names = {text.partition("=")[0] for text in answer.cookies if "Max-Age=0" in text}
                    assert {ada[one].access_name, eve[two].access_name} <= names
        assert asked == []
        for one in ("cookies", "jwt_cookie", "session"):
            answer = await door.ask("GET", "/shut", carried(ada[one]), bearer(eve["bearer"].access))
            assert answer.status == (400 if wait == "0s" else 401), one
        assert door.ran == []
        both_kept = f"auth_token={ada['jwt_cookie'].access}; session_id={eve['session'].access}"
        answer = await call(door.home.app, "POST", "/auth/refresh", headers=[("cookie", both_kept), ORIGIN])
        assert (answer.status, answer.code) == (401, "invalid_token")


@pytest.mark.parametrize("by", ["bearer", "hybrid"])
async def test_a_session_cookie_that_is_nobodys_does_not_shut_out_a_good_header(by: str) -> None:
    """Attack 25: planted, of another key, of a session that is over, replaced by a step-up; a live one conflicts."""
    door = await behind(f"{by},session", ADA, EVE)
    other = await behind("session", secret="Zx9vQ3zL1mW7pR2tY8uB5nC4dF6gH0jK-bE")
    header = bearer((await door.home.signed_in(mode=by)).access)
    ended, idle = [await door.home.signed_in(EVE, mode="session") for _ in range(2)]
    assert (await ended.post("/auth/logout", keep=False)).status == 200
    before = door.home.device(mode="session", jar=dict(idle.jar))
    assert (await idle.post("/auth/reauthenticate", {"password": PASSWORD})).status == 200
    assert (await visit(door, idle)).status == 200
    conflict = await door.ask("GET", "/shut", header, carried(idle))
    assert (conflict.status, conflict.code) == (400, "bad_request")
    await later(door, "1m")
    conflict = await door.ask("GET", "/shut", header, carried(idle))
    assert (conflict.status, conflict.code) == (400, "bad_request")
    good = idle.access
    rubbish = ("x", good[:-1], good[:-4] + "AAAA", ended.access, before.access)
    for wrong in (*rubbish, (await other.home.signed_in()).access):
        cookie: Header = ("cookie", f"session_id={wrong}")
        for method in ("GET", "POST"):
            answer = await door.ask(method, "/shut", header, cookie)
            assert (answer.status, answer.cookies) == (200, []), wrong
        assert (await call(door.home.app, "GET", "/auth/me", headers=[header, cookie])).status == 200
    break_store(door.home, lambda: Unavailable(retry_after=1))
    assert (await door.ask("GET", "/shut", header, ("cookie", f"session_id={ended.access}"))).status == 200
    assert (await door.ask("GET", "/shut", header, ("cookie", f"session_id={before.access}"))).status == 200


@both
async def test_unsafe_methods_of_foreign_pages_are_refused_before_anything_is_looked_up(mode: str) -> None:
    """Attacks 81, 82, 84; ASVS 3.5.1: young, half over, expired; the app's routes and ours."""
    for wait in ("0s", "8m", "1h"):
        door = await behind(mode)
        device = await door.home.signed_in()
        await later(door, wait)
        asked = count_loads(door.home)
        for headers in ((), (("origin", "https://evil.example"),), (("sec-fetch-site", "cross-site"),)):
            for method in ("POST", "PUT", "DELETE", "PATCH"):
                answer = await door.ask(method, "/shut", carried(device), *headers)
                assert (answer.status, answer.code, answer.cookies) == (403, "csrf_rejected", [])
            answer = await door.knock("/shut", carried(device), *headers)
            assert (answer.status, answer.cookies) == (403, [])
            for path in ("/auth/refresh", "/auth/logout", "/auth/logout/all", "/auth/reauthenticate"):
                lines = [carried(device), *headers]
                answer = await call(door.home.app, "POST", path, headers=lines)
                assert (answer.status, answer.code, answer.cookies) == (403, "csrf_rejected", [])
        assert (asked, door.ran) == ([], [])
        assert (await visit(door, device, "POST", ORIGIN)).status == 200


@both
async def test_with_a_csrf_token_demanded_nothing_is_renewed_without_it(mode: str) -> None:
    """R8, R10, attack 86: bound to the session, of an expired JWT too."""
    door = await behind(mode, csrf="token")
    device = await proved(door, mode)
    proof = device.jar["csrf_token"]
    jar: Header = ("cookie", f"{device.access_name}={device.access}; csrf_token={proof}")
    await later(door, "1h")
    asked = count_loads(door.home)
    assert (await door.ask("POST", "/shut", jar, ORIGIN)).code == "csrf_rejected"
    assert (await door.ask("POST", "/shut", jar, ORIGIN, ("x-csrf-token", "x"))).code == "csrf_rejected"
    assert asked == []
    answer = await door.ask("POST", "/shut", jar, ORIGIN, ("x-csrf-token", proof))
    assert (answer.status, max_age(answer, device.access_name)) == (200, SET_BY_USE[mode])


# What an answer carries


@renewing
@pytest.mark.parametrize("status", [200, 204, 304, 404, 500])
async def test_a_new_cookie_is_for_nobodys_cache_whatever_the_app_answers(mode: str, status: int) -> None:
    """Attack 91, ASVS 14.3.2: the app's own Cache-Control gives way, its other headers and cookies stay."""
    door = await behind(mode)
    door.status = status
    door.headers = [
        (b"Cache-Control", b"public, max-age=60"),
        (b"set-cookie", b"theme=dark"),
        (b"x-own", b"1"),
    ]
    device = await door.home.signed_in()
    answer = await visit(door, device)
    assert answer.all("Cache-Control") == ["public, max-age=60"], "nothing renewed, nothing touched"
    await later(door, "1h")
    answer = await visit(door, device)
    assert (answer.status, answer.get("x-own")) == (status, "1")
    assert [*answer.all("cache-control"), *answer.all("Cache-Control")] == ["no-store"]
    assert [line.partition("=")[0] for line in answer.cookies] == ["theme", device.access_name]


@renewing
async def test_a_cookie_that_the_app_sets_by_itself_is_not_set_twice(mode: str) -> None:
    """RFC 6265bis §4.1.1: an app that signs out on a route of its own is not contradicted."""
    door = await behind(mode)
    device = await door.home.signed_in()
    own = f"{device.access_name}=; Max-Age=0; {ATTRIBUTES}"
    door.headers = [(b"set-cookie", own.encode())]
    await later(door, "1h")
    assert (await visit(door, device)).cookies == [own]


@both
async def test_the_jar_is_renewed_by_the_accept_of_a_web_socket(mode: str) -> None:
    """R45, R46, ASVS 4.4.2: a page that only talks over a socket stays signed in."""
    door = await behind(mode)
    device = await door.home.signed_in()
    assert (await door.knock("/shut", carried(device), ORIGIN)).status == 101
    await later(door, "1h")
    answer = await door.knock("/shut", carried(device), ORIGIN)
    assert (answer.status, max_age(answer, device.access_name)) == (101, SET_BY_USE[mode])
    await door.home.auth.sessions.revoke_all(ADA)
    assert (await door.knock("/shut", carried(device), ORIGIN)).code == "session_ended"


@both
async def test_a_public_route_knows_who_is_signed_in(mode: str) -> None:
    """R42: by an expired JWT too, which is renewed there; and anybody else is nobody, not refused."""
    door = await behind(mode)
    device = await door.home.signed_in()
    await later(door, "1h")
    answer = await door.ask("GET", "/open", carried(device))
    assert max_age(answer, device.access_name) == SET_BY_USE[mode]
    assert door.ran[-1] is not None
    await door.home.auth.sessions.revoke_all(ADA)
    for header in (carried(device), ("cookie", f"{device.access_name}=x"), ("cookie", "theme=dark")):
        answer = await door.ask("GET", "/open", header)
        assert (answer.status, answer.cookies) == (200, [])
        assert door.ran.pop() is None


# Our own routes


@both
async def test_refreshing_extends_the_session_and_sets_its_cookie(mode: str) -> None:
    """R9, DESIGN §5: for clients that know but one way to stay signed in."""
    home = await house(mode=mode)
    device = await home.signed_in()
    first = device.access
    home.clock.travel("5d")
    answer = await device.refresh()
    life = WEEK if mode == "jwt_cookie" else MONTH - 5 * 86_400
    assert (answer.status, max_age(answer, device.access_name)) == (200, life)
    assert answer.json == {"expires_in": 900 if mode == "jwt_cookie" else WEEK, "refresh_timeout": 8}
    assert (device.access == first) is (mode == "session")
    home.clock.travel("5d")
    assert (await device.get("/auth/me")).status == 200


@both
async def test_proving_the_password_again_renews_the_cookie_and_opens_what_wants_it(mode: str) -> None:
    """ASVS 7.2.4, 7.5.1: one Set-Cookie, the newest, though the same request was past half of its token's life."""
    door = await behind(mode)
    device = await door.home.signed_in()
    await later(door, "10m")
    assert (await device.delete("/auth/sessions")).code == "reauthentication_required"
    old, copied = device.access, device.access
    await later(door, "10m")
    answer = await device.post("/auth/reauthenticate", {"password": PASSWORD})
    life = WEEK if mode == "jwt_cookie" else MONTH - 1200
    assert (answer.status, max_age(answer, device.access_name)) == (200, life)
    assert device.access != old
    assert (await visit(door, device)).status == 200
    assert door.ran[-1] is not None
    assert door.ran[-1].auth_time == door.home.clock.now() // 1_000_000
    assert (await device.delete("/auth/sessions")).status == 200
    await later(door, "8m")
    assert (await visit(door, device)).status == 200
    await later(door, "20s")
    thief = door.home.device(jar={device.access_name: copied})
    assert (await visit(door, thief)).code == "invalid_token"
    assert (await thief.refresh()).code == "invalid_token"
    assert (await visit(door, device)).status == 200


@both
async def test_a_wrong_password_changes_nothing_about_the_session(mode: str) -> None:
    """ASVS 7.5.1: the cookie may be renewed by the way, auth_time is not."""
    home = await house(mode=mode)
    device = await home.signed_in()
    home.clock.travel("1h")
    answer = await device.post("/auth/reauthenticate", {"password": "wrong password"})
    assert (answer.status, answer.code) == (401, "invalid_credentials")
    assert max_age(answer, device.access_name) == SET_BY_USE[mode]
    assert (await device.delete("/auth/sessions")).code == "reauthentication_required"


@both
@pytest.mark.parametrize("other", ["cookies", "hybrid", "jwt_cookie", "session"])
async def test_signing_in_over_a_session_of_another_mode_replaces_it(mode: str, other: str) -> None:
    """Attack 32, ASVS 7.2.4: it ends, its cookies go, and the jar holds one sign-in; expired JWTs included."""
    for first, second in ((mode, other), (other, mode)):
        for wait in ("0s", "1h"):
            home = await house(ADA, EVE, mode=",".join(dict.fromkeys((mode, other, "bearer"))))
            device = await home.signed_in(mode=first)
            before = home.device(mode=first, jar=dict(device.jar), access_token=device.access_token)
            home.clock.travel(wait)
            device.mode, device.access_token = second, None
            assert (await device.sign_in(EVE)).status == 200
            own = {"cookies": {"access_token", "refresh_token"}, "hybrid": {"refresh_token"}}
            assert set(device.jar) == own.get(second, {device.access_name})
            assert (await device.get("/auth/me")).json["user"]["email"] == EVE
            assert (await before.get("/auth/me")).status == 401
            assert await home.auth.sessions.list(ADA) == []


@both
async def test_signing_in_with_a_foreign_or_planted_cookie_replaces_nobody(mode: str) -> None:
    """Attacks 25, 40: a guess, a sid, two of the name, an access token of another mode."""
    home = await house(ADA, EVE, mode=f"{mode},bearer")
    ada, program = await home.signed_in(mode=mode), await home.signed_in(mode="bearer")
    sid = (await ada.get("/auth/me")).json["session"]["id"]
    name, token = ada.access_name, ada.access
    for line in (
        *(f"{name}={wrong}" for wrong in ("x", sid, token[:-1], program.access, program.held)),
        f"{name}={token}; {name}=x",
    ):
        answer = await home.device(mode=mode).sign_in(EVE, headers=[("x-auth-mode", mode), ("cookie", line)])
        assert answer.status == 200
    assert (await ada.get("/auth/me")).status == 200
    assert (await program.get("/auth/me")).status == 200


@both
@pytest.mark.parametrize("path", ["/auth/logout", "/auth/logout/all"])
async def test_logging_out_ends_the_session_of_an_old_cookie_too(mode: str, path: str) -> None:
    """R7, R47, ASVS 7.4.1: with a JWT that expired days ago; the cookie goes, the server's half with it."""
    door = await behind(mode)
    device = await door.home.signed_in()
    kept = door.home.device(jar=dict(device.jar))
    await later(door, "5d")
    answer = await device.post(path)
    assert (answer.status, answer.json) == (200, {"ok": True, "message": "Logged out"})
    assert answer.cookies == [f"{device.access_name}=; Max-Age=0; {ATTRIBUTES}"]
    assert device.jar == {}
    assert (await visit(door, kept)).code == "session_ended"
    assert (await kept.refresh()).code == "session_ended"
    assert await door.home.auth.sessions.list(ADA) == []


async def test_authenticate_knows_a_jwt_in_its_cookie_and_renews_nothing() -> None:
    """DESIGN §7: for frameworks of their own, without I/O; an opaque token needs a look-up and is not seen."""
    home = await house(mode="jwt_cookie,session")
    device, opaque = await home.signed_in(), await home.signed_in(mode="session")
    await poll(home.auth.world, None)
    asked = count_loads(home)
    headers = [(b"cookie", f"auth_token={device.access}".encode())]
    principal = home.auth.authenticate(headers, method="GET")
    assert principal is not None
    assert principal.amr == ("pwd",)
    assert home.auth.authenticate([(b"cookie", f"session_id={opaque.access}".encode())], method="GET") is None
    home.clock.travel("14m")
    await poll(home.auth.world, None)
    assert home.auth.authenticate(headers, method="GET") is not None
    home.clock.travel("2m")
    await poll(home.auth.world, None)
    with pytest.raises(TokenExpired):
        home.auth.authenticate(headers, method="GET")
    with pytest.raises(InvalidToken):
        home.auth.authenticate([(b"cookie", b"auth_token=x")], method="GET")
    assert asked == []
    await device.refresh()
    headers = [(b"cookie", f"auth_token={device.access}".encode())]
    await home.auth.sessions.revoke_all(ADA)
    with pytest.raises(SessionEnded):
        home.auth.authenticate(headers, method="GET")


# Secrets


@both
async def test_nothing_of_a_token_is_logged_told_or_stored(
    mode: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Attack 96, ASVS 16.2.5, R25: a scan of logs, events, problems, reprs and every row for every token there was."""
    caplog.set_level(logging.DEBUG)
    door = await behind(mode)
    home, device = door.home, door.home.device()
    answers, tokens = [await device.sign_in()], set(device.jar.values())
    for span in ("10s", "8m", "1h", "2d"):
        await later(door, span)
        answers += [await visit(door, device), await device.refresh()]
        answers.append(await device.post("/auth/reauthenticate", {"password": PASSWORD}))
        answers.append(await device.post("/auth/reauthenticate", {"password": "wrong password"}))
        tokens |= set(device.jar.values())
    spoiled = device.access[:-2] + "AA"
    answers.append(await door.ask("GET", "/shut", ("cookie", f"{device.access_name}={spoiled}")))
    answers.append(await device.post("/auth/logout"))
    answers.append(
        await door.ask("GET", "/shut", carried(home.device(jar={device.access_name: max(tokens)})))
    )
    assert len(tokens) >= 5
    store = home.auth.world.store
    assert isinstance(store, MemoryStore)
    told = [caplog.text, repr(home.events), repr(home.auth.site), repr(home.auth.world), repr(vars(store))]
    told += [answer.body.decode() for answer in answers]
    told += [value.decode() for answer in answers for name, value in answer.headers if name != b"set-cookie"]
    for token in {*tokens, spoiled}:
        secret = token.rpartition(".")[2].removeprefix("wws_")[-30:]
        assert not any(secret in text for text in told)
