"""The faults of the documents' code and designs, W2 to W9 and W13 to W16, of which we have none.

On the server of S1, whose settings come closest to all of them. W1 is in `test_client_fault`,
W4 in `test_refresh_cost`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

import httpx2
import jwt
import pytest

from tests.seeds.house import House, house_of
from tests.seeds.settings import COMMON
from tests.seeds.tabs import (
    DAY,
    PAGE,
    STRANGER,
    code,
    cookie_lines,
    given,
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
from watchword.errors import SettingsError
from watchword.flows.sweep import sweep
from watchword.settings import check_production

T = TypeVar("T")
SECRET = "Kx3vQ9zL7mW2pR8tY5uB1nC6dF4gH0jS-aE"


house = house_of("S1", trusted_origins=PAGE)


def test_w2_a_page_without_memory_renews_by_its_cookie(house: House) -> None:
    """After a reload there is no access token, and so no X-User-Id to send: nothing asks for one."""
    client, token = signed_in(house)
    reloaded = tab(house, rt=held(client, "rt"))
    answer = refresh(reloaded)
    assert profile(reloaded, answer.json()["accessToken"]).status_code == 200
    assert parts(answer.json()["accessToken"])[1]["sub"] == parts(token)[1]["sub"]


def test_w3_a_stray_user_id_passes_preflights_and_changes_nothing(house: House) -> None:
    """Every call of the Axios client carries it; what it says picks nobody's tokens."""
    client, token = signed_in(house)
    for path, method in (("/profile", "GET"), ("/data", "POST"), ("/auth/refresh", "POST")):
        answer = preflight(client, path, method, "authorization", "content-type", "x-user-id")
        assert answer.status_code == 204
        assert "x-user-id" in answer.headers["access-control-allow-headers"]
    mine = parts(token)[1]["sub"]
    for said in (mine, "00000000-0000-7000-8000-000000000000", "' OR 1=1", ""):
        client.headers["x-user-id"] = said
        assert profile(client, token).json()["id"] == mine
        assert parts(refresh(client).json()["accessToken"])[1]["sub"] == mine
    assert code(refresh(tab(house))) == (401, "invalid_token")


def test_w5_every_character_of_a_token_counts(house: House) -> None:
    """bcrypt would let what follows 72 bytes be anything."""
    client, _ = signed_in(house)
    token = held(client, "rt")
    changed = [
        token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :] for place in (40, 75, 83)
    ]
    for wrong in (*changed, token + "A", token[:72], token[:72] + "A" * 12, token.upper()):
        assert code(refresh(tab(house, rt=wrong))) == (401, "invalid_token")
    assert refresh(client).status_code == 200


def test_w6_a_token_of_long_ago_ends_the_session(house: House) -> None:
    """Reuse is told from a token that was never ours, and costs thief and victim the whole family: every generation."""
    client, token = signed_in(house)
    stolen = held(client, "rt")
    for _ in range(3):
        refresh(client).raise_for_status()
        later(house, token, 60)
    assert code(refresh(tab(house, rt=stolen))) == (401, "refresh_reused")
    assert session(house, token)["ended_as"] == "reuse"
    assert code(refresh(client)) == (401, "session_ended")
    assert code(profile(client, token)) == (401, "session_ended")


def test_w7_two_refreshes_at_once_are_one_rotation(house: House) -> None:
    """Over two connections: both are answered with the same token, so there is no fork and nobody is signed out."""
    client, token = signed_in(house)
    tabs = [tab(house, rt=held(client, "rt")) for _ in range(2)]
    for _ in range(5):
        later(house, token, 60)
        before = session(house, token)["newest"]
        answers = _at_once([lambda one=one: refresh(one) for one in tabs])  # type: ignore[misc]
        assert [answer.status_code for answer in answers] == [200, 200]
        [renewed] = {given(answer, "rt") for answer in answers}
        assert session(house, token)["newest"] == before + 1
        for one in tabs:
            one.headers["cookie"] = f"rt={renewed}"


def test_w8_signing_out_gets_the_cookie_and_ends_the_session(house: House) -> None:
    """A cookie for /auth/refresh alone would never arrive: it is set for the routes that end sessions too, and no other
    sees it."""
    client, token = signed_in(house)
    stolen = held(client, "rt")
    routes = ("/auth/refresh", "/auth/login", "/auth/logout", "/auth/me", "/auth/sessions", "/profile")
    assert [route for route in routes if _sent(client, route)] == list(routes[:3])
    assert client.post("/auth/logout").status_code == 200  # without an access token: the cookie alone tells
    assert session(house, token)["ended_as"] == "logout"
    assert code(refresh(tab(house, rt=stolen))) == (401, "session_ended")


def test_w8_signing_in_again_gets_the_cookie_and_ends_the_session_before(house: House) -> None:
    """One session a browser, which a narrow path must not undo; ASVS 7.2.4, attack 32."""
    client, token = signed_in(house)
    assert sign_in(client).status_code == 200
    assert session(house, token)["ended_as"] == "replaced"
    assert code(profile(client, token)) == (401, "session_ended")


def test_w9_clearing_repeats_every_attribute(house: House) -> None:
    """Without Secure and SameSite=None a browser would not take the line from another site, and keep the cookie."""
    client = tab(house)
    given = cookie_lines(sign_in(client))
    assert cookie_lines(client.post("/auth/logout")) == [
        line.replace(f"=…; Max-Age={7 * DAY}", "=; Max-Age=0") for line in given
    ]
    assert list(client.cookies.jar) == []


def test_w13_no_origin_is_reflected_and_no_placeholder_starts(house: House) -> None:
    """What is not listed may not read, whatever it says; a secret from an example is refused before anybody serves."""
    client, token = signed_in(house)
    for origin in (STRANGER, "null", "https://app.example.com.example.net", "http://app.example.com", "*"):
        client.headers["origin"] = origin
        assert code(preflight(client, "/profile", "GET", "authorization")) == (403, "forbidden")
        assert not [name for name in profile(client, token).headers if name.startswith("access-control")]
    for secret in ("change-me-0123456789-abcdefghijklmno", "your-own-secret-0123456789-abcdefghi"):
        with pytest.raises(SettingsError, match="placeholder"):
            check_production(Settings.parse({"secret": secret}))
    with pytest.raises(SettingsError, match="SECRET is missing"):
        Watchword(Settings.parse({"database_url": "memory:"}))


def test_w13_tokens_are_pinned_and_roles_are_of_today(house: House) -> None:
    """Algorithm, issuer, audience, key and id; a change of roles is known at the next request."""
    house.watchword("user", "create", "eve@example.com", "--password-stdin", stdin=PASSWORD)
    client = tab(house)
    token = sign_in(client, email="eve@example.com").json()["accessToken"]
    header, claims = parts(token)
    assert (header["alg"], header["typ"], claims["iss"], claims["aud"]) == (
        "HS256",
        "at+jwt",
        house.url,
        house.url,
    )
    assert header["kid"]
    assert claims["jti"] != parts(refresh(client).json()["accessToken"])[1]["jti"]
    unsigned = jwt.encode(claims, None, algorithm="none", headers=header | {"alg": "none"})  # type: ignore[arg-type]
    others = [jwt.encode(claims, "k" * 64, algorithm=name, headers=header) for name in ("HS256", "HS512")]
    for forged in (unsigned, *others):
        assert code(profile(client, forged)) == (401, "invalid_token")

    house.watchword("user", "role", "eve@example.com", "admin")
    assert _soon(lambda: code(profile(client, token)), (401, "token_expired"))
    assert profile(client, refresh(client).json()["accessToken"]).json()["roles"] == ["admin"]


def test_w14_a_page_of_a_stranger_or_of_a_sibling_host_does_nothing(house: House) -> None:
    """SameSite=None sends the cookie from everywhere, and Strict would from every host of the domain: the origin
    decides, for refreshing, for signing out and for signing in."""
    client, token = signed_in(house)
    before = session(house, token)
    sign = {"email": EMAIL, "password": PASSWORD}
    for lines in (
        {"origin": STRANGER, "sec-fetch-site": "cross-site"},
        {"origin": "https://evil.example.com", "sec-fetch-site": "same-site"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {},
    ):
        forged = tab(house, rt=held(client, "rt"))
        del forged.headers["origin"]
        forged.headers |= lines
        for answer in (refresh(forged), forged.post("/auth/logout"), forged.post("/auth/login", json=sign)):
            assert code(answer) == (403, "csrf_rejected")
            assert cookie_lines(answer) == []
    assert session(house, token) == before
    # Clients of the document expect this bare name; whoever does not gets the prefix that no other host can plant.
    bare = Settings.parse(COMMON | {"mode": "hybrid", "secret": SECRET})
    assert Watchword(bare).site.cookies.refresh.name == "__Host-refresh_token"


def test_w15_sessions_have_an_end_and_a_list(house: House) -> None:
    """However often it is renewed a session ends after `session_max`, and no cookie is promised to live longer; the
    list tells each one's last use."""
    client, token = signed_in(house)
    lives = []
    for _ in range(5):
        later(house, token, 6 * DAY - 60)
        line = refresh(client).raise_for_status().headers.get_list("set-cookie")[0]
        lives.append(int(line.split("Max-Age=")[1].split(";")[0]) / DAY)
    assert lives[:3] == [7, 7, 7]
    assert lives[3] == pytest.approx(6, abs=0.02)
    assert lives[4] < 0.02
    mine = {"authorization": f"Bearer {sign_in(tab(house)).json()['accessToken']}"}
    listed = {one["id"]: one for one in client.get("/auth/sessions", headers=mine).json()["sessions"]}
    assert {"createdAt", "lastUsedAt", "ip", "label"} <= listed[parts(token)[1]["sid"]].keys()
    later(house, token, 600)
    assert code(refresh(client)) == (401, "session_ended")


async def test_w15_what_is_long_over_is_deleted(house: House, anyio_backend: str) -> None:
    """By the loop that every server runs once an hour, here by hand; a week later, so that a replay is still told."""
    _, over = signed_in(house)
    _, live = signed_in(house)
    auth = Watchword(Settings.from_env(house.env))
    left = []
    for days in (7, 10):
        later(house, over, days * DAY)
        await sweep(auth.world)
        left.append({row["sid"] for row in rows(house, "SELECT sid FROM ww_session")})
    await auth.aclose()
    sid, other = parts(over)[1]["sid"], parts(live)[1]["sid"]
    assert [(sid in found, other in found) for found in left] == [(True, True), (False, True)]


def test_w16_two_tabs_that_know_nothing_of_each_other_both_stay_signed_in(house: House) -> None:
    """One renews while the other's request, with the token of before, is on its way, again and again."""
    client, token = signed_in(house)
    other = tab(house, rt=held(client, "rt"))
    for _ in range(3):
        renewed, late = refresh(client), refresh(other)
        assert (renewed.status_code, late.status_code) == (200, 200)
        assert given(late, "rt") == held(client, "rt")
        assert profile(other, late.json()["accessToken"]).status_code == 200
        other.headers["cookie"] = f"rt={held(client, 'rt')}"
        later(house, token, 60)
    assert session(house, token)["ended_at"] is None


def _at_once(calls: Sequence[Callable[[], httpx2.Response]]) -> list[httpx2.Response]:
    """The answers to calls that begin at the same moment."""
    gate = Barrier(len(calls))

    def go(one: Callable[[], httpx2.Response]) -> httpx2.Response:
        gate.wait(10)
        return one()

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(go, calls))


def _sent(client: httpx2.Client, route: str) -> bool:
    """Whether the jar would send our cookie to a route."""
    return "rt=" in client.build_request("POST", route).headers.get("cookie", "")


def _soon(ask: Callable[[], T], wanted: T) -> bool:
    """Whether an answer comes within the second that a change made elsewhere may take, or some more if we are busy."""
    deadline = time.monotonic() + 5
    while (answer := ask()) != wanted and time.monotonic() < deadline:
        time.sleep(0.05)
    return answer == wanted
