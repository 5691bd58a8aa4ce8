"""Refresh tokens as JWTs, from outside: in every mode a client notices no difference but their looks."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode

import pytest

from tests.http.devices import ROTATING, House, house, refresh_token_of
from watchword.http.cookies import MAX_COOKIE
from watchword.settings import RefreshFormat

WINDOW = "20s"
every_mode = pytest.mark.parametrize("mode", ROTATING)
LONGEST_HOST = ".".join(["x" * 63] * 3 + ["x" * 61])


async def house_of_jwts(mode: str, **texts: str) -> House:
    return await house(mode=mode, refresh_format=RefreshFormat.JWT, **texts)


@every_mode
async def test_sign_in_refresh_repeat_and_logout_work_with_a_jwt(mode: str) -> None:
    """R26, R29, R30; S2; attack 34: the token travels where an opaque one does, and two tabs get the same."""
    home = await house_of_jwts(mode)
    device = await home.signed_in()
    first = device.held
    header = json.loads(urlsafe_b64decode(first.partition(".")[0] + "=="))
    assert (header["alg"], header["typ"]) == ("HS256", "rt+jwt")
    home.clock.travel("10m")
    one = await device.refresh(first)
    home.clock.travel("6s")
    other = await device.refresh(first, keep=False)
    assert (one.status, other.status) == (200, 200)
    assert refresh_token_of(one) == refresh_token_of(other) != first
    assert (await device.get("/auth/me")).status == 200
    last = device.held
    body = {"refresh_token": last} if mode == "bearer" else None
    assert (await device.post("/auth/logout", body, keep=False)).status == 200
    assert (await device.refresh(last, keep=False)).code == "session_ended"


@every_mode
async def test_a_replayed_jwt_ends_the_session(mode: str) -> None:
    """R26; attack 33; ASVS 10.4.5: 401 refresh_reused, for its owner too."""
    home = await house_of_jwts(mode)
    device = await home.signed_in()
    stolen = device.held
    for _ in range(2):
        assert (await device.refresh()).status == 200
        home.clock.travel(WINDOW)
    answer = await device.refresh(stolen, keep=False)
    assert (answer.status, answer.code, answer.cookies) == (401, "refresh_reused", [])
    assert (await device.refresh()).code == "session_ended"
    assert home.told()[-1] == "refresh_reused"


@every_mode
async def test_each_jwt_counts_only_in_its_own_place(mode: str) -> None:
    """R30; attacks 19, 47; ASVS 9.2.2: neither is taken for the other, wherever it is put."""
    home = await house_of_jwts(mode)
    device = await home.signed_in()
    refresh, access = device.held, device.access
    assert (await device.refresh(access, keep=False)).code == "invalid_token"
    stranger = home.device()
    for lines in (
        [("authorization", f"Bearer {refresh}")],
        [("cookie", f"{stranger.access_name}={refresh}")],
    ):
        assert (await stranger.get("/auth/me", headers=lines)).status == 401
    assert (await device.get("/auth/me")).status == 200


async def test_the_longest_cookie_is_far_from_what_a_browser_drops() -> None:
    """ASVS 3.3.5; RFC 6265bis §5.6: under the longest name that a host can have."""
    home = await house_of_jwts("cookies", url=f"https://{LONGEST_HOST}:65535")
    device = await home.signed_in()
    assert len(device.refresh_name) + len(device.held) < MAX_COOKIE // 2
    assert (await device.refresh()).status == 200
