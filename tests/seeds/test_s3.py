"""S3: an API whose two tokens travel in cookies, for pages of its own origin.

What happens between password and session is in `test_s3_code`.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator

import httpx2
import pytest

from tests.seeds.house import House, running
from tests.seeds.page_of_s3 import (
    ATTRIBUTES,
    CODE,
    DAY,
    HOUR,
    code_for,
    codes_later,
    enter,
    give_password,
    jar,
    later,
    opened,
    refused,
    rows,
    sign_in,
    signed_in,
    with_jar,
    wrong,
)
from tests.servers import EMAIL, PASSWORD
from watchword import Settings, Watchword
from watchword.core.challenge import REMEMBERED
from watchword.drivers.sweeper import SWEEP_SECONDS


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with running("S3", tmp_path_factory.mktemp("s3")) as house:
        yield house


@pytest.fixture
def browser(house: House) -> Iterator[httpx2.Client]:
    with opened(house) as browser:
        yield browser


def test_r34_credentials_become_a_session_in_cookies_that_scripts_cannot_read(
    house: House, browser: httpx2.Client
) -> None:
    """R34: sign-in with credentials and a code by email, a session of JWTs in HttpOnly cookies, refresh with rotation,
    public routes."""
    code = code_for(house, browser)
    assert refused(browser.get("/profile")) == "invalid_token"
    answer = enter(browser, code)
    assert answer.status_code == 200
    access, refresh = jar(browser)["access_token"], jar(browser)["refresh_token"]
    assert access.count(".") == 2
    assert access not in answer.text
    assert refresh not in answer.text
    assert browser.get("/profile").json()["id"] == answer.json()["user"]["id"]
    assert browser.post("/auth/refresh").status_code == 200
    browser.cookies.clear()
    assert browser.get("/").status_code == 200


def test_r37_a_refresh_replaces_both_cookies(house: House, browser: httpx2.Client) -> None:
    """R37: the refresh cookie alone renews, and both cookies are replaced.

    Deviation: the old token is refused from the use of the new one on, not from its making, so that a lost answer or
    a second tab signs nobody out.
    """
    sid = signed_in(house, browser)
    first = jar(browser)
    later(house, sid, seconds=HOUR)
    del browser.cookies["access_token"]
    assert browser.post("/auth/refresh").status_code == 200
    second = jar(browser)
    assert first.keys() == second.keys() == {"access_token", "refresh_token"}
    assert not set(first.values()) & set(second.values())
    assert browser.get("/profile").status_code == 200


def test_r37_what_is_absent_forged_or_revoked_renews_nothing(house: House, browser: httpx2.Client) -> None:
    """R37: the refresh token must be ours and its session not revoked."""
    assert refused(browser.post("/auth/refresh")) == "invalid_token"
    sid = signed_in(house, browser)
    token = jar(browser)["refresh_token"]
    forged = token[:-2] + ("AA" if token[-2:] != "AA" else "BB")
    assert refused(with_jar(browser, "POST", "/auth/refresh", refresh_token=forged)) == "invalid_token"
    assert with_jar(browser, "POST", "/auth/refresh", refresh_token=token).status_code == 200
    house.watchword("session", "revoke", sid, "--yes")
    assert refused(with_jar(browser, "POST", "/auth/refresh", refresh_token=token)) == "session_ended"


def test_r38_signing_out_clears_both_cookies(house: House, browser: httpx2.Client) -> None:
    """R38: the cookies go, under the attributes that they were set with; without them no browser would let them go."""
    signed_in(house, browser)
    answer = browser.post("/auth/logout")
    assert answer.json() == {"ok": True, "message": "Logged out"}
    assert answer.headers.get_list("set-cookie") == [
        f"{name}=; Max-Age=0; {ATTRIBUTES}" for name in ("access_token", "refresh_token")
    ]
    assert not jar(browser)
    assert refused(browser.get("/profile")) == "invalid_token"


def test_r39_names_lives_and_attributes_of_the_cookies(house: House, browser: httpx2.Client) -> None:
    """R39: cookies of 15 minutes, two_factor_auth and access_token, and of 7 days, refresh_token; HttpOnly, Secure,
    SameSite=Lax.

    Deviation: https in `url` decides about Secure, no name of an environment. The cookie of the second step goes when
    it has served its turn.
    """
    asked, code = house.mail.after(lambda: give_password(browser))
    answers = (asked, enter(browser, code))
    lines = [answer.headers.get_list("set-cookie") for answer in answers]
    assert [[re.sub("=[^;]*", "=", line, count=1) for line in one] for one in lines] == [
        [f"two_factor_auth=; Max-Age={15 * 60}; {ATTRIBUTES}"],
        [
            f"access_token=; Max-Age={15 * 60}; {ATTRIBUTES}",
            f"refresh_token=; Max-Age={7 * DAY}; {ATTRIBUTES}",
            f"two_factor_auth=; Max-Age=0; {ATTRIBUTES}",
        ],
    ]


async def test_r40_the_service_is_reachable_from_python(house: House, browser: httpx2.Client) -> None:
    """R40: credentials are checked and a code issued, the code is checked, both tokens are made and renewed; in Python
    sessions are listed and revoked.

    Deviation: these are use cases behind routes, and a `Watchword` of any process ends what another one has begun.
    """
    assert refused(give_password(browser, "another " + PASSWORD)) == "invalid_credentials"
    code = code_for(house, browser)
    assert refused(enter(browser, wrong(code))) == "code_invalid"
    sid = enter(browser, code).json()["session"]["id"]
    assert browser.post("/auth/refresh").status_code == 200
    auth = Watchword(Settings.from_env(house.env))
    try:
        assert sid in [session.sid for session in await auth.sessions.list(EMAIL)]
        assert await auth.sessions.revoke(sid)
    finally:
        await auth.aclose()
    assert refused(browser.post("/auth/refresh")) == "session_ended"


def test_r41_a_token_used_again_revokes_the_session(house: House, browser: httpx2.Client) -> None:
    """R41: a refresh token is good once; the second use ends it.

    Deviation: it ends the whole session (W6), the newest tokens and the access token too, since nobody can tell which
    of two holders is the thief.
    """
    sid = signed_in(house, browser)
    stolen = jar(browser)["refresh_token"]
    for _ in range(2):
        later(house, sid, seconds=HOUR)
        assert browser.post("/auth/refresh").status_code == 200
    newest = jar(browser)
    later(house, sid, seconds=HOUR)
    assert refused(with_jar(browser, "POST", "/auth/refresh", refresh_token=stolen)) == "refresh_reused"
    assert refused(with_jar(browser, "POST", "/auth/refresh", **newest)) == "session_ended"
    assert refused(with_jar(browser, "GET", "/profile", **newest)) == "session_ended"


def test_r41_what_was_revoked_is_kept_for_seven_days_and_then_purged(
    house: House, browser: httpx2.Client
) -> None:
    """R41: revoked tokens stay known for 7 days, then an hourly job purges them; servers run it, and cron can.

    Deviation: no token is stored, so what is kept and purged is the session's row.
    """
    sid = signed_in(house, browser)
    token = jar(browser)["refresh_token"]
    browser.post("/auth/logout")
    for days, code in ((6, "session_ended"), (1, "invalid_token")):
        later(house, sid, seconds=days * DAY)
        house.watchword("cleanup")
        assert refused(with_jar(browser, "POST", "/auth/refresh", refresh_token=token)) == code
    assert SWEEP_SECONDS == HOUR


def test_r41_a_code_that_has_expired_is_purged(house: House, browser: httpx2.Client) -> None:
    """R41: expired codes go with the hourly job.

    Deviation: 25 hours after their end, since the limits on tries are counted over what is left of a day.
    """
    code_for(house, browser)
    waiting = jar(browser)
    for seconds, left in ((600, True), (REMEMBERED // 1_000_000, False)):
        codes_later(house, seconds=seconds)
        house.watchword("cleanup")
        assert bool(rows(house, "SELECT id FROM ww_challenge")) is left
        answer = with_jar(browser, "POST", CODE, json={"code": "000000"}, **waiting)
        assert refused(answer) == "challenge_expired"


def test_r42_every_route_is_guarded_but_those_marked_public(house: House, browser: httpx2.Client) -> None:
    """R42: one guard over the whole app, and a marker that opens a route.

    Deviation: what matches no route is refused as well, so that nobody learns by asking which ones exist.
    """
    for method, path in (("GET", "/profile"), ("POST", "/data"), ("GET", "/docs"), ("GET", "/no-such-page")):
        assert refused(browser.request(method, path)) == "invalid_token"
    assert browser.get("/").json() == {"hello": "world"}
    declared = json.loads(house.watchword("routes", "tests.seeds.app:app", "--json"))
    assert [row["path"] for row in declared if row["public"]] == ["/auth", "/"], "ours judge for themselves"


def test_r42_the_current_user_comes_from_the_token(house: House, browser: httpx2.Client) -> None:
    """R42: a parameter gives a route the user of the token's payload, whatever the request says besides."""
    user = sign_in(house, browser).json()["user"]
    assert browser.get("/profile").json() == {"id": user["id"], "roles": []}
    sent = {"by": "somebody else"}
    assert browser.post("/data", json=sent).json() == {"saved": sent, "by": user["id"]}


@pytest.mark.parametrize("password", [PASSWORD[:-1], PASSWORD + " ", PASSWORD.upper(), "x" * 72])
def test_w11_no_other_password_is_accepted(browser: httpx2.Client, password: str) -> None:
    """W11: a check that took any password, or compared less than all of it."""
    assert refused(give_password(browser, password)) == "invalid_credentials"
    assert not jar(browser)


def test_w11_neither_answer_nor_time_tells_who_has_an_account(browser: httpx2.Client) -> None:
    """W11: an early return for an unknown address, so that time told who has an account."""
    answers: dict[str, set[str]] = {EMAIL: set(), "nobody@example.com": set()}
    took: dict[str, list[float]] = {email: [] for email in answers}
    for _ in range(7):  # by turns, so that a busy machine is as unfair to both
        for email, seen in answers.items():
            begun = time.perf_counter()
            answer = give_password(browser, "another " + PASSWORD, email)
            took[email].append(time.perf_counter() - begun)
            assert refused(answer) == "invalid_credentials"
            told = {name: text for name, text in answer.headers.items() if name != "date"}
            seen.add(json.dumps([answer.json() | {"request_id": ""}, told]))
    known, unknown = answers.values()
    assert known == unknown
    assert len(known) == 1
    fast, slow = sorted(min(times) for times in took.values())
    assert slow < 1.5 * fast, took


def test_w15_signing_out_ends_the_session_on_the_server(house: House, browser: httpx2.Client) -> None:
    """W15: the document only cleared cookies, so that copies of them stayed good; and there was no list to look at."""
    signed_in(house, browser)
    other = jar(browser)
    browser.cookies.clear()
    sid = signed_in(house, browser)
    copied = jar(browser)
    browser.post("/auth/logout")
    assert refused(with_jar(browser, "GET", "/profile", **copied)) == "session_ended"
    assert refused(with_jar(browser, "POST", "/auth/refresh", **copied)) == "session_ended"
    listed = with_jar(browser, "GET", "/auth/sessions", **other).json()["sessions"]
    [current] = [row for row in listed if row["current"]]
    assert current.keys() == {"id", "label", "ip", "created_at", "last_used_at", "current"}
    assert sid not in [row["id"] for row in listed]


def test_w15_no_session_outlives_its_cap_however_often_it_is_used(
    house: House, browser: httpx2.Client
) -> None:
    """W15: a life that every refresh extends has an end all the same: 30 days, unless set otherwise."""
    sid = signed_in(house, browser)
    later(house, sid, seconds=30 * DAY - 60, idle=False)
    lines = browser.post("/auth/refresh").headers.get_list("set-cookie")
    lives = [int(found[1]) for line in lines if (found := re.search("Max-Age=([0-9]+)", line))]
    assert len(lives) == 2
    assert all(0 < life <= 60 for life in lives), lives
    later(house, sid, seconds=60, idle=False)
    assert refused(browser.post("/auth/refresh")) == "session_ended"
