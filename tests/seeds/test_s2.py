"""S2: the access token in the body, a JWT refresh token in a cookie behind its own guard; one test a requirement."""

from __future__ import annotations

import time
from base64 import urlsafe_b64encode

import jwt

from tests.seeds.house import House, house_of
from tests.seeds.tabs import (
    DAY,
    PAGE,
    code,
    cookie_lines,
    held,
    later,
    parts,
    profile,
    refresh,
    rows,
    session,
    sign_in,
    signed_in,
    tab,
)

NOBODY_ELSES = "Secure; HttpOnly; SameSite=Strict"


house = house_of("S2", trusted_origins=PAGE)


def test_r27_signing_in_answers_with_one_token_and_sets_the_other(house: House) -> None:
    """`access_token` for 15 minutes; `refresh_token` for 7 days, HttpOnly, Secure, Strict, for its own route.

    The cookie is set for /auth/logout as well: the document has no way to sign out, and its path would allow none (W8);
    and for /auth/login, which ends the session that it replaces.
    """
    answer = sign_in(tab(house))
    body = answer.json()
    assert (body["token_type"], body["expires_in"]) == ("Bearer", 900)
    assert parts(body["access_token"])[1]["exp"] - parts(body["access_token"])[1]["iat"] == 900
    assert cookie_lines(answer) == [
        f"refresh_token=…; Max-Age={7 * DAY}; Path=/auth/{route}; {NOBODY_ELSES}"
        for route in ("refresh", "login", "logout")
    ]


def test_r28_the_access_token_counts_in_the_authorization_header_alone(house: House) -> None:
    """Memory to header: neither a cookie nor a query string is another way in."""
    client, token = signed_in(house)
    assert profile(client, token).status_code == 200
    for attempt in (
        client.get("/profile"),
        client.get("/profile", params={"access_token": token}),
        tab(house, access_token=token).get("/profile"),
    ):
        assert code(attempt) == (401, "invalid_token")


def test_r29_a_refresh_needs_the_cookie_alone(house: House) -> None:
    """The jar sends it by itself; the answer has a new `access_token`, which works.

    The cookie is renewed with it: the document recommends rotation, and says elsewhere that only the access token
    comes back.
    """
    client, token = signed_in(house)
    answer = refresh(client)
    renewed = answer.json()["access_token"]
    assert renewed != token
    assert profile(client, renewed).status_code == 200
    assert len(cookie_lines(answer)) == 3


def test_r30_each_guard_lets_its_own_token_in_and_no_other(house: House) -> None:
    """The guard of routes takes no refresh token, that of /auth/refresh no access token and no forged JWT."""
    client, token = signed_in(house)
    genuine = held(client, "refresh_token")
    assert (parts(genuine)[0]["typ"], parts(genuine)[1]["sub"]) == ("rt+jwt", parts(token)[1]["sub"])
    assert code(client.get("/profile")) == (401, "invalid_token")
    assert code(profile(client, genuine)) == (401, "invalid_token")
    header, claims = parts(genuine)
    forged = {
        "an access token": token,
        "another key": jwt.encode(claims, "k" * 32, headers=header),
        "no algorithm": _unsigned(genuine),
        "another generation": _altered(genuine),
        "no signature": genuine.rpartition(".")[0] + ".",
    }
    for what, value in forged.items():
        assert code(refresh(tab(house, refresh_token=value))) == (401, "invalid_token"), what
    assert refresh(tab(house, refresh_token=genuine)).status_code == 200


def test_r31_no_body_has_a_refresh_token_and_a_rendering_server_may_refresh_too(house: House) -> None:
    """Scripts never see it, so there is nothing to put into localStorage. A server that renders pages passes the
    cookie on and says for which origin it does; without that a request with our cookies could be anybody's."""
    client, _ = signed_in(house)
    for answer in (sign_in(client), refresh(client)):
        assert "refresh_token" not in answer.json()
        assert held(client, "refresh_token") not in answer.text
        assert all("; HttpOnly" in line for line in cookie_lines(answer))
    server = house.client()
    server.headers |= {"connection": "close", "cookie": f"refresh_token={held(client, 'refresh_token')}"}
    assert code(refresh(server)) == (403, "csrf_rejected")
    server.headers["origin"] = PAGE
    token = refresh(server).json()["access_token"]
    assert server.get("/profile", headers={"authorization": f"Bearer {token}"}).status_code == 200


def test_r32_access_lives_for_15_minutes_refresh_for_7_days_rotated(house: House) -> None:
    """Rotated but within 20 s of the last time, when the same token is given again: two tabs may refresh at once."""
    client, token = signed_in(house)
    tokens = [held(client, "refresh_token")]
    for seconds in (0, 0, 21):
        later(house, token, seconds)
        refresh(client).raise_for_status()
        tokens.append(held(client, "refresh_token"))
    assert tokens[0] != tokens[1] == tokens[2] != tokens[3]
    claims = parts(tokens[0])[1]
    assert abs(claims["exp"] - time.time() - 7 * DAY) < 60
    later(house, token, 7 * DAY + 1)
    assert code(refresh(client)) == (401, "session_ended")


def test_r33_the_limits_that_the_document_states_are_gone(house: House) -> None:
    """A row a session, and no hash of each token; a thief's renewal is told; access tokens end at once; clocks may
    differ, as answers tell how long a token lives and not until when."""
    client, token = signed_in(house)
    stolen = held(client, "refresh_token")
    for _ in range(2):
        refresh(client).raise_for_status()
        later(house, token, 60)
    refresh(client).raise_for_status()
    later(house, token, 60)
    assert profile(client, token).status_code == 200
    assert code(refresh(tab(house, refresh_token=stolen))) == (401, "refresh_reused")
    assert session(house, token)["ended_as"] == "reuse"
    assert code(profile(client, token)) == (401, "session_ended")
    assert code(refresh(client)) == (401, "session_ended")

    before = len(rows(house, "SELECT sid FROM ww_session"))
    client, token = signed_in(house)
    for _ in range(3):
        assert refresh(client).raise_for_status().json()["expires_in"] == 900
    assert len(rows(house, "SELECT sid FROM ww_session")) == before + 1


def _unsigned(token: str) -> str:
    header = urlsafe_b64encode(b'{"alg":"none","typ":"rt+jwt"}').rstrip(b"=").decode()
    return f"{header}.{token.split('.')[1]}."


def _altered(token: str) -> str:
    """The same signature under claims of another generation."""
    header, _, signature = token.split(".")
    changed = jwt.encode(parts(token)[1] | {"gen": 7}, "k" * 32).split(".")[1]
    return f"{header}.{changed}.{signature}"
