"""Forged requests: what a page of somebody else can make a browser send to our own routes."""

from __future__ import annotations

import pytest

from tests.http.asgi import Answer, Header, call
from tests.http.devices import ADA, BROWSER, MODES, PASSWORD, House, house

HTTP, HTTPS, APP = "http://testserver", "https://auth.example.com", "https://app.example.com"

ROUTES = [
    ("POST", "/auth/login"),
    ("POST", "/auth/login/credentials"),
    ("POST", "/auth/refresh"),
    ("POST", "/auth/logout"),
    ("POST", "/auth/logout/all"),
    ("POST", "/auth/reauthenticate"),
    ("POST", "/auth/reauthenticate/code"),
    ("POST", "/auth/email/change"),
    ("DELETE", "/auth/me"),
    ("DELETE", "/auth/sessions"),
    ("DELETE", "/auth/sessions/0199a2b0-0000-7000-8000-000000000000"),
    ("POST", "/auth/no/such/route"),
    ("PUT", "/auth/me"),
    ("PATCH", "/auth/me"),
    ("TRACE", "/auth/me"),
]
BODIES = {"/auth/login": True, "/auth/login/credentials": True, "/auth/reauthenticate": True}

FORGED = [
    "null",
    "",
    "https://evil.example",
    "https://auth.example.com.evil.example",
    "https://evil.example?auth.example.com",
    "https://evil.example/https://auth.example.com",
    "https://auth.example.com@evil.example",
    "https://user@auth.example.com",
    "https://auth.example.com/",
    "https://auth.example.com:443",
    "https://auth.example.com:8443",
    "http://auth.example.com",
    "https://AUTH.example.com",
    "HTTPS://auth.example.com",
    "https://auth.example.com.",
    "https://xauth.example.com",
    "https://example.com",
    "https://authxexample.com",
    "https://auth.example.com, https://evil.example",
    "https://auth.example.com https://evil.example",
    " https://auth.example.com",
    "https://auth.example.com\t",
    "//auth.example.com",
    "auth.example.com",
    "file://",
    "https://auth%2eexample.com",
    "https://auth。example.com".encode().decode("latin-1"),
    "*",
]


async def signed_in(mode: str = "cookies", url: str = HTTPS, **texts: str) -> tuple[House, list[Header]]:
    """A house, and the cookies of a live session in it."""
    home = await house(mode=mode, url=url, **texts)
    device = await home.signed_in()
    return home, [("cookie", "; ".join(f"{name}={value}" for name, value in device.jar.items()))]


async def send(home: House, method: str, path: str, headers: list[Header]) -> Answer:
    body, lines = b"", list(headers)
    if path in BODIES:
        body = f'{{"email":"{ADA}","password":"{PASSWORD}"}}'.encode()
        if path == "/auth/reauthenticate":
            body = f'{{"password":"{PASSWORD}"}}'.encode()
        lines.append(("content-type", "application/json"))
    return await call(home.app, method, path, headers=lines, body=body, scheme="https")


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize("mode", BROWSER)
async def test_no_unsafe_route_is_carried_out_for_a_forged_origin(mode: str, method: str, path: str) -> None:
    """Attacks 82, 84: with the victim's cookies and without any, unknown routes and methods too."""
    home, cookies = await signed_in(mode)
    told = len(home.events)
    for origin in FORGED:
        for jar in (cookies, []):
            answer = await send(home, method, path, [*jar, ("origin", origin)])
            assert (answer.status, answer.code) == (403, "csrf_rejected"), origin
            assert answer.cookies == []
    assert set(home.told()[told:]) == {"access_denied"}, "nothing else happened"


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_two_origins_are_worth_as_much_as_a_strangers(method: str, path: str) -> None:
    """Attack 84: whichever of two header lines a proxy would believe."""
    home, cookies = await signed_in()
    for first, second in [(HTTPS, HTTPS), (HTTPS, "https://evil.example"), ("https://evil.example", HTTPS)]:
        answer = await send(home, method, path, [*cookies, ("origin", first), ("origin", second)])
        assert (answer.status, answer.code) == (403, "csrf_rejected")


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_the_browsers_own_word_decides_where_there_is_one(method: str, path: str) -> None:
    """Attack 84, Fetch Metadata: a page cannot write Sec-Fetch-Site."""
    home, cookies = await signed_in()
    for site in ("cross-site", "same-site", "", "SAME-ORIGIN", "same-origin, cross-site", "None", "x"):
        for jar in (cookies, []):
            answer = await send(home, method, path, [*jar, ("sec-fetch-site", site)])
            assert (answer.status, answer.code) == (403, "csrf_rejected"), site
            forged = [*jar, ("sec-fetch-site", site), ("origin", "https://evil.example")]
            assert (await send(home, method, path, forged)).code == "csrf_rejected", site
    two = [*cookies, ("sec-fetch-site", "same-origin"), ("sec-fetch-site", "same-origin")]
    assert (await send(home, method, path, two)).code == "csrf_rejected"
    for site in ("same-origin", "none"):
        answer = await send(home, method, path, [*cookies, ("sec-fetch-site", site)])
        assert answer.status != 403, site


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_cookies_without_any_word_of_where_they_come_from_are_refused(method: str, path: str) -> None:
    """ASVS 3.7.5: a browser that tells neither is not served by cookie; a Referer is no proof."""
    home, cookies = await signed_in()
    for more in ([], [("referer", f"{HTTPS}/")], [("x-requested-with", "XMLHttpRequest")]):
        answer = await send(home, method, path, [*cookies, *more])
        assert (answer.status, answer.code) == (403, "csrf_rejected")


@pytest.mark.parametrize("mode", [*MODES, "cookies,bearer", "jwt_cookie,session"])
async def test_programs_without_cookies_need_not_say_where_they_come_from(mode: str) -> None:
    """curl has no jar that a page could abuse."""
    home = await house(mode=mode, url=HTTPS)
    assert (await send(home, "POST", "/auth/login", [])).status == 200
    assert (await send(home, "POST", "/auth/logout", [])).status == 200
    assert (await send(home, "POST", "/auth/refresh", [])).code == "invalid_token"
    answer = await send(home, "POST", "/auth/login", [("cookie", "theme=dark")])
    assert answer.status == 200, "foreign cookies are not ours"


async def test_a_bearer_token_travels_without_an_origin() -> None:
    """Attack 82: refresh and logout of programs, in a configuration with browsers too."""
    home = await house(mode="bearer,cookies", url=HTTPS)
    device = await home.signed_in(mode="bearer")
    assert (await device.refresh()).status == 200
    assert (await device.delete("/auth/sessions")).status == 200
    assert (await device.post("/auth/logout", {"refresh_token": device.held})).status == 200


async def test_without_cookies_in_any_mode_no_origin_is_judged() -> None:
    """A page of anybody may call a bearer API; it has to bring the token itself."""
    home = await house(mode="bearer", url=HTTPS)
    answer = await send(home, "POST", "/auth/login", [("origin", "https://evil.example")])
    assert answer.status == 200


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_our_own_and_trusted_origins_are_allowed(method: str, path: str) -> None:
    """Attack 84: exact matches of the allow list, and nothing near them."""
    home, cookies = await signed_in(trusted_origins=f"{APP}, http://localhost:5173")
    for origin in ("https://app.example.com:444", "http://app.example.com", "http://localhost:5174"):
        answer = await send(home, method, path, [*cookies, ("origin", origin)])
        assert answer.code == "csrf_rejected"
    for origin in (HTTPS, APP, "http://localhost:5173"):
        answer = await send(home, method, path, [*cookies, ("origin", origin)])
        assert answer.status != 403, origin
    site = ("sec-fetch-site", "same-site")
    assert (await send(home, method, path, [*cookies, ("origin", APP), site])).status != 403


async def test_an_explicit_default_port_in_the_settings_is_the_origin_that_browsers_send() -> None:
    """Attack 84: comparing exactly must not lock our own page out."""
    home, cookies = await signed_in(url="https://Auth.Example.com:443/")
    assert (await send(home, "POST", "/auth/refresh", [*cookies, ("origin", HTTPS)])).status == 200


@pytest.mark.parametrize(
    "override",
    ["x-http-method-override", "x-method-override", "x-http-method"],
)
async def test_a_method_in_a_header_or_a_parameter_is_ignored(override: str) -> None:
    """Attack 85: GET stays GET, and changes nothing."""
    home, cookies = await signed_in()
    for method in ("DELETE", "POST"):
        headers = [*cookies, (override, method), ("origin", HTTPS)]
        answer = await call(home.app, "GET", f"/auth/sessions?_method={method}", headers=headers)
        assert answer.status == 200
        assert len(answer.json["sessions"]) == 1
        answer = await call(home.app, "GET", f"/auth/logout?_method={method}", headers=headers)
        assert answer.status == 405
    assert len(await home.auth.sessions.list(ADA)) == 1


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
@pytest.mark.parametrize(("unsafe", "path"), ROUTES)
async def test_safe_methods_change_nothing(method: str, unsafe: str, path: str) -> None:
    """Attack 85, ASVS 3.5.3: a link, an image or a prefetch of any of our addresses, with the victim's cookies."""
    home, cookies = await signed_in()
    told = len(home.events)
    answer = await call(home.app, method, path, headers=[*cookies, ("origin", "https://evil.example")])
    assert answer.status in (200, 404, 405)
    assert answer.cookies == []
    assert len(home.events) == told


async def test_a_simple_form_post_is_refused_twice_over() -> None:
    """Attack 81: what a <form> can send, with and without telling where from; nobody is signed in by it."""
    home = await house(mode="cookies", url=HTTPS)
    credentials = f'{{"email":"{ADA}","password":"{PASSWORD}"}}'.encode()
    for content_type in (
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain",
        "text/plain; charset=utf-8",
        None,
    ):
        lines: list[Header] = [] if content_type is None else [("content-type", content_type)]
        forged = [*lines, ("origin", "https://evil.example")]
        answer = await call(home.app, "POST", "/auth/login", headers=forged, body=credentials)
        assert answer.code == "csrf_rejected"
        answer = await call(home.app, "POST", "/auth/login", headers=lines, body=credentials)
        assert (answer.status, answer.code) == (415, "unsupported_media_type")
    assert set(home.told()) == {"user_created", "access_denied"}


async def test_nobody_is_signed_in_or_out_by_another_site() -> None:
    """Attack 82: login CSRF and logout CSRF."""
    home, cookies = await signed_in()
    for origin in ("null", "https://evil.example"):
        assert (await send(home, "POST", "/auth/login", [("origin", origin)])).cookies == []
        assert (await send(home, "POST", "/auth/logout", [*cookies, ("origin", origin)])).cookies == []
    assert len(await home.auth.sessions.list(ADA)) == 1


@pytest.mark.parametrize("mode", BROWSER)
async def test_the_refusal_comes_before_the_body_is_read(mode: str) -> None:
    """Attack 82: a forged request costs no hashing and no parsing."""
    home = await house(mode=mode, url=HTTPS)

    async def receive() -> dict[str, object]:
        raise AssertionError("the body was asked for")

    sent: list[int] = []

    async def send_(message: dict[str, object]) -> None:
        if message["type"] == "http.response.start":
            sent.append(int(str(message["status"])))

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/auth/login",
        "headers": [(b"origin", b"null"), (b"content-length", b"99999999")],
    }
    await home.app(scope, receive, send_)  # type: ignore[arg-type]
    assert sent == [403]
