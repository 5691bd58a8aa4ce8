"""S1: the access token in the body, an opaque refresh token in a cookie, an Axios client; one test a requirement.

Its client itself lives in `test_node_stories`, which proves R24 in full.
"""

from __future__ import annotations

import hashlib
import re

import pytest

from tests.seeds.house import HOST, House, house_of
from tests.seeds.settings import SEEDS
from tests.seeds.tabs import (
    DAY,
    FIREFOX,
    OTHER_PAGE,
    PAGE,
    STRANGER,
    code,
    cookie_lines,
    held,
    later,
    parts,
    preflight,
    profile,
    refresh,
    rows,
    session,
    sign_in,
    signed_in,
    tab,
)
from tests.servers import EMAIL, PASSWORD
from watchword import Settings, Watchword
from watchword.http.cookies import cookies

PAGES = f"{PAGE}, {OTHER_PAGE}"
ATTRIBUTES = "Domain=example.com; Secure; HttpOnly; SameSite=None"


house = house_of("S1", trusted_origins=PAGES)


varied = house_of(
    "S1", trusted_origins=PAGES, refresh_format="jwt", csrf="token", refresh_cookie_path="/auth"
)
"""The variations that the document names, all at once: a JWT to refresh with, a CSRF header, a wider path."""


def test_r12_each_variable_of_the_environment_has_a_setting(house: House) -> None:
    """ACCESS_TOKEN_TTL, REFRESH_TOKEN_TTL_DAYS, COOKIE_DOMAIN, NODE_ENV and CORS_ORIGIN, by their effects.

    Names differ (`WATCHWORD_…`). Of two secrets one is left: each kind of token has a key derived from it, and none
    passes for the other. NODE_ENV's part is played by the scheme of `url`.
    """
    client, token = signed_in(house)
    claims = parts(token)[1]
    assert claims["exp"] - claims["iat"] == 900
    cookie = sign_in(client).headers.get_list("set-cookie")[0]
    assert f"Max-Age={7 * DAY}; " in cookie
    assert "; Domain=example.com; Secure; " in cookie
    for origin in (PAGE, OTHER_PAGE):
        client.headers["origin"] = origin
        assert refresh(client).headers["access-control-allow-origin"] == origin
    assert code(refresh(tab(house, rt=token))) == (401, "invalid_token")
    assert code(profile(client, held(client, "rt"))) == (401, "invalid_token")


def test_r13_the_server_is_where_it_is_told_to_be_and_hashes_passwords_slowly(house: House) -> None:
    """Any port, 3000 too. Argon2id in place of bcrypt, which stops at 72 bytes (W5); no cookie parser to add."""
    assert house.url == f"https://{HOST}:{house.port}"
    assert signed_in(house)
    [user] = rows(house, "SELECT digest FROM ww_user WHERE email = ?", EMAIL)
    assert user["digest"].startswith("$argon2id$")


def test_r14_pages_of_listed_origins_may_call_everything_with_credentials(house: House) -> None:
    """The methods and headers that the document lists, the app's own routes included.

    Any other header may be sent too (W3). There is no fallback that reflects any origin: that is fault W13.
    """
    client = tab(house)
    for path in ("/auth/login", "/profile", "/data"):
        answer = preflight(client, path, "PUT", "content-type", "authorization", "x-csrf-token")
        assert answer.status_code == 204
        assert answer.headers["access-control-allow-origin"] == PAGE
        assert answer.headers["access-control-allow-credentials"] == "true"
        assert answer.headers["access-control-allow-methods"] == "GET, POST, PUT, PATCH, DELETE, OPTIONS"
        assert answer.headers["access-control-allow-headers"] == "content-type, authorization, x-csrf-token"
    client.headers["origin"] = STRANGER
    assert code(preflight(client, "/profile", "GET", "authorization")) == (403, "forbidden")


def test_r15_a_user_has_a_unique_address_a_hash_and_sessions(house: House) -> None:
    """Ids are opaque texts in place of numbers, which would tell how many users there are."""
    signed_in(house)
    signed_in(house)
    [user] = rows(house, "SELECT * FROM ww_user WHERE email = ?", EMAIL)
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", user["id"])
    assert len(rows(house, "SELECT sid FROM ww_session WHERE user_id = ?", user["id"])) >= 2
    with pytest.raises(AssertionError, match="There is a user with this address"):
        house.watchword("user", "create", EMAIL.upper(), "--password-stdin", stdin=PASSWORD)


def test_r16_a_session_row_holds_what_is_known_of_a_device_and_no_token(house: House) -> None:
    """Expiry, ending, successor, user agent, address, owner (deleted with it), birth.

    No hash of a token either: tokens are derived again on demand, from the row and a key that is not in the database.
    """
    client, token = signed_in(house)
    refresh(client)
    row = session(house, token)
    assert (row["user_agent"], row["ip"]) == (FIREFOX, "127.0.0.1")
    assert row["created_at"] < row["last_used_at"] < row["idle_until"] < row["ends_at"]
    assert (row["ended_at"], row["parent"], row["newest"]) == (None, 1, 2)
    [owner] = rows(house, "PRAGMA foreign_key_list(ww_session)")
    assert (owner["table"], owner["on_delete"]) == ("ww_user", "CASCADE")
    stored = house.database.read_bytes() + house.database.with_name("watchword.db-wal").read_bytes()
    assert row["seed"] in stored  # so that the search is known to find what is there
    for secret in (held(client, "rt"), token):
        raw = secret.encode()
        digest = hashlib.sha256(raw)
        for form in (raw, raw[-43:], digest.digest(), digest.hexdigest().encode()):
            assert form not in stored


async def test_r17_another_process_with_the_same_settings_knows_the_same_tokens(
    house: House, anyio_backend: str
) -> None:
    """What the module exports: one `Watchword` from the environment, with its users, sessions and tokens."""
    _, token = signed_in(house)
    auth = Watchword(Settings.from_env(house.env))
    async with auth.lifespan():
        principal = auth.authenticate([(b"authorization", f"Bearer {token}".encode())])
        assert principal is not None
        user = await auth.users.get(EMAIL)
        assert principal.id == user.id
        assert principal.sid in {one.sid for one in await auth.sessions.list(EMAIL)}


def test_r18_the_service_issues_renews_and_revokes(house: House) -> None:
    """Claims `sub`, `email`, `roles` for 900 s; a refresh token of 32 bytes of HMAC in place of bcrypt over 64 random
    ones (W4, W5); one session revoked by signing out, all by signing out everywhere.

    Roles are the user's own, where the document names one for everybody.
    """
    house.watchword("user", "create", "bob@example.com", "--role", "user", "--password-stdin", stdin=PASSWORD)
    tabs = [tab(house) for _ in range(3)]
    bodies = [sign_in(one, email="bob@example.com").json() for one in tabs]
    claims = parts(bodies[0]["accessToken"])[1]
    assert (claims["sub"], claims["email"]) == (bodies[0]["user"]["id"], "bob@example.com")
    assert (claims["roles"], claims["exp"] - claims["iat"]) == (["user"], 900)
    assert re.fullmatch("wwr_[A-Za-z0-9_-]{80}", held(tabs[0], "rt"))
    stolen = [tab(house, rt=held(one, "rt")) for one in tabs]
    assert tabs[0].post("/auth/logout").status_code == 200
    assert [refresh(one).status_code for one in stolen] == [401, 200, 200]
    assert tabs[1].post("/auth/logout/all").status_code == 200
    assert [code(refresh(one)) for one in stolen] == [(401, "session_ended")] * 3


def test_r19_a_refresh_replaces_the_token_and_slides_the_session(house: House) -> None:
    """A fresh life, the current user agent and address, a successor; refused when missing, expired or revoked.

    In place of a new row for each token there is one row a session, which counts generations: its lineage.
    """
    client, token = signed_in(house)
    first, before = held(client, "rt"), session(house, token)
    later(house, token, DAY)
    client.headers["user-agent"] = "another browser"
    answer = refresh(client)
    assert (answer.status_code, f"Max-Age={7 * DAY}; " in answer.headers["set-cookie"]) == (200, True)
    assert held(client, "rt") != first
    after = session(house, answer.json()["accessToken"])
    assert after["sid"] == before["sid"]
    assert (after["parent"], after["newest"]) == (before["newest"], before["newest"] + 1)
    assert after["idle_until"] >= before["idle_until"]
    assert (after["user_agent"], after["ip"]) == ("another browser", "127.0.0.1")
    assert code(refresh(tab(house))) == (401, "invalid_token")
    later(house, token, 7 * DAY + 1)
    assert code(refresh(client)) == (401, "session_ended")


def test_r20_the_cookie_rt_has_the_attributes_of_production(house: House) -> None:
    """The same line again for /auth/logout, which the document's path leaves out (W8), and for /auth/login, which ends
    the session that it replaces.

    In development, that is with an http `url`: not Secure, and SameSite=Lax as the setting for it says.
    """
    client = tab(house)
    lines = [
        f"rt=…; Max-Age={7 * DAY}; Path=/auth/{route}; {ATTRIBUTES}"
        for route in ("refresh", "login", "logout")
    ]
    assert cookie_lines(sign_in(client)) == lines
    assert cookie_lines(refresh(client)) == lines
    options = SEEDS["S1"] | {"url": "http://localhost:3000", "cookie_samesite": "lax", "cookie_domain": ""}
    here = Settings.parse(options | {"trusted_origins": "http://localhost:5173"})
    assert cookies(here).refresh.scopes[0] == "; Path=/auth/refresh; HttpOnly; SameSite=Lax"


def test_r21_signing_in_answers_with_an_access_token_and_notes_the_device(house: House) -> None:
    """`accessToken` in the body, `rt` in the jar; 401 for a wrong password and for an unknown address alike."""
    client = tab(house)
    answer = sign_in(client)
    row = session(house, answer.json()["accessToken"])
    assert (row["user_agent"], row["ip"]) == (FIREFOX, "127.0.0.1")
    assert "refreshToken" not in answer.json()
    refusals = [sign_in(tab(house), "wrong"), sign_in(tab(house), email="nobody@example.com")]
    assert [code(refusal) for refusal in refusals] == [(401, "invalid_credentials")] * 2
    assert [cookie_lines(refusal) for refusal in refusals] == [[], []]
    first, second = ({**refusal.json(), "request_id": ""} for refusal in refusals)
    assert first == second


def test_r22_refreshing_needs_the_cookie_and_nothing_else(house: House) -> None:
    """`accessToken` and a new `rt` for the cookie alone; 401 without it and for an invalid one.

    `X-User-Id` chooses nothing: the token itself tells whose it is, so there is no refusal for want of that header.
    """
    client, token = signed_in(house)
    first = held(client, "rt")
    client.headers |= {"x-user-id": "somebody else", "authorization": "Bearer expired"}
    answer = refresh(client)
    assert parts(answer.json()["accessToken"])[1]["sub"] == parts(token)[1]["sub"]
    assert held(client, "rt") != first
    for refused in (tab(house), tab(house, rt="nonsense"), tab(house, rt=first[:-1])):
        assert code(refresh(refused)) == (401, "invalid_token")


def test_r23_signing_out_revokes_and_clears(house: House) -> None:
    """`{"ok": true}`, and a message with it."""
    client, token = signed_in(house)
    stolen = tab(house, rt=held(client, "rt"))
    assert client.post("/auth/logout").json() == {"ok": True, "message": "Logged out"}
    assert list(client.cookies.jar) == []
    assert session(house, token)["ended_as"] == "logout"
    assert code(refresh(stolen)) == (401, "session_ended")


def test_r24_a_client_renews_on_a_401_and_goes_on(house: House) -> None:
    """What the Axios client does, call by call; Axios itself does it in `test_node_stories`."""
    client, token = signed_in(house)
    client.headers["x-user-id"] = parts(token)[1]["sub"]
    assert preflight(client, "/profile", "GET", "authorization", "x-user-id").status_code == 204
    assert profile(client, token).json()["email"] == EMAIL
    assert code(profile(client, token[:-2])) == (401, "invalid_token")
    assert profile(client, refresh(client).json()["accessToken"]).status_code == 200


def test_r25_the_checklist_holds(house: House, varied: House) -> None:
    """Attributes and storage: R16, R20. Here: a new password ends all sessions, the list of devices tells the last use,
    refresh asks for the double-submit header if it is told to, and the access token lives 15 minutes.

    Tokens rotate at every refresh but within 20 s of the last, when the same one is given again (W16).
    """
    client, token = signed_in(house)
    tokens = [held(client, "rt")]
    for seconds in (0, 0, 21):
        later(house, token, seconds)
        assert refresh(client).status_code == 200
        tokens.append(held(client, "rt"))
    assert tokens[0] != tokens[1] == tokens[2] != tokens[3]
    mine = client.get("/auth/sessions", headers={"authorization": f"Bearer {token}"}).json()["sessions"]
    [device] = [one for one in mine if one["current"]]
    assert (device["label"], device["ip"]) == ("Firefox on Linux", "127.0.0.0/24")
    assert device["createdAt"] <= device["lastUsedAt"]
    house.watchword("user", "password", EMAIL, "--password-stdin", stdin=PASSWORD)
    assert code(refresh(client)) == (401, "session_ended")

    page = tab(varied)
    page.headers["x-csrf-token"] = page.get("/auth/csrf").json()["csrfToken"]
    assert sign_in(page).status_code == 200
    del page.headers["x-csrf-token"]
    assert code(refresh(page)) == (403, "csrf_rejected")
    page.headers["x-csrf-token"] = page.get("/auth/csrf").json()["csrfToken"]
    assert refresh(page).status_code == 200


def test_r26_the_variations_are_settings(varied: House) -> None:
    """A JWT with `sub` and `jti`, under a key of its own; a path of choice; a cookie for all hosts of the domain."""
    page = tab(varied)
    page.headers["x-csrf-token"] = page.get("/auth/csrf").json()["csrfToken"]
    answer = sign_in(page)
    [line] = [line for line in answer.headers.get_list("set-cookie") if line.startswith("rt=")]
    value, _, rest = line.partition("=")[2].partition("; ")
    assert rest == f"Max-Age={7 * DAY}; Path=/auth; {ATTRIBUTES}"
    header, claims = parts(value)
    assert (header["typ"], claims["sub"]) == ("rt+jwt", answer.json()["user"]["id"])
    assert {"jti", "sid", "exp"} <= claims.keys()
    assert header["kid"] != parts(answer.json()["accessToken"])[0]["kid"]
