"""S0, a JWT in a cookie: what its document asks for, one requirement a test. Its faults are in test_s0_faults.

`plain` runs the document's settings. `firm` runs what its security table and its options add to them: a CSRF token,
and a second mode with a refresh cookie; with the cookie names that we would choose, and for a page beside the API.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.programs import run, spoken
from tests.seeds.callers import CALLERS, Python, header, set_cookies
from tests.seeds.forged import aged, parts
from tests.seeds.house import USERNAME, House, house_of
from tests.servers import EMAIL, PASSWORD, Answer, Browser, serving
from watchword.fastapi import install
from watchword.http.authenticate import Authenticator

ROOT = Path(__file__).parents[2]
ADA = {"username": USERNAME, "password": PASSWORD}
WEEK = 7 * 86_400
FIRM = {
    "mode": "jwt_cookie,cookies",
    "access_cookie": "",
    "csrf": "token",
    "cookie_prefix": "auto",
    "cors": "app",
}


plain = house_of("S0")


firm = house_of("S0", **FIRM)


def signed_in(house: House) -> tuple[Python, Answer]:
    client = Python(house)
    answer = client.send("POST", "/auth/login", ADA)
    assert answer.status == 200, answer
    return client, answer


def firmly_signed_in(house: House, **headers: str) -> tuple[Python, str]:
    """A client of `firm`, and the CSRF token that it reads from its cookie from then on."""
    client = Python(house)
    token = client.send("GET", "/auth/csrf").body["csrf_token"]
    answer = client.send("POST", "/auth/login", ADA, {"X-CSRF-Token": token} | headers)
    assert answer.status == 200, answer
    return client, client.jar["__Host-csrf_token"]


def seen_with(house: House, token: str) -> Answer:
    return Python(house).send("GET", "/profile", headers={"Cookie": f"auth_token={token}"})


def test_r1_only_a_valid_jwt_in_the_cookie_gets_in(plain: House) -> None:
    """R1: sign-in puts a JWT into an HttpOnly cookie, which the server checks before every protected route."""
    client, answer = signed_in(plain)
    token = client.jar["auth_token"]
    head, claims, signature = token.split(".")
    assert "; HttpOnly" in set_cookies(answer)["auth_token"]
    assert seen_with(plain, token).status == 200
    unsigned = "eyJhbGciOiJub25lIn0." + claims + "."
    for wrong in ("", "nonsense", f"{head}.{claims}.{signature[::-1]}", unsigned):
        assert seen_with(plain, wrong).status == 401, wrong
    assert client.send("POST", "/auth/logout").status == 200
    assert client.send("GET", "/profile").status == 401


def test_r2_login_takes_a_username_and_signs_who_it_is(plain: House) -> None:
    """R2: `POST /auth/login` with `username` and `password`; the JWT says `sub`, the user's id, and `username`.

    The id is a UUID, and `username` is there because `access_claims` asks for it.
    """
    client, answer = signed_in(plain)
    _, claims = parts(client.jar["auth_token"])
    assert (claims["sub"], claims["username"]) == (answer.body["user"]["id"], USERNAME)


@pytest.mark.parametrize("wrong", [{"password": "wrong"}, {"username": "nobody"}])
def test_r2_login_refuses_wrong_credentials_all_alike(wrong: dict[str, str], plain: House) -> None:
    """R2: credentials are checked, and the answer does not tell which of them was wrong."""
    client = Python(plain)
    answer = client.send("POST", "/auth/login", ADA | wrong)
    assert (answer.status, answer.code, client.jar) == (401, "invalid_credentials", {})


def test_r3_the_cookie_is_httponly_secure_and_lax(plain: House) -> None:
    """R3: `auth_token=<jwt>; HttpOnly; Secure; SameSite=Lax`, and no Domain.

    We add Path=/, without which it would stay below /auth (W10), and Max-Age, for which the session may stay idle:
    the JWT in it is renewed past half of its own, shorter life.
    """
    _, answer = signed_in(plain)
    _, *attributes = set_cookies(answer)["auth_token"].split("; ")
    assert set(attributes) == {"HttpOnly", "Secure", "SameSite=Lax", "Path=/", f"Max-Age={WEEK}"}


@pytest.mark.parametrize("kind", CALLERS)
def test_r4_the_jar_alone_signs_every_request(kind: str, plain: House, tmp_path: Path) -> None:
    """R4: whatever keeps cookies needs nothing else: no header of ours, on any route."""
    client = CALLERS[kind](plain, tmp_path)
    assert client.send("POST", "/auth/login", ADA).status == 200
    for method, path, body in (("GET", "/profile", None), ("POST", "/data", {}), ("GET", "/auth/me", None)):
        assert client.send(method, path, body).status == 200, path


def test_r4_the_authorization_header_counts_for_nothing(plain: House) -> None:
    """R4: no Authorization header; who copies the JWT out of the cookie gets nowhere with one."""
    client, _ = signed_in(plain)
    copied = {"Authorization": f"Bearer {client.jar['auth_token']}"}
    assert Python(plain).send("GET", "/profile", headers=copied).status == 401


def test_r4_a_page_beside_the_api_may_read_its_answers(firm: House) -> None:
    """R4: React or Angular on the API's own origin need nothing more. On another one, with `credentials: "include"`,
    the answers of the app can be read as well once `cors` is `app`; the document has no word about that."""
    client, _ = firmly_signed_in(firm)
    answer = client.send("GET", "/profile", headers={"Origin": firm.page})
    assert answer.status == 200
    assert header(answer, "access-control-allow-origin") == firm.page
    assert header(answer, "access-control-allow-credentials") == "true"


def test_r5_protected_routes_know_the_user(plain: House) -> None:
    """R5: `GET /profile` and `POST /data` find the decoded user at the request."""
    client, answer = signed_in(plain)
    user = answer.body["user"]
    expected = {"id": user["id"], "roles": user["roles"], "username": USERNAME}
    assert client.send("GET", "/profile").body == expected
    assert client.send("POST", "/data", {"a": 1}).body == {"saved": {"a": 1}, "by": user["id"]}


def test_r5_signature_and_expiry_are_both_verified(plain: House) -> None:
    """R5: a token counts until `exp`. Past it, a right signature asks the database whether its session is live: then
    the answer brings a new token, which is how this mode renews itself, and else it is refused."""
    client, _ = signed_in(plain)
    old = aged(plain, client.jar["auth_token"], 3600)
    assert seen_with(plain, old[:-4] + "AAAA").status == 401
    renewed = set_cookies(seen_with(plain, old))["auth_token"]
    assert old not in renewed
    assert client.send("POST", "/auth/logout").status == 200
    refused = seen_with(plain, old)
    assert (refused.status, set_cookies(refused)) == (401, {})


def test_r6_the_guard_stands_before_every_route_that_is_not_public(plain: House) -> None:
    """R6: a guard whose extractor reads the cookie. `install` puts it before the whole app, so that a route which says
    nothing is guarded; the document's guard has to be remembered on each."""
    listed = plain.watchword("routes", "tests.seeds.app:app")
    words = [line.split() for line in listed.splitlines()]
    assert {(line[0], line[2]) for line in words} >= {
        ("public", "/"),
        ("guarded", "/profile"),
        ("guarded", "/data"),
    }
    stranger = Python(plain)
    assert [stranger.send("GET", path).status for path in ("/", "/profile", "/nowhere")] == [200, 401, 401]


def test_r7_logout_clears_the_cookie_and_ends_the_session(plain: House) -> None:
    """R7: `Set-Cookie: auth_token=; Max-Age=0`. We repeat every attribute, without which browsers may keep it (W9), and
    do the optional part as well: the session ends, so that a copy of the cookie is refused at once."""
    client, answer = signed_in(plain)
    sid, token = answer.body["session"]["id"], client.jar["auth_token"]
    assert sid in spoken(run("session", "list", EMAIL, **plain.settings))
    out = client.send("POST", "/auth/logout")
    cleared = "auth_token=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Lax"
    assert (out.status, set_cookies(out), client.jar) == (200, {"auth_token": cleared}, {})
    assert (seen_with(plain, token).status, seen_with(plain, token).code) == (401, "session_ended")
    assert sid not in spoken(run("session", "list", EMAIL, **plain.settings))


def test_r8_no_script_can_read_the_token(plain: House) -> None:
    """R8: the token is in an HttpOnly cookie, and nowhere else that a script could put into localStorage."""
    client, answer = signed_in(plain)
    again = client.send("POST", "/auth/refresh")
    assert "eyJ" not in f"{answer.body}{again.body}"
    assert all("; HttpOnly" in line for each in (answer, again) for line in set_cookies(each).values())


def test_r8_the_token_lives_for_minutes_and_the_cookie_travels_by_https_alone(plain: House) -> None:
    """R8: a short `exp`, and Secure in production, which is when `url` is https."""
    client, answer = signed_in(plain)
    _, claims = parts(client.jar["auth_token"])
    assert claims["exp"] - claims["iat"] == 900
    assert "; Secure" in set_cookies(answer)["auth_token"]


def test_r8_unsafe_requests_need_the_csrf_token_besides_samesite(firm: House) -> None:
    """R8: SameSite plus a CSRF token. With `csrf=token` every unsafe request needs it, sign-in and the app's own
    routes included, and one of another session is none."""
    assert Python(firm).send("POST", "/auth/login", ADA).code == "csrf_rejected"
    client, token = firmly_signed_in(firm)
    _, foreign = firmly_signed_in(firm)
    assert client.send("POST", "/data", {}, {"X-CSRF-Token": token}).status == 200
    for wrong in ({}, {"X-CSRF-Token": foreign}, {"X-CSRF-Token": ""}):
        answer = client.send("POST", "/data", {}, wrong)
        assert (answer.status, answer.code) == (403, "csrf_rejected"), wrong
    from_elsewhere = {"X-CSRF-Token": token, "Origin": "https://evil.example.org"}
    assert client.send("POST", "/data", {}, from_elsewhere).status == 403


def test_r9_every_module_has_its_counterpart(plain: House) -> None:
    """R9: AuthController is our routes, AuthService what they do; UserService is `auth.users`, on the command line
    too; JwtStrategy is `Authenticator`, and JwtAuthGuard what `install` puts before the app."""
    contract = spoken(run("openapi", **plain.settings))
    for route in ("/auth/login", "/auth/logout", "/auth/refresh"):
        assert f'"{route}"' in contract
    users = json.loads(spoken(run("user", "list", "--json", **plain.settings)))
    assert [(user["username"], user["email"]) for user in users] == [(USERNAME, EMAIL)]
    assert callable(install)
    assert callable(Authenticator.principal)
    names = (ROOT / "docs/seeds.md").read_text(encoding="utf-8").partition("## Names\n")[2]
    for module in ("AuthService", "AuthController", "JwtStrategy", "JwtAuthGuard", "UserService"):
        assert f"`{module}`" in names


def test_r10_a_longer_lived_cookie_signs_in_again_silently(firm: House) -> None:
    """R10: a refresh cookie, in mode `cookies`; HttpOnly, it outlives the access token and is exchanged for both."""
    client, token = firmly_signed_in(firm, **{"X-Auth-Mode": "cookies"})
    proof = {"X-CSRF-Token": token}
    answer = client.send("POST", "/auth/refresh", headers=proof)
    lines = set_cookies(answer)
    assert f"; Max-Age={WEEK}; Path=/; Secure; HttpOnly" in lines["__Host-refresh_token"]
    assert "; Max-Age=900; " in lines["__Host-access_token"]
    only = {"Cookie": f"__Host-refresh_token={client.jar['__Host-refresh_token']}"}
    assert Python(firm).send("GET", "/profile", headers=only).status == 401
    browser = Python(firm)
    assert browser.send("GET", "/auth/csrf", headers=only).status == 200
    held = browser.jar["__Host-csrf_token"]
    renewed = {"Cookie": f"{only['Cookie']}; __Host-csrf_token={held}", "X-CSRF-Token": held}
    assert Python(firm).send("POST", "/auth/refresh", headers=renewed).status == 200


def test_r10_without_a_refresh_cookie_the_token_renews_itself(plain: House) -> None:
    """R10: silent renewal in the document's own shape, on the next request or when asked for."""
    client, _ = signed_in(plain)
    before = client.jar["auth_token"]
    assert client.send("POST", "/auth/refresh").status == 200
    assert client.jar["auth_token"] != before


def test_r10_the_csrf_token_is_readable_and_goes_into_a_header(firm: House) -> None:
    """R10: a CSRF token in a cookie that scripts may read, repeated in `X-CSRF-Token`."""
    client = Python(firm)
    answer = client.send("GET", "/auth/csrf")
    line = set_cookies(answer)["__Host-csrf_token"]
    assert "HttpOnly" not in line
    assert "; Secure" in line
    assert answer.body["csrf_token"] == client.jar["__Host-csrf_token"]


def test_r10_a_session_can_be_revoked(plain: House) -> None:
    """R10: revocation, by an administrator and within a second, though the token itself is good for minutes."""
    client, answer = signed_in(plain)
    spoken(run("session", "revoke", answer.body["session"]["id"], **plain.settings))
    assert eventually(lambda: client.send("GET", "/profile").status == 401)
    assert client.send("POST", "/auth/refresh").status == 401


def test_r11_another_server_takes_over_without_being_told(plain: House) -> None:
    """R11: horizontally scalable: a second server of the same settings honours a sign-in at the first at once, and
    hears of a sign-out within a second.

    "Stateless" holds for checking a token, which needs no look-up. A session is a row, or nothing could be revoked.
    """
    client, _ = signed_in(plain)
    with serving(plain.env, origin=plain.url) as second:
        browser = Browser(plain.url, dict(client.jar))
        assert browser.send("GET", "/auth/me", to=second.address).status == 200
        assert client.send("POST", "/auth/logout").status == 200
        assert eventually(lambda: browser.send("GET", "/auth/me", to=second.address).status == 401)


def test_r11_the_checklist_is_there_and_the_doctor_goes_through_it(plain: House) -> None:
    """R11: a checklist for production. On the document's settings the doctor names what they give up."""
    checklist = (ROOT / "docs/production-checklist.md").read_text(encoding="utf-8")
    found = {line.partition(":")[0] for line in run("doctor", **plain.settings).stdout.splitlines()}
    assert {"cookie-prefix", "access-claims"} <= found
    assert all(f"`{check}`" in checklist for check in found)


def eventually(true: Callable[[], bool], *, seconds: float = 10) -> bool:
    """Whether it becomes true; a second is what is promised, and a busy machine is no bug."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.1)
    return False
