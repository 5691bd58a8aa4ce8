"""Who may read our answers: pages of trusted origins, on every answer that there is, and nobody that looks like one."""

from __future__ import annotations

import json

import pytest

from tests.http.asgi import Answer, Header, call, handshake
from tests.http.devices import ADA, MODES, PASSWORD, SECRET, House, house, instead
from tests.http.origins import APP, HERE, LOCAL, STRANGER, STRANGERS, TRUSTED, leave, preflight, shared, words
from tests.http.test_answers import ALWAYS
from watchword.errors import SettingsError
from watchword.http.cors import CrossOrigin
from watchword.settings import Settings

LOGIN = json.dumps({"email": ADA, "password": PASSWORD}).encode()
ANSWERS: dict[str, tuple[int, str, str, bytes]] = {
    "sign-in": (200, "POST", "/auth/login", LOGIN),
    "public and cached": (200, "GET", "/.well-known/jwks.json", b""),
    "nobody": (401, "GET", "/auth/me", b""),
    "wrong password": (401, "POST", "/auth/login", LOGIN.replace(b"way", b"day")),
    "no route": (404, "GET", "/auth/no/such/route", b""),
    "wrong method": (405, "PUT", "/auth/me", b""),
    "options": (405, "OPTIONS", "/auth/login", b""),
    "too large": (413, "POST", "/auth/login", b" " * 16_385),
    "fields": (422, "POST", "/auth/login", b"{}"),
    "crash": (500, "POST", "/auth/login", LOGIN),
    "not ready": (503, "GET", "/auth/health/ready", b""),
}
answers = pytest.mark.parametrize("name", ANSWERS)


async def told(name: str, home: House, *lines: Header) -> Answer:
    """One of the answers above to a request with these headers."""
    status, method, path, body = ANSWERS[name]
    headers = [*lines, ("content-type", "application/json")]
    if name == "crash":
        instead(home.auth.world.store, "find_user", crash)
    answer = await call(home.app, method, path, headers=headers, body=body, crashes=True)
    assert answer.status == status, answer.body
    return answer


async def crash(*_: object) -> None:
    raise RuntimeError


@answers
@pytest.mark.parametrize("origin", [APP, LOCAL])
async def test_a_trusted_page_may_read_every_answer(name: str, origin: str) -> None:
    """R14; attack 87; ASVS 3.4.2: refusals and crashes as well, or a page could not tell them from a dead network."""
    answer = await told(name, await shared(), ("origin", origin))
    assert leave(answer) == {
        "access-control-allow-origin": origin,
        "access-control-allow-credentials": "true",
        "access-control-expose-headers": "Retry-After, WWW-Authenticate",
    }
    assert answer.get("vary") == "Origin"
    assert {header: answer.get(header) for header in ALWAYS} == ALWAYS


@answers
async def test_nobody_else_may_read_any(name: str) -> None:
    """W13; attack 87; ASVS 3.4.2: no header of CORS at all, and caches learn that the answer depends on the origin:
    what a plain GET has left in one must not be what a trusted page is given."""
    home = await shared()
    for who, lines in (STRANGERS | {"no origin": ()}).items():
        answer = await told(name, home, *(("origin", line) for line in lines))
        assert (leave(answer), answer.get("vary")) == ({}, "Origin"), who


async def test_a_forged_request_is_refused_without_leave_to_read_why() -> None:
    """Attacks 82, 87; ASVS 3.4.2, 3.5.1: the 403 of the gate."""
    home = await shared("cookies")
    for who, lines in STRANGERS.items():
        for method, path in (("POST", "/auth/login"), ("DELETE", "/auth/sessions")):
            answer = await call(home.app, method, path, headers=[("origin", line) for line in lines])
            assert (answer.status, answer.code) == (403, "csrf_rejected"), who
            assert (leave(answer), answer.get("vary")) == ({}, "Origin"), who


async def test_our_own_page_needs_no_leave() -> None:
    """ASVS 3.4.2: browsers let it read what comes from its own origin."""
    home = await shared("cookies")
    answer = await told("sign-in", home, ("origin", HERE))
    assert leave(answer) == {}


@answers
async def test_without_trusted_origins_no_word_of_cors_is_said(name: str) -> None:
    """W13; ASVS 3.4.2: then the answer is the same for every origin, and Vary would only cost caches."""
    home = await house(mode="bearer", url=HERE)
    answer = await told(name, home, TRUSTED)
    assert (leave(answer), answer.get("vary")) == ({}, None)


@pytest.mark.parametrize("mode", MODES)
async def test_a_page_of_another_origin_signs_in_and_stays_signed_in(mode: str) -> None:
    """R14, R24, W3; ASVS 3.4.2: the whole story of a client elsewhere, with a header of its own on every call."""
    home = await shared(mode)
    page = home.device(origin=APP)
    sent: list[Header] = [("x-user-id", "17"), ("x-auth-mode", mode), ("sec-fetch-site", "cross-site")]
    reading = [*sent, TRUSTED]
    writing = reading if mode == "bearer" else sent  # there the device sends its origin by itself
    for path, verb in (("/auth/login", page.sign_in), ("/auth/refresh", page.refresh)):
        assert (await preflight(home.app, TRUSTED, path=path)).status == 204
        answer = await verb(headers=writing)
        assert answer.status == 200, answer.body
        assert answer.get("access-control-allow-origin") == APP
        assert answer.get("access-control-allow-credentials") == "true"
    answer = await page.get("/auth/me", headers=reading)
    assert (answer.status, answer.get("access-control-allow-origin")) == (200, APP)
    home.clock.travel("6m")
    stale = await page.delete("/auth/sessions", headers=writing)
    assert (stale.code, stale.get("access-control-allow-origin")) == ("reauthentication_required", APP)
    assert "www-authenticate" in words(stale.get("access-control-expose-headers"))


async def test_what_an_app_has_said_itself_is_said_once() -> None:
    """Attack 87: two lines of Access-Control-Allow-Origin are none to a browser, and two lists would be read as one."""

    async def app(scope: object, receive: object, send: object) -> None:
        lines = [
            (b"Vary", b"Accept-Encoding, origin"),
            (b"vary", b"Cookie"),
            (b"Access-Control-Allow-Origin", b"*"),
            (b"access-control-allow-credentials", b"false"),
            (b"access-control-expose-headers", b"X-Total, retry-after"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": lines})  # type: ignore[operator]
        await send({"type": "http.response.body", "body": b""})  # type: ignore[operator]

    wrapped = CrossOrigin(app, origins=[APP], always=[], docs="")
    answer = await call(
        CrossOrigin(wrapped, origins=[APP], always=[], docs=""), "GET", "/", headers=[TRUSTED]
    )
    assert sorted(name.lower() for name, _ in answer.headers) == sorted(
        {n.lower() for n, _ in answer.headers}
    )
    assert words(answer.get("vary")) == ["accept-encoding", "cookie", "origin"]
    assert words(answer.get("access-control-expose-headers")) == [
        "retry-after",
        "www-authenticate",
        "x-total",
    ]
    assert answer.get("access-control-allow-origin") == APP
    assert answer.get("access-control-allow-credentials") == "true"


async def test_sockets_and_lifespans_pass_untouched() -> None:
    """Fetch has no CORS for WebSockets: the guard judges where a handshake comes from."""
    seen: list[object] = []

    async def app(scope: object, receive: object, send: object) -> None:
        seen.extend([scope, receive, send])

    wrapped = CrossOrigin(app, origins=[APP], always=[], docs="")
    await handshake(wrapped, "/socket", headers=[STRANGER])
    lifespan = [{"type": "lifespan"}, object(), object()]
    await wrapped(*lifespan)  # type: ignore[arg-type]
    assert all(one is other for one, other in zip(seen[3:], lifespan, strict=True))


@pytest.mark.parametrize(
    "text",
    ["*", "null", "https://*.example.com", "https://app.example.com/path", "app.example.com", "https://"],
)
def test_only_whole_origins_can_be_trusted(text: str) -> None:
    """W13; ASVS 3.4.2: what would have to be a pattern is refused at start."""
    with pytest.raises(SettingsError, match="trusted_origins"):
        Settings.parse({"secret": SECRET, "trusted_origins": text})
