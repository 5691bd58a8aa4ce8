"""What every answer of ours carries, and what every refusal looks like: all routes, all errors."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.http.asgi import PROBLEM, Answer, call
from tests.http.devices import ADA, KEPT, PASSWORD, Device, House, add, house, instead
from watchword.core.user import Status
from watchword.errors import Overloaded, Problem, Unavailable, registry
from watchword.flows.follow import poll

ALWAYS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "content-security-policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}
HSTS = "max-age=63072000; includeSubDomains"

Story = Callable[[House, Device], Awaitable[Answer]]


def broken(error: Callable[[], Exception]) -> Story:
    """An answer of a house whose store fails from now on."""

    async def story(home: House, device: Device) -> Answer:
        async def fail(*_: Any, **__: Any) -> Any:
            raise error()

        instead(home.auth.world.store, "find_user", fail)
        return await home.device().sign_in(crashes=True)

    return story


def login(body: bytes, content_type: str | None = "application/json") -> Story:
    async def story(_: House, device: Device) -> Answer:
        lines = [] if content_type is None else [("content-type", content_type)]
        return await device.post("/auth/login", headers=lines, body=body)

    return story


def asked(method: str, path: str, data: Any = None, **options: Any) -> Story:
    async def story(_: House, device: Device) -> Answer:
        return await device.call(method, path, data, **options)

    return story


async def superseded(home: House, device: Device) -> Answer:
    await device.refresh()
    second = device.held
    home.clock.travel("1m")
    await device.refresh()
    home.clock.travel("21s")
    await device.refresh()
    return await device.refresh(second, keep=False)


async def reused(home: House, device: Device) -> Answer:
    first = device.held
    for _ in range(3):
        await device.refresh()
        home.clock.travel("1m")
    return await device.refresh(first)


async def expired(home: House, device: Device) -> Answer:
    home.clock.travel("1h")
    return await device.get("/auth/me")


async def ended(home: House, device: Device) -> Answer:
    await home.auth.sessions.revoke_all(ADA)
    return await device.get("/auth/me")


async def no_longer_fresh(home: House, device: Device) -> Answer:
    home.clock.travel("6m")
    return await device.delete("/auth/sessions")


async def unverified(home: House, device: Device) -> Answer:
    user = await add(home.auth, "new@example.com")
    await home.auth.world.store.change_status(user.id, Status.UNVERIFIED, now=home.clock.now())
    return await device.sign_in("new@example.com")


async def preflight_of_a_stranger(home: House, device: Device) -> Answer:
    trusting = await house(url=home.auth.settings.url, trusted_origins="https://app.example.com")
    lines = [("origin", "https://evil.example"), ("access-control-request-method", "POST")]
    return await trusting.device(origin=None).call("OPTIONS", "/auth/login", headers=lines)


async def ready(home: House, device: Device) -> Answer:
    await poll(home.auth.world, None)
    return await device.get("/auth/health/ready")


async def too_busy(home: House, device: Device) -> Answer:
    async def full(*_: Any) -> bool:
        raise Overloaded(retry_after=2)

    instead(home.auth.world.hasher, "verify", full)
    return await device.sign_in()


async def waiting(home: House) -> Device:
    """A device that has given the right password, where a code is asked for as well."""
    device = home.device()
    assert "next" in (await device.sign_in()).json
    return device


async def enrolled(home: House, device: Device) -> Device:
    assert (await device.post("/auth/factors", {"method": "email"})).status == 200
    return await waiting(home)


async def turned_on(_: House, device: Device) -> Answer:
    return await device.post("/auth/factors", {"method": "email"})


async def turned_on_twice(home: House, device: Device) -> Answer:
    await turned_on(home, device)
    return await turned_on(home, device)


async def turned_off(home: House, device: Device) -> Answer:
    factor = (await turned_on(home, device)).json["factor"]
    return await device.delete(f"/auth/factors/{factor['id']}")


async def half_signed_in(home: House, device: Device) -> Answer:
    await enrolled(home, device)
    return await home.device().sign_in()


async def right_code(home: House, device: Device) -> Answer:
    return await (await enrolled(home, device)).enter(home.code)


async def another_code(home: House, device: Device) -> Answer:
    login = await enrolled(home, device)
    home.clock.travel("30s")
    return await login.resend()


async def another_code_too_soon(home: House, device: Device) -> Answer:
    return await (await enrolled(home, device)).resend()


async def wrong_code(home: House, device: Device) -> Answer:
    login = await enrolled(home, device)
    return await login.enter(f"{(int(home.code) + 1) % 1_000_000:06d}")


async def wrong_codes(home: House, device: Device) -> Answer:
    login = await enrolled(home, device)
    for _ in range(5):
        await login.enter(f"{(int(home.code) + 1) % 1_000_000:06d}")
    return await login.enter(home.code)


async def proved_by_code(home: House, device: Device) -> Answer:
    await device.post("/auth/reauthenticate/code")
    return await device.post("/auth/reauthenticate", {"code": home.code})


async def reset(home: House, device: Device) -> Answer:
    await device.post("/auth/password/forgot", {"email": ADA})
    body = {"token": home.mails[0]["token"], "new_password": "an entirely new engine"}
    return await device.post("/auth/password/reset", body)


REGISTRATION = {"email": "new@example.com", "password": "an entirely new engine"}


async def verified(home: House, device: Device) -> Answer:
    await device.post("/auth/register", REGISTRATION)
    return await device.post("/auth/email/verify", {"token": home.mails[0]["token"]})


async def sign_up_closed(home: House, device: Device) -> Answer:
    closed = await house(url=home.auth.settings.url, signup="closed")
    return await closed.device().post("/auth/register", REGISTRATION)


STORIES: dict[str, tuple[int, str | None, Story]] = {
    "sign-in": (200, None, lambda home, device: device.sign_in()),
    "sign-in by the other name": (
        200,
        None,
        asked("POST", "/auth/login/credentials", {"email": ADA, "password": PASSWORD}),
    ),
    "unverified": (200, None, unverified),
    "refresh": (200, None, lambda home, device: device.refresh()),
    "reauthenticate": (200, None, asked("POST", "/auth/reauthenticate", {"password": PASSWORD})),
    "reauthenticate by code": (200, None, proved_by_code),
    "a code to prove it": (202, None, asked("POST", "/auth/reauthenticate/code")),
    "another address": (202, None, asked("POST", "/auth/email/change", {"email": "new@example.com"})),
    "delete me": (200, None, asked("DELETE", "/auth/me")),
    "change": (
        200,
        None,
        asked(
            "POST",
            "/auth/password/change",
            {"current_password": PASSWORD, "new_password": "an entirely new engine"},
        ),
    ),
    "sign-up": (202, None, asked("POST", "/auth/register", REGISTRATION)),
    "sign-up, of who is there": (202, None, asked("POST", "/auth/register", REGISTRATION | {"email": ADA})),
    "verified": (200, None, verified),
    "another link": (202, None, asked("POST", "/auth/email/verify/resend", {"email": ADA})),
    "forgot": (202, None, asked("POST", "/auth/password/forgot", {"email": ADA})),
    "reset": (200, None, reset),
    "me": (200, None, asked("GET", "/auth/me")),
    "sessions": (200, None, asked("GET", "/auth/sessions")),
    "end others": (200, None, asked("DELETE", "/auth/sessions")),
    "logout": (200, None, asked("POST", "/auth/logout")),
    "logout everywhere": (200, None, asked("POST", "/auth/logout/all")),
    "half a sign-in": (200, None, half_signed_in),
    "right code": (200, None, right_code),
    "another code": (202, None, another_code),
    "factors": (200, None, asked("GET", "/auth/factors")),
    "turned on": (200, None, turned_on),
    "turned off": (200, None, turned_off),
    "live": (200, None, asked("GET", "/auth/health/live")),
    "ready": (200, None, ready),
    "openapi": (200, None, asked("GET", "/auth/openapi.json")),
    "errors": (200, None, asked("GET", "/auth/errors")),
    "jwks": (200, None, asked("GET", "/.well-known/jwks.json")),
    "broken json": (400, "bad_request", login(b"{")),
    "wrong password": (
        401,
        "invalid_credentials",
        asked("POST", "/auth/login", {"email": ADA, "password": "no"}),
    ),
    "wrong proof": (401, "invalid_credentials", asked("POST", "/auth/reauthenticate", {"password": "no"})),
    "wrong code": (401, "code_invalid", wrong_code),
    "no login": (401, "challenge_expired", asked("POST", "/auth/login/2fa", {"code": "012345"})),
    "no link": (
        401,
        "challenge_expired",
        asked("POST", "/auth/password/reset", {"token": None, "new_password": PASSWORD}),
    ),
    "nobody": (401, "invalid_token", lambda home, device: home.device().get("/auth/me")),
    "nothing to refresh": (401, "invalid_token", lambda home, device: home.device().post("/auth/refresh")),
    "expired": (401, "token_expired", expired),
    "ended": (401, "session_ended", ended),
    "reused": (401, "refresh_reused", reused),
    "not fresh": (401, "reauthentication_required", no_longer_fresh),
    "forged": (403, "csrf_rejected", asked("POST", "/auth/logout", headers=[("origin", "null")])),
    "sign-up closed": (403, "signup_closed", sign_up_closed),
    "preflight of a stranger": (403, "forbidden", preflight_of_a_stranger),
    "no route": (404, "not_found", asked("GET", "/auth/no/such/route")),
    "no session": (404, "not_found", asked("DELETE", "/auth/sessions/0199a2b0-0000-7000-8000-000000000000")),
    "wrong method": (405, "method_not_allowed", asked("PUT", "/auth/me")),
    "options": (405, "method_not_allowed", asked("OPTIONS", "/auth/login")),
    "turned on twice": (409, "already_exists", turned_on_twice),
    "superseded": (409, "refresh_superseded", superseded),
    "too large": (413, "payload_too_large", login(b" " * 16_385)),
    "wrong type": (415, "unsupported_media_type", login(b"a=b", "application/x-www-form-urlencoded")),
    "fields": (422, "invalid_request", login(b"{}")),
    "too many wrong codes": (429, "too_many_attempts", wrong_codes),
    "another code too soon": (429, "rate_limited", another_code_too_soon),
    "crash": (500, "internal_error", broken(lambda: RuntimeError("the database is at 10.0.0.5"))),
    "store away": (503, "unavailable", broken(lambda: Unavailable(retry_after=1))),
    "not ready": (503, "unavailable", asked("GET", "/auth/health/ready")),
    "too busy": (503, "overloaded", too_busy),
}


async def told(name: str, **texts: str) -> Answer:
    status, code, story = STORIES[name]
    home = await house(**({"mode": "cookies", "two_factor": "optional"} | texts))
    device = await home.signed_in()
    answer = await story(home, device)
    assert answer.status == status, answer.body
    if code is not None:
        assert answer.code == code
    return answer


def test_the_stories_tell_every_error_that_there_is() -> None:
    """The table below is complete: a new code needs a new line here."""
    told = {code for _, code, _ in STORIES.values() if code is not None}
    assert {kind.code for kind in registry()} == told


@pytest.mark.parametrize("url", ["http://testserver", "https://testserver"])
@pytest.mark.parametrize("name", STORIES)
async def test_every_answer_carries_the_same_careful_headers(name: str, url: str) -> None:
    """ASVS 3.2.1, 3.4.1, 3.4.3–3.4.6, 3.4.8, 3.5.8, 14.3.2, 14.2.2; attacks 91, 92: successes and every error."""
    answer = await told(name, url=url)
    assert {header: answer.get(header) for header in ALWAYS} == ALWAYS
    assert answer.get("strict-transport-security") == (HSTS if url.startswith("https") else None)
    assert answer.get("cache-control") == ("public, max-age=300" if name == "jwks" else "no-store")
    assert answer.get("server") is None
    assert answer.get("x-powered-by") is None


@pytest.mark.parametrize("mode", KEPT)
@pytest.mark.parametrize(
    "name", [name for name in STORIES if name not in ("expired", "reused", "superseded")]
)
async def test_every_answer_is_as_careful_where_one_cookie_is_looked_up(name: str, mode: str) -> None:
    """ASVS 3.2.1, 14.3.2; attack 91: nor is any header there twice where a cookie is renewed on the way."""
    answer = await told(name, mode=mode)
    assert {header: answer.get(header) for header in ALWAYS} == ALWAYS
    assert answer.get("cache-control") == ("public, max-age=300" if name == "jwks" else "no-store")
    assert len({line.partition("=")[0] for line in answer.cookies}) == len(answer.cookies)


@pytest.mark.parametrize("name", STORIES)
async def test_every_body_says_what_it_is(name: str) -> None:
    """ASVS 4.1.1: JSON is UTF-8 by definition, HTML says so; a length that is right."""
    answer = await told(name)
    expected = {"errors": "text/html; charset=utf-8"}
    if STORIES[name][1] is not None:
        assert answer.get("content-type") == PROBLEM
    else:
        assert answer.get("content-type") == expected.get(name, "application/json")
    if name != "errors":
        json.loads(answer.body.decode("utf-8"))
    assert answer.get("content-length") == str(len(answer.body))


@pytest.mark.parametrize("name", [name for name, story in STORIES.items() if story[1] is not None])
async def test_every_refusal_is_a_problem_document_with_our_members(name: str) -> None:
    """RFC 9457, ASVS 16.5.1: type leads to the page of codes, and the status agrees with the line."""
    status, code, _ = STORIES[name]
    body = (await told(name)).problem
    assert body["type"] == f"http://testserver/auth/errors#{code}"
    kind = next(kind for kind in registry() if kind.code == code)
    assert (body["status"], kind.status) == (status, status)
    assert isinstance(body["title"], str)
    assert isinstance(body["detail"], str)
    assert len(body["request_id"]) == 16
    assert body.keys() <= {
        *("type", "title", "status", "detail", "code", "request_id", "errors", "retry_after"),
    }


@pytest.mark.parametrize(
    "name", [name for name, story in STORIES.items() if story[0] in (401, 409, 429, 503)]
)
async def test_challenges_and_retry_times_are_told_in_the_header_too(name: str) -> None:
    """RFC 6750 §3, RFC 9470 §3, RFC 9110 §10.2.3, §15.5.2: no 401 without a challenge."""
    answer = await told(name)
    challenges = {
        "nobody": "Bearer",
        "nothing to refresh": "Bearer",
        "wrong password": "Bearer",
        "wrong proof": "Bearer",
        "wrong code": "Bearer",
        "no login": "Bearer",
        "no link": "Bearer",
        "not fresh": 'Bearer error="insufficient_user_authentication", max_age="300"',
    }
    challenge = answer.get("www-authenticate")
    if name in challenges:
        assert challenge == challenges[name]
    elif answer.status == 401:
        assert challenge is not None
        assert challenge.startswith('Bearer error="invalid_token", error_description="')
    retry = answer.get("retry-after")
    assert retry == (None if "retry_after" not in answer.problem else str(answer.problem["retry_after"]))
    assert (retry is not None) == (answer.status in (409, 429, 503) and name != "turned on twice")


async def test_a_crash_tells_nothing_of_what_happened() -> None:
    """ASVS 16.5.1, attack 96: neither message nor type nor place nor the password."""
    answer = await told("crash")
    for word in (b"10.0.0.5", b"RuntimeError", b"Traceback", b".py", PASSWORD.encode(), ADA.encode()):
        assert word not in answer.body
    assert answer.problem["detail"] == "Something went wrong on our side."


async def test_request_ids_are_never_the_same() -> None:
    """What somebody reads out on the phone finds one line in the log."""
    home = await house()
    ids = {(await call(home.app, "GET", "/auth/me")).problem["request_id"] for _ in range(50)}
    assert len(ids) == 50


async def test_the_page_of_codes_explains_every_code_and_runs_no_script() -> None:
    """RFC 9457 §3.1.1: where `type` leads. ASVS 3.4.3: its policy would not run one either."""
    answer = await told("errors")
    page = answer.body.decode()
    for kind in registry():
        assert f'id="{kind.code}"' in page
        assert kind.title in page
    assert "<script" not in page


async def test_the_published_keys_hold_nothing_private() -> None:
    """Attack 23: no `d`, no `k`, none at all for HS256, and a kid that stays."""
    assert (await told("jwks")).json == {"keys": []}
    for algorithm in ("ES256", "EdDSA"):
        once, again = await told("jwks", algorithm=algorithm), await told("jwks", algorithm=algorithm)
        assert once.json == again.json
        (key,) = once.json["keys"]
        assert not key.keys() & {"d", "k", "p", "q", "dp", "dq", "qi", "oth"}
        assert {"kid", "kty", "alg", "use"} <= key.keys()


def test_no_problem_class_lacks_what_the_document_needs() -> None:
    """DESIGN §4.7: one registry of codes; each with a title, and statuses that exist."""
    kinds = list(registry())
    assert len({kind.code for kind in kinds}) == len(kinds)
    for kind in kinds:
        assert issubclass(kind, Problem)
        assert kind.title
        assert kind.title.isascii(), "titles go into a header"
        assert '"' not in kind.title
        assert 400 <= kind.status < 600
