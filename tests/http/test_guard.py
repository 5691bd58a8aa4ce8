"""The guard's own rules, in front of a plain ASGI app: which token counts, what is refused, what is asked of whom."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from tests.http.asgi import call, handshake
from tests.http.devices import ADA, EVE, MODES, House, build, house, instead
from tests.http.doors import Behind, bearer, behind, break_store, carried, count_loads
from watchword.core.revocation import STALE_AFTER
from watchword.core.session import End, Principal
from watchword.errors import Problem, Unavailable
from watchword.flows.follow import poll
from watchword.http import guard
from watchword.http.guard import SCOPE_KEY

HTTP = "http://testserver"
UNSAFE = ("POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "PROPFIND", "get", "")


async def test_anonymous_is_refused_with_a_problem_that_no_cache_keeps() -> None:
    """RFC 6750 §3.1: no credentials, so no error parameter; ASVS 14.3.2, 14.2.2."""
    door = await behind()
    answer = await door.ask()
    assert (answer.status, answer.code) == (401, "invalid_token")
    assert answer.get("www-authenticate") == "Bearer"
    assert answer.get("cache-control") == "no-store"
    assert answer.problem["type"] == f"{HTTP}/auth/errors#invalid_token"
    assert door.ran == []


@pytest.mark.parametrize("mode", MODES)
async def test_a_live_session_passes_and_the_app_is_told_who_it_is(mode: str) -> None:
    """The principal is in the scope, and nothing about it was asked of the database."""
    door = await behind(mode)
    device = await door.home.signed_in()
    answer = await door.ask("GET", "/shut", carried(device))
    assert (answer.status, answer.body) == (200, b"ran")
    principal = door.ran[0]
    assert principal is not None
    assert (await door.home.auth.users.get(ADA)).id == principal.id
    assert principal.amr == ("pwd",)


async def test_an_answer_to_head_has_no_body() -> None:
    """RFC 9110 §9.3.2, with the length that GET would have had."""
    door = await behind()
    answer = await door.ask("HEAD")
    assert (answer.status, answer.body) == (401, b"")
    assert int(answer.get("content-length") or 0) > 100


async def test_an_expired_token_is_told_on_private_routes_and_ignored_on_public_ones() -> None:
    """The client refreshes on any 401; a public page is never closed to who was signed in before."""
    door = await behind()
    device = await door.home.signed_in()
    door.home.clock.travel("15m")
    assert (await door.ask("GET", "/shut", bearer(device.access))).status == 200, "inside the leeway"
    door.home.clock.travel("5s")
    await poll(door.home.auth.world, None)
    answer = await door.ask("GET", "/shut", bearer(device.access))
    assert (answer.status, answer.code) == (401, "token_expired")
    assert 'error="invalid_token"' in (answer.get("www-authenticate") or "")
    assert (await door.ask("GET", "/open", bearer(device.access))).status == 200
    assert door.ran[-1] is None


@pytest.mark.parametrize("mode", MODES)
async def test_a_revoked_session_is_refused_by_this_process_at_once(mode: str) -> None:
    """Attack 21, ASVS 7.4.1: no poll and no clock in between."""
    door = await behind(mode)
    device = await door.home.signed_in()
    assert (await door.ask("GET", "/shut", carried(device))).status == 200
    logout = {"refresh_token": device.held} if mode == "bearer" else None
    await device.post("/auth/logout", logout, keep=False)
    answer = await door.ask("GET", "/shut", carried(device))
    assert (answer.status, answer.code) == (401, "session_ended")
    assert (await door.ask("GET", "/open", carried(device))).status == 200
    assert door.ran[-1] is None


ENDINGS: dict[str, Callable[[House, str], Any]] = {
    "disabled": lambda home, sid: home.auth.users.disable(ADA),
    "password": lambda home, sid: home.auth.users.set_password(ADA, "another long way home"),
    "deleted": lambda home, sid: home.auth.users.delete(ADA),
    "revoked": lambda home, sid: home.auth.sessions.revoke(sid),
    "all revoked": lambda home, sid: home.auth.sessions.revoke_all(ADA),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("how", ENDINGS)
async def test_whatever_ends_a_session_ends_its_access_token_at_once(how: str, mode: str) -> None:
    """Attacks 21, 44; ASVS 7.4.1–7.4.3: also one that the guard has verified before."""
    door = await behind(mode)
    device = await door.home.signed_in()
    session = (await door.home.auth.sessions.list(ADA))[0]
    assert (await door.ask("GET", "/shut", carried(device))).status == 200
    await ENDINGS[how](door.home, session.sid)
    answer = await door.ask("GET", "/shut", carried(device))
    assert (answer.status, answer.code) == (401, "session_ended")
    assert (await device.refresh()).code in ("session_ended", "invalid_token")


async def test_other_roles_make_older_tokens_expire_and_a_refresh_brings_the_new_ones() -> None:
    """Attack 21, ASVS 8.3.2: the loss of a role counts from now on, without signing anybody out."""
    door = await behind()
    device = await door.home.signed_in()
    await door.home.auth.users.set_roles(ADA, ["owner"])
    answer = await door.ask("GET", "/shut", bearer(device.access))
    assert (answer.status, answer.code) == (401, "token_expired")
    assert (await device.refresh()).status == 200
    assert (await door.ask("GET", "/shut", bearer(device.access))).status == 200
    assert door.ran[-1] is not None
    assert door.ran[-1].roles == ("owner",)


async def test_a_fresh_feed_costs_no_look_at_the_store_and_a_stale_one_a_look_at_every_request() -> None:
    """DESIGN §4.3: older than 3 s, or never read at all, and the database is asked."""
    door = await behind()
    device = await door.home.signed_in()
    asked = count_loads(door.home)
    door.home.clock.travel("3s")
    assert (await door.ask("GET", "/shut", bearer(device.access))).status == 200
    assert asked == []
    door.home.clock.travel("1ms")
    for _ in range(2):
        assert (await door.ask("GET", "/shut", bearer(device.access))).status == 200
    assert len(asked) == 2
    assert (await door.ask("GET", "/open", bearer(device.access))).status == 200
    assert door.ran[-1] is not None
    never = Behind(await house(mode="bearer"))
    device = await never.home.signed_in()
    asked = count_loads(never.home)
    assert (await never.ask("GET", "/shut", bearer(device.access))).status == 200
    assert len(asked) == 1


@pytest.mark.parametrize("mode", MODES)
async def test_a_clock_that_went_back_makes_the_feed_stale_too(mode: str) -> None:
    """F8: a jump of the clock never makes old knowledge look new."""
    door = await behind(mode)
    device = await door.home.signed_in()
    asked = count_loads(door.home)
    door.home.clock.travel(-timedelta(seconds=4))
    assert (await door.ask("GET", "/shut", carried(device))).status == 200
    assert len(asked) == 1


@pytest.mark.parametrize("mode", MODES)
async def test_a_stale_feed_finds_out_what_another_process_has_ended(mode: str) -> None:
    """The store knows what this process was not told."""
    door = await behind(mode)
    device = await door.home.signed_in()
    session = (await door.home.auth.sessions.list(ADA))[0]
    world = door.home.auth.world
    assert (await door.ask("GET", "/shut", carried(device))).status == 200
    await world.store.end_session(session.sid, End.REVOKED, now=world.clock.now())
    assert (await door.ask("GET", "/shut", carried(device))).status == 200, "not told yet"
    door.home.clock.travel("4s")
    answer = await door.ask("GET", "/shut", carried(device))
    assert (answer.status, answer.code) == (401, "session_ended")
    assert (await door.ask("GET", "/open", carried(device))).status == 200
    assert door.ran[-1] is None


async def test_a_store_that_is_away_never_lets_anybody_pass() -> None:
    """ASVS 16.5.3, F3: stale feed and no database is a 503 with a problem, on private routes; never open."""
    door = await behind()
    device = await door.home.signed_in()
    break_store(door.home, lambda: Unavailable(retry_after=1))
    assert (await door.ask("GET", "/shut", bearer(device.access))).status == 200, (
        "no I/O while the feed is fresh"
    )
    door.home.clock.travel("4s")
    answer = await door.ask("GET", "/shut", bearer(device.access))
    assert (answer.status, answer.code, answer.get("retry-after")) == (503, "unavailable", "1")
    assert len(door.ran) == 1
    assert (await door.ask("GET", "/open", bearer(device.access))).status == 200
    assert door.ran[-1] is None, "on a public route nobody is taken for signed in"
    assert (await door.ask()).status == 401


@pytest.mark.parametrize("mode", MODES)
async def test_a_store_that_crashes_never_lets_anybody_pass(mode: str) -> None:
    """ASVS 16.5.3: an error that nobody foresaw goes up to the server, and the app does not run."""
    door = await behind(mode)
    device = await door.home.signed_in()
    break_store(door.home, lambda: RuntimeError("out of cheese"))
    door.home.clock.travel("4s")
    for path in ("/shut", "/open"):
        with pytest.raises(RuntimeError, match="out of cheese"):
            await door.ask("GET", path, carried(device))
    assert door.ran == []


@pytest.mark.parametrize("mode", MODES)
async def test_a_store_that_hangs_keeps_the_request_waiting_not_passing(mode: str) -> None:
    """ASVS 16.5.3: nothing is decided while nothing is known."""
    door = await behind(mode)
    device = await door.home.signed_in()

    async def hang(_: str) -> Any:
        await asyncio.Event().wait()

    instead(door.home.auth.world.store, "load_session", hang)
    door.home.clock.travel("4s")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(door.ask("GET", "/shut", carried(device)), 0.05)
    assert door.ran == []


@pytest.mark.parametrize("mode", MODES)
async def test_a_store_that_hangs_is_given_up_in_time(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """F3, I6: a black hole says nothing; 3 s of silence and 1.5 s of waiting are less than five."""
    assert STALE_AFTER / 1_000_000 + guard.ASK_SECONDS < 5
    monkeypatch.setattr(guard, "ASK_SECONDS", 0.05)
    door = await behind(mode)
    device = await door.home.signed_in()
    late = asyncio.Event()

    async def hang(_: str) -> Any:
        await late.wait()
        raise Unavailable

    instead(door.home.auth.world.store, "load_session", hang)
    door.home.clock.travel("4s")
    async with asyncio.timeout(5):
        answer = await door.ask("GET", "/shut", carried(device))
    assert (answer.status, answer.code, answer.get("retry-after")) == (503, "unavailable", "1")
    assert door.ran == []
    late.set()  # what nobody waits for any more ends without a word


@pytest.mark.parametrize(
    "template",
    ["bearer %s", "BEARER %s", "bEaReR %s", "Bearer  %s", "Bearer     %s"],
)
async def test_the_scheme_is_read_in_any_case_and_with_any_spaces(template: str) -> None:
    """Attack 22, RFC 9110 §11.1."""
    door = await behind()
    device = await door.home.signed_in()
    answer = await door.ask("GET", "/shut", ("authorization", template % device.access))
    assert answer.status == 200


@pytest.mark.parametrize(
    "template",
    [
        "Bearer\t%s",
        "Bearer %s, Bearer %s",
        "Bearer %s,%s",
        "Bearer %s %s",
        "Bearer %s ",
        "Bearer \t%s",
        "Bearer,%s",
        "Bearer=%s",
        "Bearer:%s",
        "Bearer%s",
        "%s",
        " Bearer %s",
        "Token %s",
        "Basic %s",
        "DPoP %s",
        'Bearer "%s"',
        "Bearer\xa0%s",
        "Bearer %s\x00",
        "Bearer ",
        "Bearer",
        "",
    ],
)
async def test_anything_but_one_bearer_token_is_refused(template: str) -> None:
    """Attack 22: tabs, lists, quotes, other schemes."""
    door = await behind()
    device = await door.home.signed_in()
    answer = await door.ask("GET", "/shut", ("authorization", template.replace("%s", device.access)))
    assert (answer.status, answer.code) == (401, "invalid_token")
    assert door.ran == []


async def test_two_authorization_headers_are_a_conflict_whatever_they_hold() -> None:
    """Attack 22: two parties in front of an app may each look at another one."""
    door = await behind("bearer", ADA, EVE)
    ada, eve = await door.home.signed_in(), await door.home.signed_in(EVE)
    for first, second in [
        (bearer(ada.access), bearer(eve.access)),
        (bearer(ada.access), bearer(ada.access)),
        (("authorization", "Basic eDp5"), bearer(ada.access)),
        (bearer(ada.access), ("authorization", "")),
    ]:
        answer = await door.ask("GET", "/shut", first, second)
        assert (answer.status, answer.code) == (400, "bad_request")
    assert door.ran == []


async def test_header_and_cookie_of_different_sessions_are_a_conflict() -> None:
    """Attack 22: one source counts; two that disagree are refused, whoever they belong to."""
    door = await behind("cookies,bearer", ADA, EVE)
    ada = await door.home.signed_in(mode="cookies")
    again = await door.home.signed_in(mode="bearer")
    eve = await door.home.signed_in(EVE, mode="bearer")
    cookie = ("cookie", f"access_token={ada.access}")
    for other in (eve, again):
        answer = await door.ask("GET", "/shut", bearer(other.access), cookie)
        assert (answer.status, answer.code) == (400, "bad_request")
    assert door.ran == []
    assert (await door.ask("GET", "/shut", bearer(ada.access), cookie)).status == 200, "they agree"


async def test_a_header_counts_before_a_cookie_that_is_no_longer_good() -> None:
    """Attack 22: a dead cookie in the jar does not keep a program with a good token out, nor the other way round."""
    door = await behind("cookies,bearer", ADA, EVE)
    eve = await door.home.signed_in(EVE, mode="bearer")
    ada = await door.home.signed_in(mode="cookies")
    cookie = ("cookie", f"access_token={ada.access}")
    await ada.post("/auth/logout")
    assert (await door.ask("GET", "/shut", bearer(eve.access), cookie)).status == 200
    ada = await door.home.signed_in(mode="cookies")
    cookie = ("cookie", f"access_token={ada.access}")
    answer = await door.ask("GET", "/shut", bearer("nonsense"), cookie)
    assert (answer.status, answer.code) == (401, "invalid_token")


async def test_a_token_by_header_is_ignored_where_only_cookies_are_enabled() -> None:
    """DESIGN §5: what a mode does not use does not count."""
    door = await behind("cookies")
    device = await door.home.signed_in()
    answer = await door.ask("GET", "/shut", bearer(device.access))
    assert (answer.status, answer.get("www-authenticate")) == (401, "Bearer")
    cookie = ("cookie", f"access_token={device.access}")
    assert (await door.ask("GET", "/shut", cookie, bearer("nonsense"))).status == 200
    assert (await door.ask("GET", "/shut", cookie, bearer("a"), bearer("b"))).status == 200


@pytest.mark.parametrize("mode", ["bearer", "hybrid", "bearer,hybrid"])
async def test_a_token_by_cookie_is_ignored_where_no_mode_uses_that_cookie(mode: str) -> None:
    """DESIGN §5: a planted access cookie means nothing, not even a conflict."""
    door = await behind(mode)
    device = await door.home.signed_in()
    answer = await door.ask("GET", "/shut", ("cookie", f"access_token={device.access}"))
    assert (answer.status, answer.get("www-authenticate")) == (401, "Bearer")
    planted = ("cookie", "access_token=a; access_token=b")
    assert (await door.ask("POST", "/shut", planted, bearer(device.access))).status == 200


async def test_tokens_anywhere_else_are_ignored() -> None:
    """ASVS 14.2.1, attack 47: not in the address, not in other headers."""
    door = await behind("cookies,bearer")
    device = await door.home.signed_in()
    for header in ("x-access-token", "proxy-authorization", "x-authorization", "token", "x-auth-token"):
        assert (await door.ask("GET", "/shut", (header, f"Bearer {device.access}"))).status == 401
    assert (await door.ask("GET", f"/shut?access_token={device.access}")).status == 401
    assert (await door.ask("GET", f"/shut?Authorization=Bearer%20{device.access}")).status == 401


async def test_a_refresh_token_is_no_access_token() -> None:
    """Attack 19, in both places."""
    door = await behind("cookies,bearer")
    device = await door.home.signed_in(mode="cookies")
    for header in (bearer(device.held), ("cookie", f"access_token={device.held}")):
        answer = await door.ask("GET", "/shut", header)
        assert (answer.status, answer.code) == (401, "invalid_token")


@pytest.mark.parametrize("method", UNSAFE)
async def test_a_cookie_counts_for_an_unsafe_method_only_from_a_trusted_page(method: str) -> None:
    """Attacks 81, 82, 84; ASVS 3.5.1: the app's own routes, whatever it calls its methods."""
    door = await behind("cookies", trusted_origins="https://app.example.com")
    device = await door.home.signed_in()
    cookie = ("cookie", f"access_token={device.access}")
    for headers in [
        (),
        (("origin", "null"),),
        (("origin", "https://evil.example"),),
        (("origin", HTTP), ("origin", "https://evil.example")),
        (("sec-fetch-site", "cross-site"),),
        (("sec-fetch-site", "same-site"),),
        (("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")),
        (("referer", HTTP),),
    ]:
        answer = await door.ask(method, "/shut", cookie, *headers)
        assert (answer.status, answer.code) == (403, "csrf_rejected"), headers
    assert door.ran == []
    for headers in [
        (("origin", HTTP),),
        (("origin", "https://app.example.com"),),
        (("sec-fetch-site", "same-origin"),),
        (("sec-fetch-site", "none"),),
    ]:
        assert (await door.ask(method, "/shut", cookie, *headers)).status == 200, headers


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
async def test_a_cookie_counts_for_safe_methods_from_anywhere(method: str) -> None:
    """A link on another site shows the page; CORS decides who may read the answer."""
    door = await behind("cookies")
    device = await door.home.signed_in()
    cookie = ("cookie", f"access_token={device.access}")
    assert (await door.ask(method, "/shut", cookie, ("origin", "https://evil.example"))).status == 200


async def test_a_forged_request_to_a_public_route_runs_as_nobody() -> None:
    """Attack 82: the app's public POST never sees the victim whose cookie came along."""
    door = await behind("cookies")
    device = await door.home.signed_in()
    cookie = ("cookie", f"access_token={device.access}")
    assert (await door.ask("POST", "/open", cookie, ("origin", "https://evil.example"))).status == 200
    assert door.ran == [None]


async def test_a_bearer_token_needs_no_origin() -> None:
    """No page can make a browser send it: curl, servers and apps need nothing more."""
    door = await behind("bearer")
    device = await door.home.signed_in()
    for origin in ([], [("origin", "https://evil.example")], [("sec-fetch-site", "cross-site")]):
        assert (await door.ask("DELETE", "/shut", bearer(device.access), *origin)).status == 200


async def test_an_expired_token_is_told_before_the_origin_is_judged() -> None:
    """The problem names the nearest cause, and a bad origin never hides as a success."""
    door = await behind("cookies")
    device = await door.home.signed_in()
    door.home.clock.travel("1h")
    answer = await door.ask("POST", "/shut", ("cookie", f"access_token={device.access}"))
    assert (answer.status, answer.code) == (401, "token_expired")


async def test_a_web_socket_handshake_counts_as_unsafe() -> None:
    """ASVS 4.4.2: browsers send cookies to any site's sockets."""
    door = await behind("cookies")
    device = await door.home.signed_in()
    cookie = ("cookie", f"access_token={device.access}")
    answer = await door.knock("/shut", cookie, ("origin", "https://evil.example"))
    assert (answer.status, answer.code) == (403, "csrf_rejected")
    assert (await door.knock("/shut", cookie)).code == "csrf_rejected"
    assert (await door.knock("/shut")).code == "invalid_token"
    assert door.ran == []
    assert (await door.knock("/shut", cookie, ("origin", HTTP))).status == 101
    assert (await door.knock("/open", cookie, ("origin", "https://evil.example"))).status == 101
    assert door.ran[-1] is None


async def test_a_server_without_denial_answers_closes_the_handshake() -> None:
    """A handshake is refused on servers of every age."""
    door = await behind("cookies")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await door.guard(scope, receive, send)

    answer = await handshake(app, "/shut", denial=False)
    assert (answer.status, answer.body) == (403, b"invalid_token")
    assert door.ran == []


async def test_two_cookies_of_our_name_close_private_routes_and_clear_the_name() -> None:
    """Attack 25, on the app's own routes: 401, cleared, no kill, and public routes stay open."""
    door = await behind("cookies")
    device = await door.home.signed_in()
    both = ("cookie", f"access_token={device.access}; access_token=planted")
    answer = await door.ask("GET", "/shut", both)
    assert (answer.status, answer.code) == (401, "invalid_token")
    assert answer.cookies == ["access_token=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax"]
    assert (await door.ask("GET", "/open", both)).status == 200
    assert door.ran == [None]
    assert (await door.ask("GET", "/shut", ("cookie", f"access_token={device.access}"))).status == 200


async def test_a_principal_that_somebody_put_into_the_scope_does_not_count() -> None:
    """Whatever runs before the guard cannot vouch for a request, by accident or otherwise."""
    door = await behind()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope[SCOPE_KEY] = Principal("root", "sid", ("owner",), ("pwd",), 0, 0, 9)
        await door.guard(scope, receive, send)

    assert (await call(app, "GET", "/shut")).status == 401
    assert (await call(app, "GET", "/open")).status == 200
    assert door.ran == [None]


async def test_lifespan_messages_go_straight_to_the_app() -> None:
    """A guard that refused these would keep the app from starting."""
    auth, _, _ = build()
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    guard = auth.guard(app, lambda scope: False)

    async def nothing(*_: Any) -> Any:
        raise AssertionError("nothing is to be said")

    await guard({"type": "lifespan"}, nothing, nothing)
    assert seen == ["lifespan"]


async def test_tokens_of_another_installation_or_secret_do_not_count() -> None:
    """Attack 20: same code, other key, other address."""
    door = await behind()
    for texts in ({"secret": "Zx9vQ3zL1mW7pR2tY8uB5nC4dF6gH0jK-bE"}, {"url": "https://other.example"}):
        other = await house(**({"mode": "bearer"} | texts))
        device = await other.signed_in()
        answer = await door.ask("GET", "/shut", bearer(device.access))
        assert (answer.status, answer.code) == (401, "invalid_token")


async def test_authenticate_tells_a_framework_of_its_own_what_the_guard_knows() -> None:
    """`auth.authenticate(headers)` for WSGI and others: the same rules, raised as errors, with no I/O."""
    door = await behind("cookies")
    device = await door.home.signed_in()
    auth = door.home.auth
    cookie = (b"cookie", f"access_token={device.access}".encode())
    asked = count_loads(door.home)
    principal = auth.authenticate([cookie], method="GET")
    assert principal is not None
    assert auth.authenticate([]) is None
    for method in ("POST", None):  # who does not say is not taken for harmless
        with pytest.raises(Problem) as caught:
            auth.authenticate([cookie], method=method)
        assert caught.value.code == "csrf_rejected"
    assert auth.authenticate(iter([cookie, (b"origin", HTTP.encode())]), method="POST") == principal
    assert asked == []


async def test_authenticate_never_passes_on_revocations_that_were_not_read() -> None:
    """ASVS 16.5.3, DESIGN §4.3: it does no I/O, so all that it can say is that it cannot tell."""
    home = await house(mode="bearer")
    device = await home.signed_in()
    with pytest.raises(Unavailable):
        home.auth.authenticate([(b"authorization", f"Bearer {device.access}".encode())])
