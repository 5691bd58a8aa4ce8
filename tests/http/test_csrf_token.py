"""`csrf=token`: a signed double submit, bound to the session that a request is of, besides the check of the origin."""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.http.asgi import Answer, Header, call
from tests.http.devices import ADA, EVE, PASSWORD, Device, House, house
from tests.http.doors import bearer, behind
from tests.http.jars import Browser

HTTP, HTTPS, APP = "http://testserver", "https://auth.example.com", "https://app.example.com"
COOKIE_MODES = ("cookies", "hybrid", "jwt_cookie", "session")
ROUTES = [
    ("POST", "/auth/login"),
    ("POST", "/auth/refresh"),
    ("POST", "/auth/logout"),
    ("POST", "/auth/logout/all"),
    ("POST", "/auth/reauthenticate"),
    ("POST", "/auth/reauthenticate/code"),
    ("POST", "/auth/email/change"),
    ("DELETE", "/auth/me"),
    ("DELETE", "/auth/sessions"),
    ("PUT", "/auth/no/such/route"),
]
BODIES: dict[str, Any] = {
    "/auth/email/change": {"email": "new@example.com"},
    "/auth/login": {"email": ADA, "password": PASSWORD},
    "/auth/reauthenticate": {"password": PASSWORD},
}
CREDENTIALS = f'{{"email":"{ADA}","password":"{PASSWORD}"}}'.encode()
Tokens = list[Header]


async def proof(device: Device) -> Tokens:
    """The header of a client that asked for its token just now; the cookie is in its jar."""
    answer = await device.get("/auth/csrf")
    assert answer.status == 200, answer.body
    return [("x-csrf-token", answer.json["csrf_token"])]


async def demanding(mode: str, *people: str, **texts: str) -> House:
    return await house(*(people or (ADA, EVE)), mode=mode, csrf="token", **texts)


async def signed_in(home: House, email: str = ADA, **options: Any) -> Device:
    device = home.device(**options)
    headers = [("x-auth-mode", device.mode), *await proof(device)]
    answer = await device.sign_in(email, headers=headers)
    assert answer.status == 200, answer.body
    return device


async def live(home: House, email: str = ADA) -> set[str]:
    return {session.sid for session in await home.auth.sessions.list(email)}


def rejected(answer: Answer) -> bool:
    return answer.status == 403 and answer.code == "csrf_rejected" and answer.cookies == []


@pytest.mark.parametrize("mode", COOKIE_MODES)
async def test_a_client_that_sends_the_token_is_served(mode: str) -> None:
    """R10, R25: before sign-in and after it; the token of the sign-in's own answer counts at once."""
    home = await demanding(mode)
    device = await signed_in(home)
    fresh: Tokens = [("x-csrf-token", device.jar["csrf_token"])]
    assert await proof(device) == fresh, "one that is good stays"
    for method, path in [*ROUTES[1:2], *ROUTES[4:5], ("DELETE", "/auth/sessions"), *ROUTES[2:3]]:
        answer = await device.call(method, path, BODIES.get(path), headers=fresh)
        assert answer.status == 200, (path, answer.body)
    assert device.jar == {}
    assert (await device.sign_in(headers=await proof(device))).status == 200


async def sid_of(home: House) -> str:
    [session] = await home.auth.sessions.list(ADA)
    return session.sid


SPELLINGS: dict[str, Callable[[str], str]] = {
    "truncated": lambda good: good[:-1],
    "head alone": lambda good: good[:27],
    "padded": lambda good: good + "=",
    "quoted": lambda good: f'"{good}"',
    "followed by a space": lambda good: good + " ",
    "stray bits": lambda good: good[:-1] + chr(ord(good[-1]) + 1),
    "other alphabet": lambda good: "+" + good[1:],
    "upper case": str.upper,
    "very long": lambda good: good * 100,
    "nonsense": lambda good: "x" * len(good),
    "not ASCII": lambda good: "\xe9" * len(good),
    "empty": lambda good: "",
}
PAIRS: dict[str, Callable[[str], tuple[str | None, list[str]]]] = {
    "cookie alone": lambda good: (good, []),
    "header alone": lambda good: (None, [good]),
    "header twice": lambda good: (good, [good, good]),
    "header twice in a line": lambda good: (good, [f"{good}, {good}"]),
    "nothing": lambda good: (None, []),
}
OTHERS = [
    "of another user",
    "of the same user elsewhere",
    "of before sign-in",
    "of another server",
    "different, both genuine",
    "expired",
]


async def flawed(name: str, home: House, victim: Device) -> tuple[str | None, list[str]]:
    """What a forger may come with: the cookie's value, None for no cookie, and the values of header lines."""
    good = victim.jar["csrf_token"]
    if name in SPELLINGS:
        return SPELLINGS[name](good), [SPELLINGS[name](good)]
    if name in PAIRS:
        return PAIRS[name](good)
    if name == "expired":
        home.clock.travel("1h")
        return good, [good]
    if name == "of before sign-in":
        other = home.device()
        await proof(other)
    elif name == "of another server":
        server = await demanding(home.mode, secret="another-secret-of-another-server-0123")
        other = server.device()
        [(_, line)] = server.auth.site.forgery.signed_in(await sid_of(home), home.clock.now())
        other.jar["csrf_token"] = line.decode().partition("=")[2].partition(";")[0]
    else:
        other = await signed_in(home, ADA if name == "of the same user elsewhere" else EVE)
    theirs = other.jar["csrf_token"]
    return good if name == "different, both genuine" else theirs, [theirs]


@pytest.mark.parametrize("name", [*SPELLINGS, *PAIRS, *OTHERS])
@pytest.mark.parametrize("mode", COOKIE_MODES)
async def test_no_unsafe_route_is_carried_out_without_the_sessions_own_token(mode: str, name: str) -> None:
    """R10; attacks 82, 83, 86; ASVS 3.5.1: from a page of ours, with the victim's cookies, and nothing happens."""
    home = await demanding(mode, refresh_ttl="1h", session_max="2h")
    victim = await signed_in(home)
    cookie, header = await flawed(name, home, victim)
    victim.jar.pop("csrf_session", None)
    before, told = await live(home), len(home.events)
    del victim.jar["csrf_token"]
    victim.jar |= {} if cookie is None else {"csrf_token": cookie}
    for method, path in ROUTES:
        headers = [("x-csrf-token", value) for value in header]
        answer = await victim.call(method, path, BODIES.get(path), headers=headers, keep=False)
        assert rejected(answer), (path, answer.status, answer.body)
    assert await live(home) == before
    assert set(home.told()[told:]) == {"access_denied"}


@pytest.mark.parametrize("mode", COOKIE_MODES)
async def test_a_token_ends_with_the_session_that_it_was_signed_for(mode: str) -> None:
    """Attack 86: signing in again in the same browser makes the token of before worthless there."""
    home = await demanding(mode)
    device = await signed_in(home)
    old = device.jar["csrf_token"]
    assert (await device.sign_in(headers=[("x-csrf-token", old)])).status == 200
    assert device.jar["csrf_token"] != old
    device.jar["csrf_token"] = old
    assert rejected(await device.post("/auth/logout", headers=[("x-csrf-token", old)]))
    assert (await device.post("/auth/logout", headers=await proof(device))).status == 200


@pytest.mark.parametrize("mode", COOKIE_MODES)
async def test_a_pair_of_before_sign_in_is_nothing_beside_a_session(mode: str) -> None:
    """Attack 83: a subdomain plants `csrf_session` with the token that it was given for it."""
    home = await demanding(mode)
    victim, stranger = await signed_in(home), home.device()
    await proof(stranger)
    victim.jar |= stranger.jar
    headers = [("x-csrf-token", stranger.jar["csrf_token"])]
    for method, path in ROUTES:
        answer = await victim.call(method, path, BODIES.get(path), headers=headers, keep=False)
        assert rejected(answer), path
    assert len(await live(home)) == 1


# Who signed in by the first and what is left in the jar; what a subdomain plants; and the whole configuration.
PLANTS = [
    ("cookies", "access_token", "cookies", "cookies"),
    ("hybrid", "", "cookies", "hybrid,cookies"),
    ("hybrid", "", "jwt_cookie", "hybrid,jwt_cookie"),
    ("hybrid", "", "session", "hybrid,session"),
    ("jwt_cookie", "", "hybrid", "jwt_cookie,hybrid"),
    ("jwt_cookie", "", "session", "jwt_cookie,session"),
    ("jwt_cookie", "", "cookies", "jwt_cookie,cookies"),
    ("session", "", "hybrid", "session,hybrid"),
    ("session", "", "cookies", "session,cookies"),
    ("session", "", "jwt_cookie", "session,jwt_cookie"),
]


@pytest.mark.parametrize(("mode", "lapsed", "planted", "modes"), PLANTS)
async def test_a_planted_cookie_of_another_kind_is_no_second_key(
    mode: str, lapsed: str, planted: str, modes: str
) -> None:
    """Attack 83: a token of Eve's session counts for nothing while any cookie of Ada's is in the jar.

    Eve plants one cookie of hers and her token; each of her cookies in turn, since routes look at different ones.
    """
    home = await demanding(modes)
    eve = await signed_in(home, EVE, mode=planted)
    hers = {name: value for name, value in eve.jar.items() if not name.startswith("csrf_")}
    for name, value in hers.items():
        for method, path in ROUTES:
            victim = await signed_in(home, mode=mode)
            victim.jar.pop(lapsed, None)
            victim.access_token = None
            if name in victim.jar:
                continue  # two of one name, which nobody believes
            before = await live(home)
            victim.jar |= {name: value, "csrf_token": eve.jar["csrf_token"]}
            victim.jar.pop("csrf_session")
            headers = [("x-csrf-token", eve.jar["csrf_token"])]
            answer = await victim.call(method, path, BODIES.get(path), headers=headers)
            assert (answer.status, answer.code) == (401, "invalid_token"), (name, path)
            assert await live(home) == before, (name, path)
            assert name not in victim.jar, (
                "what cannot be told apart is cleared, so that nobody is locked out"
            )
            await home.auth.sessions.revoke(next(iter(before)))
    assert len(await live(home, EVE)) == 1


@pytest.mark.parametrize("kind", ["opaque", "jwt"])
async def test_a_refresh_token_of_either_format_names_its_session(kind: str) -> None:
    """R26; attack 83: one that could not be read would leave the session to the token of a planted `csrf_session`."""
    home = await demanding("hybrid", refresh_format=kind)
    victim, stranger = await signed_in(home), home.device()
    good = victim.jar["csrf_token"]
    await proof(stranger)
    victim.jar |= stranger.jar
    assert rejected(await victim.post("/auth/logout", headers=[("x-csrf-token", stranger.jar["csrf_token"])]))
    victim.jar["csrf_token"] = good
    assert (await victim.post("/auth/logout", headers=[("x-csrf-token", good)])).status == 200


async def test_who_is_locked_out_by_a_planted_cookie_signs_in_again() -> None:
    """Attack 25: planting must cost a sign-in at most."""
    home = await demanding("cookies")
    victim, eve = await signed_in(home), await signed_in(home, EVE)
    victim.jar["access_token"] = eve.jar["access_token"]
    assert (await victim.get("/auth/csrf")).status == 401
    assert (await victim.sign_in(headers=await proof(victim))).status == 200


@pytest.mark.parametrize(("mode", "name"), [("hybrid", "refresh_token"), ("session", "session_id")])
async def test_knowing_the_id_of_a_session_is_no_way_to_a_token_for_it(mode: str, name: str) -> None:
    """Attack 83: ids are in lists of devices, logs and JWTs; a cookie that merely names one proves nothing."""
    home = await demanding(mode)
    victim, eve = await signed_in(home), home.device()
    real = victim.jar[name]
    eve.jar[name] = real[:-4] + ("AAAA" if real[-4:] != "AAAA" else "BBBA")
    headers = await proof(eve)
    assert name not in eve.jar, "the worthless cookie is in nobody's way any longer"
    forged = dict(eve.jar)
    victim.jar |= forged
    assert rejected(await victim.post("/auth/logout", headers=headers))
    victim.jar.pop("csrf_session")
    assert rejected(await victim.post("/auth/logout", headers=headers))
    assert len(await live(home)) == 1


@pytest.mark.parametrize("mode", COOKIE_MODES)
async def test_a_jar_with_a_session_long_gone_can_sign_in(mode: str) -> None:
    """R10: neither an ended session nor one that the sweeper took stands in the way of the next sign-in."""
    home = await demanding(mode)
    for forget in (False, True):
        device = await signed_in(home)
        await home.auth.sessions.revoke(await sid_of(home))
        if forget:
            home.clock.travel("60d")
            await home.auth.world.store.sweep(now=home.clock.now(), ended_for=0, revoked_for=0, batch=100)
        device.access_token = None
        device.jar.pop("csrf_token")
        assert (await device.sign_in(headers=await proof(device))).status == 200
        await home.auth.sessions.revoke(await sid_of(home))


@pytest.mark.parametrize("csrf", ["origin", "token"])
@pytest.mark.parametrize("mode", COOKIE_MODES)
async def test_what_a_form_can_send_is_refused_whoever_sends_it(mode: str, csrf: str) -> None:
    """Attack 81: a stranger's page by the origin, a page of ours by the media type, and nobody is signed in."""
    home = await house(mode=mode, csrf=csrf)
    device = home.device()
    headers = [("origin", HTTP), *(await proof(device) if csrf == "token" else [])]
    headers.append(("cookie", "; ".join(f"{name}={value}" for name, value in device.jar.items())))
    form = b"email=ada%40example.com&password=a+long+way+to+Samarkand"
    multipart = b'--x\r\ncontent-disposition: form-data; name="email"\r\n\r\nada@example.com\r\n--x--\r\n'
    for kind, body in [
        ("application/x-www-form-urlencoded", form),
        ("application/x-www-form-urlencoded", CREDENTIALS),
        ("multipart/form-data; boundary=x", multipart),
        ("text/plain", CREDENTIALS),
        ("text/plain; charset=utf-8", CREDENTIALS),
        ("text/plain;application/json", CREDENTIALS),
        ("application/json;text/plain", CREDENTIALS),
        ("application/json, text/plain", CREDENTIALS),
        ("", CREDENTIALS),
        (None, CREDENTIALS),
    ]:
        said: list[Header] = [] if kind is None else [("content-type", kind)]
        for who in (
            [("origin", "https://evil.example")],
            [("origin", "null")],
            [("sec-fetch-site", "cross-site")],
        ):
            assert rejected(await call(home.app, "POST", "/auth/login", headers=[*who, *said], body=body))
        answer = await call(home.app, "POST", "/auth/login", headers=[*headers, *said], body=body)
        assert (answer.status, answer.code) == (415, "unsupported_media_type"), kind
    assert await live(home) == set()


@pytest.mark.parametrize("mode", COOKIE_MODES)
async def test_a_genuine_token_is_no_excuse_for_a_strangers_origin(mode: str) -> None:
    """Attacks 82, 84: both are asked, so that a token that leaked serves no other page."""
    home = await demanding(mode, url=HTTPS, trusted_origins=APP)
    device = await signed_in(home)
    device.origin = None
    headers = await proof(device)
    told = len(home.events)
    for words in [
        [("origin", "null")],
        [("origin", "https://evil.example")],
        [("origin", "https://auth.example.com.evil.example")],
        [("origin", "https://evil.example?auth.example.com")],
        [("origin", "https://AUTH.example.com")],
        [("origin", "https://auth.example.com:444")],
        [("origin", "http://auth.example.com")],
        [("origin", "https://ada@auth.example.com")],
        [("sec-fetch-site", "cross-site")],
        [("sec-fetch-site", "same-site")],
        [("sec-fetch-site", "same-site"), ("origin", "https://evil.example.com")],
        [("referer", f"{HTTPS}/")],
        [],
    ]:
        for method, path in ROUTES:
            answer = await device.call(method, path, BODIES.get(path), headers=[*headers, *words], keep=False)
            assert rejected(answer), (words, path)
    assert set(home.told()[told:]) == {"access_denied"}
    for origin in (HTTPS, APP):
        answer = await device.post("/auth/refresh", headers=[*headers, ("origin", origin)], keep=False)
        assert answer.status == 200, origin


@pytest.mark.parametrize("mode", COOKIE_MODES)
async def test_login_and_logout_need_the_token_of_this_browser(mode: str) -> None:
    """Attack 82: nobody is signed in to an account of somebody else's choice, nor out of their own."""
    home = await demanding(mode)
    fresh, eve = home.device(), await signed_in(home, EVE)
    theirs: Tokens = [("x-csrf-token", eve.jar["csrf_token"])]
    for jar in ({}, {"csrf_token": eve.jar["csrf_token"]}, {"csrf_session": eve.jar["csrf_session"]}):
        fresh.jar = dict(jar)
        assert rejected(await fresh.sign_in(EVE, headers=theirs))
    victim = await signed_in(home)
    victim.jar["csrf_token"] = eve.jar["csrf_token"]
    assert rejected(await victim.post("/auth/logout", headers=theirs))
    assert rejected(await victim.post("/auth/logout/all", headers=theirs))
    assert len(await live(home)) == 1


@pytest.mark.parametrize("override", ["x-http-method-override", "x-method-override", "x-http-method"])
async def test_no_header_makes_a_safe_method_of_an_unsafe_one(override: str) -> None:
    """Attack 85: POST that calls itself GET needs its token; GET that calls itself POST changes nothing."""
    home = await demanding("cookies")
    device = await signed_in(home)
    assert rejected(await device.post("/auth/logout?_method=GET", headers=[(override, "GET")]))
    assert (await device.get("/auth/logout?_method=POST", headers=[(override, "POST")])).status == 405
    assert len(await live(home)) == 1


@pytest.mark.parametrize("mode", ["cookies", "jwt_cookie", "session"])
async def test_the_apps_own_unsafe_routes_need_it_when_a_cookie_authenticates(mode: str) -> None:
    """R8, R10; ASVS 3.5.1: the guard asks what our own routes ask, and an open route is merely anonymous."""
    door = await behind(mode, ADA, EVE, csrf="token")
    device, eve = await signed_in(door.home), await signed_in(door.home, EVE)
    jar = ("cookie", "; ".join(f"{name}={value}" for name, value in device.jar.items()))
    here, good = ("origin", HTTP), ("x-csrf-token", device.jar["csrf_token"])
    for method in ("POST", "PUT", "PATCH", "DELETE", "TRACE"):
        for headers in ([jar, here], [jar, here, ("x-csrf-token", eve.jar["csrf_token"])], [jar, good]):
            answer = await door.ask(method, "/shut", *headers)
            assert (answer.status, answer.code) == (403, "csrf_rejected")
        assert door.ran == []
        assert (await door.ask(method, "/open", jar, here)).body == b"ran"
        assert door.ran.pop() is None
        assert (await door.ask(method, "/shut", jar, here, good)).body == b"ran"
        assert door.ran.pop() is not None
    assert (await door.ask("GET", "/shut", jar)).body == b"ran", "reading needs none"


@pytest.mark.parametrize("modes", ["hybrid", "bearer,cookies", "hybrid,session", "hybrid,jwt_cookie"])
async def test_the_apps_own_routes_ask_for_none_when_a_header_authenticates(modes: str) -> None:
    """No page makes a browser send an Authorization header, so there is nothing to forge."""
    door = await behind(modes, csrf="token")
    device = door.home.device()
    assert (
        await device.sign_in(headers=[] if device.mode == "bearer" else await proof(device))
    ).status == 200
    answer = await door.ask("POST", "/shut", bearer(device.access), ("origin", "https://evil.example"))
    assert (answer.status, answer.body) == (200, b"ran")


@pytest.mark.parametrize("mode", ["cookies", "jwt_cookie", "session"])
async def test_a_websocket_handshake_is_judged_by_its_origin_alone(mode: str) -> None:
    """ASVS 4.4.2: browsers let no script add a header to it, and always tell the origin themselves."""
    door = await behind(mode, csrf="token")
    device = await signed_in(door.home)
    jar = ("cookie", "; ".join(f"{name}={value}" for name, value in device.jar.items()))
    assert (await door.knock("/shut", jar, ("origin", HTTP))).status == 101
    for origin in ("null", "https://evil.example", "http://testserver.evil.example"):
        assert (await door.knock("/shut", jar, ("origin", origin))).status == 403
    assert (await door.knock("/shut", jar)).status == 403
    assert len(door.ran) == 1


@pytest.mark.parametrize(
    ("url", "token", "before"),
    [
        (
            HTTP,
            "csrf_token=V; Max-Age=604800; Path=/; SameSite=Lax",
            "csrf_session=V; Max-Age=604800; Path=/; HttpOnly; SameSite=Lax",
        ),
        (
            HTTPS,
            "__Host-csrf_token=V; Max-Age=604800; Path=/; Secure; SameSite=Lax",
            "__Host-csrf_session=V; Max-Age=604800; Path=/; Secure; HttpOnly; SameSite=Lax",
        ),
    ],
)
async def test_the_token_is_readable_by_our_page_and_what_it_is_bound_to_is_not(
    url: str, token: str, before: str
) -> None:
    """R10; ASVS 3.3.1–3.3.4, 14.3.2: and the answer is for no cache."""
    home = await demanding("cookies", url=url)
    answer = await home.device().get("/auth/csrf")
    assert [re.sub("=[^;]+", "=V", line, count=1) for line in answer.cookies] == [before, token]
    assert answer.cookies[1].partition("=")[2].partition(";")[0] == answer.json["csrf_token"]
    assert answer.get("cache-control") == "no-store"


@pytest.mark.parametrize("mode", COOKIE_MODES)
async def test_tabs_that_ask_share_one_token_until_half_of_its_life_is_over(mode: str) -> None:
    """R10: before sign-in and after, what one tab holds is not taken from it by another."""
    home = await demanding(mode, refresh_ttl="2h", session_max="20h")
    device = home.device()
    for _ in range(2):
        first = await proof(device)
        home.clock.travel("59m")
        again = await device.get("/auth/csrf")
        assert ([("x-csrf-token", again.json["csrf_token"])], again.cookies) == (first, [])
        home.clock.travel("2m")
        replaced = await proof(device)
        assert replaced != first
        assert (await device.sign_in(headers=replaced)).status == 200
        assert ("x-csrf-token", device.jar["csrf_token"]) not in (*first, *replaced)


@pytest.mark.parametrize("site", ["cross-site", "same-site", "", "Same-Origin"])
async def test_a_link_of_another_site_does_not_replace_the_token(site: str) -> None:
    """Attack 85: it would come without the Strict cookie, and be given a token for nobody."""
    home = await demanding("hybrid", trusted_origins=APP)
    device = await signed_in(home)
    for more in ([], [("origin", "null")], [("origin", "https://evil.example")]):
        assert rejected(await device.get("/auth/csrf", headers=[("sec-fetch-site", site), *more]))
    assert (await device.get("/auth/csrf", headers=[("sec-fetch-site", "none")])).status == 200
    assert (await device.get("/auth/csrf", headers=[("sec-fetch-site", site), ("origin", APP)])).status == 200


@pytest.mark.parametrize("name", ["csrf_token", "csrf_session"])
async def test_two_csrf_cookies_of_one_name_count_as_none_and_are_cleared(name: str) -> None:
    """Attacks 25, 83: the one that a parent domain planted is not taken for ours."""
    home = await demanding("cookies")
    device = home.device()
    headers = await proof(device)
    for method, path in [("GET", "/auth/csrf"), ("POST", "/auth/login")]:
        two = [*headers, ("cookie", f"{name}=x")]
        answer = await device.call(method, path, BODIES.get(path), headers=two, keep=False)
        assert (answer.status, answer.code) == (401, "invalid_token")
        assert all(line.startswith(f"{name}=; Max-Age=0; Path=/") for line in answer.cookies)
        assert answer.cookies


async def test_without_any_header_the_csrf_cookies_tell_that_a_browser_asks() -> None:
    """Attack 84: an old browser that sends neither Origin nor Sec-Fetch-Site is not taken for a program."""
    home = await demanding("cookies")
    device = home.device(origin=None)
    headers = await proof(device)
    assert rejected(await device.sign_in())
    assert rejected(await device.sign_in(headers=headers))
    assert (await home.device(origin=None).sign_in()).status == 200, "curl, for one"


async def test_programs_with_tokens_of_their_own_need_none() -> None:
    """Attack 82: without a jar and without a page there is nobody whose authority could be borrowed."""
    home = await demanding("bearer,cookies")
    device = home.device()
    assert (await device.sign_in()).status == 200
    assert (await device.refresh()).status == 200
    assert (await device.post("/auth/reauthenticate", BODIES["/auth/reauthenticate"])).status == 200
    assert (await device.post("/auth/logout", {"refresh_token": device.held})).status == 200


@pytest.mark.parametrize("path", ["/auth/refresh", "/auth"])
@pytest.mark.parametrize("mode", ["cookies", "hybrid"])
async def test_a_narrow_refresh_cookie_and_the_token_go_together(mode: str, path: str) -> None:
    """R10, R20, R25: where the refresh cookie does not come along, `csrf_session` tells which session is meant."""
    texts = {"refresh_cookie_path": path, "refresh_ttl": "10h", "session_max": "30h", "access_ttl": "15m"}
    home = await demanding(mode, url=HTTPS, **texts)
    browser = Browser(home, mode)
    assert (await browser.sign_in(headers=await browser.proof())).status == 200
    for _ in range(3):
        home.clock.travel("9h")
        browser.drop("access_token")
        browser.access_token = None
        answer = await browser.call("POST", "/auth/refresh", headers=await browser.proof())
        assert answer.status == 200, answer.body
        headers = await browser.proof()
        answer = await browser.call("POST", "/auth/reauthenticate", {"password": PASSWORD}, headers=headers)
        assert answer.status == 200, answer.body
    await home.auth.sessions.revoke(await sid_of(home))
    browser.drop("access_token")
    assert (await browser.sign_in(headers=await browser.proof())).status == 200, (
        "over a session that has ended"
    )
    assert (await browser.call("POST", "/auth/logout", headers=await browser.proof())).status == 200
    assert browser.held == set()
    assert await live(home) == set()


async def test_a_narrow_cookie_that_nothing_stands_for_is_cleared_with_the_refusal() -> None:
    """Attack 25: planted, or left from before csrf=token, it would refuse every sign-in until it dies of age."""
    home = await demanding("hybrid", refresh_cookie_path="/auth/refresh")
    device = await signed_in(home)
    del device.jar["csrf_session"]
    answer = await device.post("/auth/refresh", headers=[("x-csrf-token", "x")])
    assert (answer.status, answer.code) == (403, "csrf_rejected")
    assert {line.partition("=")[0] for line in answer.cookies} == {"refresh_token"}
    assert all("Max-Age=0" in line for line in answer.cookies)


async def test_each_refresh_sets_anew_what_stands_for_a_narrow_cookie() -> None:
    """Key rotation: what an old secret signed must not be all that there is when that secret goes."""
    home = await demanding("hybrid", refresh_cookie_path="/auth/refresh")
    device = await signed_in(home)
    token = device.jar["csrf_token"]
    answer = await device.post("/auth/refresh", headers=[("x-csrf-token", token)])
    assert answer.status == 200
    assert any(line.startswith("csrf_session=") for line in answer.cookies)


async def test_a_planted_stand_in_is_no_key_to_the_session_of_a_narrow_cookie() -> None:
    """Attack 83: the refresh cookie's own session counts wherever that cookie comes."""
    home = await demanding("hybrid", refresh_cookie_path="/auth/refresh")
    victim, eve = await signed_in(home), await signed_in(home, EVE)
    before = await live(home)
    planted = {name: value for name, value in eve.jar.items() if name.startswith("csrf_")}
    victim.jar |= planted
    headers = [("x-csrf-token", planted["csrf_token"])]
    for path in ("/auth/refresh", "/auth/logout", "/auth/logout/all"):
        assert rejected(await victim.post(path, headers=headers))
    assert await live(home) == before


async def test_header_and_cookie_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attack 98; ASVS 11.2.4."""
    home = await demanding("cookies")
    device = await signed_in(home)
    compared: list[tuple[bytes, bytes]] = []
    real = hmac.compare_digest

    def spy(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return real(one, other)

    monkeypatch.setattr(hmac, "compare_digest", spy)
    wrong = device.jar["csrf_token"][:-1] + "."
    assert rejected(await device.post("/auth/logout", headers=[("x-csrf-token", wrong)]))
    assert (wrong.encode(), device.jar["csrf_token"].encode()) in compared
