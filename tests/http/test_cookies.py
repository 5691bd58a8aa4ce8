"""Our cookies: what is set, what is read, what is cleared."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.http.asgi import Answer, call, raw
from tests.http.devices import KEPT, MODES, PASSWORD, house
from watchword.http.cookies import Cookie, DuplicateCookie, cookies
from watchword.settings import Settings

HTTP, HTTPS = "http://testserver", "https://testserver"

# Everything of the two lines but their values. A token's alphabet needs no quoting and ends no header.
VALUE = "[A-Za-z0-9._~-]+"
LINES = {
    (HTTP, "cookies"): [
        f"access_token={VALUE}; Max-Age=900; Path=/; HttpOnly; SameSite=Lax",
        f"refresh_token={VALUE}; Max-Age=604800; Path=/; HttpOnly; SameSite=Strict",
    ],
    (HTTPS, "cookies"): [
        f"__Host-access_token={VALUE}; Max-Age=900; Path=/; Secure; HttpOnly; SameSite=Lax",
        f"__Host-refresh_token={VALUE}; Max-Age=604800; Path=/; Secure; HttpOnly; SameSite=Strict",
    ],
    (HTTP, "hybrid"): [f"refresh_token={VALUE}; Max-Age=604800; Path=/; HttpOnly; SameSite=Strict"],
    (HTTPS, "hybrid"): [
        f"__Host-refresh_token={VALUE}; Max-Age=604800; Path=/; Secure; HttpOnly; SameSite=Strict"
    ],
    (HTTP, "bearer"): [],
    (HTTPS, "bearer"): [],
    (HTTP, "jwt_cookie"): [f"auth_token={VALUE}; Max-Age=604800; Path=/; HttpOnly; SameSite=Lax"],
    (HTTPS, "jwt_cookie"): [
        f"__Host-auth_token={VALUE}; Max-Age=604800; Path=/; Secure; HttpOnly; SameSite=Lax"
    ],
    (HTTP, "session"): [f"session_id={VALUE}; Max-Age=2592000; Path=/; HttpOnly; SameSite=Lax"],
    (HTTPS, "session"): [
        f"__Host-session_id={VALUE}; Max-Age=2592000; Path=/; Secure; HttpOnly; SameSite=Lax"
    ],
}
CLEARED = {
    HTTP: [
        "access_token=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax",
        "refresh_token=; Max-Age=0; Path=/; HttpOnly; SameSite=Strict",
    ],
    HTTPS: [
        "__Host-access_token=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Lax",
        "__Host-refresh_token=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Strict",
    ],
}
ONE_CLEARED = {
    "jwt_cookie": {
        HTTP: ["auth_token=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax"],
        HTTPS: ["__Host-auth_token=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Lax"],
    },
    "session": {
        HTTP: ["session_id=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax"],
        HTTPS: ["__Host-session_id=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Lax"],
    },
}


def same_lines(answer: Answer, patterns: list[str]) -> bool:
    return len(answer.cookies) == len(patterns) and all(
        re.fullmatch(pattern, line) for pattern, line in zip(patterns, answer.cookies, strict=True)
    )


@pytest.mark.parametrize("url", [HTTP, HTTPS])
@pytest.mark.parametrize("mode", MODES)
async def test_set_cookie_lines_are_exactly_these(mode: str, url: str) -> None:
    """ASVS 3.3.1–3.3.4: prefix, Secure, HttpOnly, SameSite and life, at sign-in, refresh and reauthentication."""
    home = await house(mode=mode, url=url)
    device = home.device()
    assert same_lines(await device.sign_in(), LINES[url, mode])
    assert same_lines(await device.refresh(), LINES[url, mode])
    assert same_lines(await device.post("/auth/reauthenticate", {"password": PASSWORD}), LINES[url, mode])


@pytest.mark.parametrize("url", [HTTP, HTTPS])
@pytest.mark.parametrize("mode", MODES)
async def test_logging_out_clears_with_the_attributes_that_were_set(mode: str, url: str) -> None:
    """Attack 29: a browser removes a cookie only for the same name, path and prefix rules."""
    home = await house(mode=mode, url=url)
    device = home.device()
    given = await device.sign_in()
    cleared = (await device.post("/auth/logout", {} if mode != "bearer" else None)).cookies
    if mode in KEPT:
        assert cleared == ONE_CLEARED[mode][url]
    else:
        assert cleared == {"cookies": CLEARED[url], "hybrid": CLEARED[url][1:], "bearer": []}[mode]
    shapes = {re.sub(r"=[^;]*; Max-Age=\d+", "", line, count=1) for line in cleared}
    assert {re.sub(r"=[^;]*; Max-Age=\d+", "", line, count=1) for line in given.cookies} <= shapes
    assert device.jar == {}


@pytest.mark.parametrize("mode", ["cookies", "hybrid"])
async def test_only_a_success_sets_cookies_and_only_logout_clears_them(mode: str) -> None:
    """Whatever way a refresh fails, the jar is left alone: a race must not sign anybody out."""
    home = await house(mode=mode, rotation_window="10s")
    device = await home.signed_in()
    first = device.held
    await device.refresh()
    second = device.held
    home.clock.travel("25s")
    await device.refresh()
    home.clock.travel("25s")
    await device.refresh()
    forged = "wwr_" + "A" * 80
    for token, status, code in [
        (forged, 401, "invalid_token"),
        ("", 401, "invalid_token"),
        ("not a token", 401, "invalid_token"),
        (second, 409, "refresh_superseded"),
        (first, 401, "refresh_reused"),
        (device.held, 401, "session_ended"),
    ]:
        answer = await device.refresh(token, keep=False)
        assert (answer.status, answer.code, answer.cookies) == (status, code, [])


async def test_every_cookie_that_is_ever_set_is_http_only() -> None:
    """ASVS 3.3.4, 10.1.1: over a whole life, no token is readable by scripts."""
    for mode in MODES:
        home = await house(mode=mode)
        device = home.device()
        answers = [
            await device.sign_in(),
            await device.refresh(),
            await device.post("/auth/reauthenticate", {"password": PASSWORD}),
            await device.get("/auth/me"),
            await device.get("/auth/sessions"),
            await device.delete("/auth/sessions"),
            await device.post("/auth/logout"),
        ]
        assert [answer.status for answer in answers] == [200] * len(answers)
        assert all("; HttpOnly" in line for answer in answers for line in answer.cookies)


async def test_cookies_live_as_long_as_the_settings_say_and_never_past_the_session() -> None:
    """ASVS 7.3.1, 7.3.2: Max-Age follows access_ttl and refresh_ttl; the last one ends with session_max."""
    home = await house(mode="cookies", access_ttl="5m", refresh_ttl="1h", session_max="90m")
    device = home.device()

    def lives(answer: Answer) -> list[int]:
        return [int(found[1]) for line in answer.cookies if (found := re.search(r"Max-Age=(\d+)", line))]

    assert lives(await device.sign_in()) == [300, 3600]
    home.clock.travel("50m")
    assert lives(await device.refresh()) == [300, 2400]
    home.clock.travel("35m")
    assert lives(await device.refresh())[1] == 300


async def test_a_refresh_cookie_past_its_end_is_refused_by_the_server() -> None:
    """Attack 31: a cookie that a client keeps longer than Max-Age is judged by the row."""
    home = await house(mode="cookies", refresh_ttl="1h", session_max="90m")
    device = await home.signed_in()
    home.clock.travel("1h")
    assert (await device.refresh()).code == "session_ended"


async def test_two_cookies_of_one_name_count_as_none_and_the_name_is_cleared_without_a_kill() -> None:
    """Attack 25: cookie tossing from a parent domain or another path."""
    home = await house(mode="cookies")
    device = await home.signed_in()
    access, refresh = device.access, device.held
    origin = ("origin", "http://testserver")
    for method, path, line, cleared in [
        ("POST", "/auth/refresh", f"refresh_token={refresh}; refresh_token=planted", CLEARED[HTTP][1]),
        ("POST", "/auth/refresh", f"refresh_token=planted; refresh_token={refresh}", CLEARED[HTTP][1]),
        ("POST", "/auth/refresh", f"refresh_token={refresh}; refresh_token={refresh}", CLEARED[HTTP][1]),
        ("GET", "/auth/me", f"access_token={access}; access_token=planted", CLEARED[HTTP][0]),
        ("GET", "/auth/me", f"access_token=planted; x=1; access_token={access}", CLEARED[HTTP][0]),
        ("GET", "/auth/me", f"access_token={access}; access_token={access}", CLEARED[HTTP][0]),
        ("GET", "/auth/me", f"access_token=; access_token={access}", CLEARED[HTTP][0]),
    ]:
        answer = await call(home.app, method, path, headers=[("cookie", line), origin])
        assert (answer.status, answer.code, answer.cookies) == (401, "invalid_token", [cleared]), line
    assert (await device.get("/auth/me")).status == 200
    assert (await device.refresh()).status == 200


async def test_two_cookies_of_one_name_in_two_header_lines_count_as_none() -> None:
    """Attack 25: HTTP/2 may split the Cookie header; an empty one counts like any other."""
    home = await house(mode="cookies")
    device = await home.signed_in()
    access, refresh = device.access, device.held
    for first, second in [(access, "planted"), ("planted", access), ("", access), (access, "")]:
        lines = [("cookie", f"access_token={first}"), ("cookie", f"access_token={second}")]
        answer = await call(home.app, "GET", "/auth/me", headers=lines)
        assert (answer.status, answer.cookies) == (401, [CLEARED[HTTP][0]]), (first, second)
        lines = [("cookie", f"refresh_token={first}"), ("cookie", f"refresh_token={refresh}")]
        answer = await call(home.app, "POST", "/auth/refresh", headers=[*lines, ("origin", HTTP)])
        assert (answer.status, answer.cookies) == (401, [CLEARED[HTTP][1]])
    split = [("cookie", "theme=dark"), ("cookie", f"access_token={access}"), ("cookie", "x=1")]
    assert (await call(home.app, "GET", "/auth/me", headers=split)).status == 200


async def test_signing_in_with_a_tossed_cookie_works_and_replaces_nobody() -> None:
    """Attack 25: whoever planted a second cookie must not keep people from signing in."""
    home = await house(mode="cookies")
    device = await home.signed_in()
    again = home.device()
    answer = await again.sign_in(headers=[("cookie", f"refresh_token={device.held}; refresh_token=x")])
    assert answer.status == 200
    assert (await device.refresh()).status == 200


SPOOFS = [
    b"\xe2\x80\x80__Host-access_token=%s",  # U+2000, which strip() would take for a space
    b"\xc2\x85__Host-access_token=%s",  # U+0085, the same
    b"\x85__Host-access_token=%s",
    b"\xa0__Host-access_token=%s",
    b"\t__Host-access_token=%s",
    b"\x0b__Host-access_token=%s",
    b"\x0c__Host-access_token=%s",
    b"=__Host-access_token=%s",
    b"__host-access_token=%s",
    b"__HOST-ACCESS_TOKEN=%s",
    b"__Host-Access_Token=%s",
    b"__Host-access_token =%s",
    b"__Host-access_token\t=%s",
    b'"__Host-access_token"=%s',
    b"__Host-access%%5Ftoken=%s",
    b"$Version=1, __Host-access_token=%s",
    b"$Version=1,__Host-access_token=%s",
    b"x__Host-access_token=%s",
    b"x=1,__Host-access_token=%s",
    b"x=1&__Host-access_token=%s",
    b"access_token=%s",
    b"__Secure-access_token=%s",
    b"__Http-access_token=%s",
    b"x=__Host-access_token=%s",
]


@pytest.mark.parametrize("spoof", SPOOFS)
async def test_no_other_spelling_of_a_name_counts_as_ours(spoof: bytes) -> None:
    """Attack 26: names are compared byte for byte; nothing is stripped, unquoted, decoded or folded."""
    home = await house(mode="cookies", url=HTTPS)
    device = await home.signed_in()
    line = spoof % device.access.encode()
    answer = await call(home.app, "GET", "/auth/me", headers=[("cookie", line)])
    assert (answer.status, answer.code) == (401, "invalid_token")
    assert answer.get("www-authenticate") == "Bearer", "it counts as a request without any token"
    refresh = spoof.replace(b"access", b"refresh").replace(b"Access", b"Refresh") % device.held.encode()
    answer = await call(home.app, "POST", "/auth/refresh", headers=[("cookie", refresh), ("origin", HTTPS)])
    assert (answer.status, answer.get("www-authenticate")) == (401, "Bearer")


@pytest.mark.parametrize(
    "value", ['"%s"', "%s ", " %s", '"%s', '%s"', "%%22%s%%22", "%s\t", "\\%s", "%s,%s", "%s="]
)
async def test_a_value_is_taken_as_it_is(value: str) -> None:
    """Attack 26: a quoted value is not unquoted, so that a quoted «sandwich» of cookies yields nothing."""
    home = await house(mode="cookies")
    device = await home.signed_in()
    for name, token, method, path in [
        ("access_token", device.access, "GET", "/auth/me"),
        ("refresh_token", device.held, "POST", "/auth/refresh"),
    ]:
        line = f"{name}={value.replace('%s', token).replace('%%', '%')}"
        answer = await call(home.app, method, path, headers=[("cookie", line), ("origin", HTTP)])
        assert (answer.status, answer.code) == (401, "invalid_token")


async def test_a_quoted_sandwich_does_not_hide_or_leak_our_cookie() -> None:
    """Attack 26: quotes that open before our cookie and close behind it change nothing about it."""
    home = await house(mode="cookies")
    device = await home.signed_in()
    line = f'$Version=1; a="1; access_token={device.access}; b=2"'
    assert (await call(home.app, "GET", "/auth/me", headers=[("cookie", line)])).status == 200


async def test_hundreds_of_cookies_and_very_long_ones_do_no_harm() -> None:
    """Attack 27: the jar of a browser with 300 foreign cookies, and one cookie of 8 kB."""
    home = await house(mode="cookies")
    device = await home.signed_in()
    many = "; ".join(f"c{number}={'v' * 20}" for number in range(300))
    ours = f"access_token={device.access}"
    for line in [f"{many}; {ours}", f"{ours}; {many}", f"big={'x' * 8192}; {ours}"]:
        assert (await call(home.app, "GET", "/auth/me", headers=[("cookie", line)])).status == 200
    for line in [f"access_token={'x' * 8193}", f"access_token={'.' * 8000}", "=" * 8192, ";" * 8192]:
        answer = await call(home.app, "GET", "/auth/me", headers=[("cookie", line)])
        assert (answer.status, answer.code) == (401, "invalid_token")
    for line in [f"refresh_token={'x' * 8193}", f"refresh_token=wwr_{'A' * 8000}"]:
        answer = await call(home.app, "POST", "/auth/refresh", headers=[("cookie", line), ("origin", HTTP)])
        assert (answer.status, answer.code) == (401, "invalid_token")


async def test_our_cookies_together_leave_room_in_a_header() -> None:
    """Attack 27, ASVS 3.3.5, 4.2.5: name and value of each under 4,096 bytes, both together under 4 kB."""
    home = await house(mode="cookies", url=HTTPS)
    device = await home.signed_in()
    pairs = [f"{name}={value}" for name, value in device.jar.items()]
    assert max(map(len, pairs)) <= 4096
    assert len("; ".join(pairs)) <= 4096


@given(st.text(max_size=40))
def test_a_set_cookie_line_cannot_be_split_or_ended_by_its_value(value: str) -> None:
    """Attack 28: CR, LF, NUL, semicolon, comma, quote, space and non-ASCII cannot get in; nothing is escaped."""
    jar = cookies(Settings(url=HTTPS))
    if value and re.fullmatch(VALUE, value):
        [(_, raw_line)] = jar.refresh.set(value, max_age=60)
        line = raw_line.decode()
        attributes = "; Path=/; Secure; HttpOnly; SameSite=Strict"
        assert line == f"__Host-refresh_token={value}; Max-Age=60{attributes}"
    else:
        with pytest.raises(ValueError):  # noqa: PT011 - UnicodeEncodeError is one
            jar.refresh.set(value, max_age=60)


@pytest.mark.parametrize("evil", ["\r", "\n", "\0", ";", ",", " ", '"', "\\", "é", "\x7f"])
def test_each_character_that_could_end_a_value_is_refused(evil: str) -> None:
    """Attack 28, one by one."""
    cookie = cookies(Settings()).access
    for value in (evil, f"a{evil}", f"{evil}a", f"a{evil}b"):
        with pytest.raises(ValueError):  # noqa: PT011 - UnicodeEncodeError is one
            cookie.set(value, max_age=1)


@given(
    st.lists(st.binary(max_size=60), max_size=4), st.sampled_from([b"x-cookie", b"cookie2", b"set-cookie"])
)
def test_reading_never_fails_otherwise_than_by_saying_so(lines: list[bytes], name: bytes) -> None:
    """Attacks 25–27: whatever bytes a Cookie header holds, the answer is a value, nothing or DuplicateCookie."""
    cookie = Cookie("access_token", ("; Path=/",))
    headers = [(b"cookie", line) for line in lines] + [(name, b"access_token=a")]
    try:
        value = cookie.read(headers)
    except DuplicateCookie:
        assert b"".join(lines).count(b"access_token=") >= 2
    else:
        assert value is None or b"access_token=" + value in b"\n".join(lines)


def test_the_access_cookie_is_lax_and_the_refresh_cookie_strict() -> None:
    """A link from a mail brings the short token and never the long one."""
    jar = cookies(Settings(url=HTTPS))
    assert [scope.rpartition("; ")[2] for scope in jar.access.scopes] == ["SameSite=Lax"]
    assert [scope.rpartition("; ")[2] for scope in jar.refresh.scopes] == ["SameSite=Strict"]
    assert "Domain" not in "".join(jar.access.scopes + jar.refresh.scopes)


def test_whether_a_request_carries_our_cookies_errs_on_the_careful_side() -> None:
    """The CSRF gate must not be told that there are none because of an odd spelling."""
    jar = cookies(Settings())
    for line in [
        "access_token=x",
        "a=1; refresh_token=x",
        "\taccess_token=x",
        "access_token=",
        "x=refresh_token=1",
    ]:
        assert jar.carried(raw([("cookie", line)])), line
    for line in ["", "access_tok=1", "a=1; b=2", "ACCESS_TOKEN=1"]:
        assert not jar.carried(raw([("cookie", line)])), line


async def test_cookies_of_the_http_site_do_not_count_on_https() -> None:
    """Attack 30: what an active attacker can set over http has another name."""
    plain, secure = await house(mode="cookies"), await house(mode="cookies", url=HTTPS)
    device = await plain.signed_in()
    answer = await call(
        secure.app, "GET", "/auth/me", headers=[("cookie", f"access_token={device.access}")], scheme="https"
    )
    assert (answer.status, answer.get("www-authenticate")) == (401, "Bearer")


def test_a_cookie_that_browsers_would_drop_is_never_set() -> None:
    """ASVS 3.3.5: a sign-in that answers 200 and leaves nobody signed in would be worse."""
    cookie = Cookie("__Host-access_token", ("; Path=/; Secure; HttpOnly; SameSite=Lax",))
    room = 4096 - len("__Host-access_token")
    assert cookie.set("x" * room, max_age=1)
    with pytest.raises(ValueError, match="fewer roles or claims"):
        cookie.set("x" * (room + 1), max_age=1)
