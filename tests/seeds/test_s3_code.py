"""S3's code by email: what a password alone is answered, what the code makes of it, how often it may be guessed, and
what of all that a copy of the database tells.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256

import httpx2
import pytest

from tests.seeds.callers import Python
from tests.seeds.house import House, running
from tests.seeds.page_of_s3 import (
    CODE,
    DAY,
    MINUTE,
    RESEND,
    code_for,
    codes_later,
    enter,
    give_password,
    jar,
    opened,
    refused,
    rows,
    with_jar,
    wrong,
)
from tests.seeds.traces import traces
from tests.servers import EMAIL, PASSWORD
from watchword.core.challenge import TRIES, TRIES_A_DAY, Codes, digest_of, token
from watchword.core.keys import KeyRing

GRACE = "grace@example.com"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with running("S3", tmp_path_factory.mktemp("s3")) as house:
        house.watchword("user", "create", GRACE, "--password-stdin", stdin=PASSWORD)
        yield house


@pytest.fixture
def browser(house: House) -> Iterator[httpx2.Client]:
    with opened(house) as browser:
        yield browser


def test_r35_the_right_password_sends_a_code_and_sets_a_cookie(house: House, browser: httpx2.Client) -> None:
    """R35: the password is verified; a code of six digits is made, stored for its life, and mailed; a cookie says
    whose login waits for it."""
    answer, code = house.mail.after(lambda: give_password(browser))
    told = {"step": "two_factor", "methods": ["email"], "expires_in": 10 * MINUTE}
    assert (answer.status_code, answer.json()) == (200, {"next": told})
    assert re.fullmatch("[0-9]{6}", code)
    letter = house.mail.letters[-1]
    assert (letter["To"], letter["From"]) == (EMAIL, "login@example.com")
    assert jar(browser).keys() == {"two_factor_auth"}
    assert refused(browser.get("/profile")) == "invalid_token"
    stored = "SELECT expires_at - created_at FROM ww_challenge WHERE digest = ? AND ended_at IS NULL"
    [(life,)] = rows(house, stored, digest_of(jar(browser)["two_factor_auth"]))
    assert round(life / 1_000_000) == 10 * MINUTE


def test_r35_a_wrong_password_sends_nothing(house: House, browser: httpx2.Client) -> None:
    """R35: credentials come first, and who fails there hears nothing of a second step."""
    before = queued(house)
    for email in (EMAIL, "nobody@example.com"):
        assert refused(give_password(browser, "another " + PASSWORD, email)) == "invalid_credentials"
    assert queued(house) == before


def test_r35_the_status_of_the_user_counts(house: House, browser: httpx2.Client) -> None:
    """R35: a disabled user is sent nothing, and the code that was on its way is worth nothing, even when the user is
    enabled again; who has the right password learns no more than who has a wrong one."""
    code = code_for(house, browser, GRACE)
    waiting, before = jar(browser), queued(house)
    house.watchword("user", "disable", GRACE)
    assert refused(enter(browser, code)) == "challenge_expired"
    browser.cookies.clear()
    assert refused(give_password(browser, email=GRACE)) == "invalid_credentials"
    assert queued(house) == before
    house.watchword("user", "enable", GRACE)
    assert refused(with_jar(browser, "POST", CODE, json={"code": code}, **waiting)) == "challenge_expired"


def test_r36_code_and_cookie_become_a_session(house: House, browser: httpx2.Client) -> None:
    """R36: the code that matches, with its cookie: access_token for 15 minutes, refresh_token for 7 days."""
    answer = enter(browser, code_for(house, browser))
    assert (answer.status_code, answer.json()["user"]["email"]) == (200, EMAIL)
    lines = answer.headers.get_list("set-cookie")
    lives = dict(re.findall("^([a-z_]+)=[^;]+; Max-Age=([0-9]+)", "\n".join(lines), re.M))
    assert lives == {"access_token": str(15 * MINUTE), "refresh_token": str(7 * DAY)}
    assert jar(browser).keys() == lives.keys()
    assert browser.get("/profile").json()["id"] == answer.json()["user"]["id"]


def test_r36_what_does_not_match_or_comes_too_late_opens_nothing(
    house: House, browser: httpx2.Client
) -> None:
    """R36: a code that is wrong, without its cookie, another login's or expired is refused, and nothing has changed.

    Deviation: a code is good for 10 minutes and not for the 15 of its cookie (ASVS 5.0 6.5.5).
    """
    other = code_for(house, browser)
    browser.cookies.clear()
    code = code_for(house, browser)
    waiting = jar(browser)
    assert refused(enter(browser, wrong(code))) == "code_invalid"
    assert refused(enter(browser, other if other != code else wrong(code))) == "code_invalid"
    assert refused(enter(browser, code[:5]), 422) == "invalid_request"
    assert refused(with_jar(browser, "POST", CODE, json={"code": code})) == "challenge_expired"
    forged = token(bytes(32))
    answer = with_jar(browser, "POST", CODE, json={"code": code}, two_factor_auth=forged)
    assert refused(answer) == "challenge_expired"
    codes_later(house, seconds=10 * MINUTE - 5)
    assert refused(with_jar(browser, "POST", CODE, json={"code": wrong(code)}, **waiting)) == "code_invalid"
    codes_later(house, seconds=5)
    assert refused(with_jar(browser, "POST", CODE, json={"code": code}, **waiting)) == "challenge_expired"


def test_w11_a_code_has_five_tries_however_many_come_at_once(house: House, browser: httpx2.Client) -> None:
    """W11: a code of six digits that could be tried for a quarter of an hour without end: five tries are counted,
    before anything is compared, and then the right code is refused too.
    """
    code = code_for(house, browser)
    waiting = {"Cookie": f"two_factor_auth={jar(browser)['two_factor_auth']}"}

    def guess(number: int) -> str | None:
        return Python(house).send("POST", CODE, {"code": wrong(code, number)}, waiting).code

    with ThreadPoolExecutor(8) as guessers:
        told = Counter(guessers.map(guess, range(1, 13)))
    assert told == {"code_invalid": TRIES, "too_many_attempts": 12 - TRIES}
    answer = enter(browser, code)
    assert refused(answer, 429) == "too_many_attempts"
    assert int(answer.headers["retry-after"]) > 0


def test_w11_beginning_again_gives_no_tries_back(house: House, browser: httpx2.Client) -> None:
    """W11: whoever knows the password could begin again after every five: a user has 20 tries a day in all logins,
    and then no code is sent either."""
    for _ in range(TRIES_A_DAY // TRIES):
        code = code_for(house, browser)
        assert {refused(enter(browser, wrong(code, by))) for by in range(1, TRIES + 1)} == {"code_invalid"}
        browser.cookies.clear()
    before = queued(house)
    assert refused(give_password(browser), 429) == "too_many_attempts"
    assert queued(house) == before


def test_w11_sending_again_has_rules(house: House, browser: httpx2.Client) -> None:
    """W11: there were no rules for sending another code: not within 30 seconds, and then the first one is dead."""
    first = code_for(house, browser)
    assert refused(browser.post(RESEND), 429) == "rate_limited"
    codes_later(house, seconds=30)
    answer, second = house.mail.after(lambda: browser.post(RESEND))
    assert answer.status_code == 202
    if first != second:  # as they are but once in a million runs
        assert refused(enter(browser, first)) == "code_invalid"
    assert enter(browser, second).status_code == 200


def test_w12_the_database_holds_neither_secret_nor_code(house: House, browser: httpx2.Client) -> None:
    """W12: the cookie held what the database holds, and codes were stored as they were: here it has the digest of the
    cookie's secret, an HMAC of the code, and the message, while it waits to be sent, encrypted. Nothing of it is in
    the files in any encoding, nor is a digest that a million guesses would find."""
    house.mail.answers["DATA"] = [3.0]  # the message is there, and its row still waits for the server's word
    code = code_for(house, browser)
    presented = jar(browser)["two_factor_auth"]
    digest = digest_of(presented)
    files = [house.database, house.database.with_name(house.database.name + "-wal")]
    matter = b"".join(file.read_bytes() for file in files if file.exists())
    [(sealed, sent_at)] = rows(
        house, "SELECT sealed, sent_at FROM ww_outbox ORDER BY created_at DESC LIMIT 1"
    )
    assert digest is not None
    assert sealed
    assert sent_at is None
    assert digest in matter, "the row has been written to another file"
    assert sealed in matter, "the message has been written to another file"
    text = presented.partition("_")[2]
    raw = urlsafe_b64decode(text + "=")
    assert sha256(raw).digest() == digest
    for secret in (text.encode(), raw, code.encode(), sha256(code.encode()).digest()):
        assert traces(matter, secret) == []
    values = {value for row in everything(house) for value in row}
    assert not values & {code, int(code), code.encode(), presented}


def test_w12_what_the_database_holds_is_good_for_nothing(house: House, browser: httpx2.Client) -> None:
    """W12: the digest from a leaked database is no cookie, and its HMAC is made under a key that is not in there and
    for this one login, so that codes cannot be tried against it."""
    code = code_for(house, browser)
    digest = digest_of(jar(browser)["two_factor_auth"])
    assert digest is not None
    for copied in (token(digest), digest.hex()):
        answer = with_jar(browser, "POST", CODE, json={"code": code}, two_factor_auth=copied)
        assert refused(answer) == "challenge_expired"
    [(challenge_id, stored)] = rows(house, "SELECT id, code FROM ww_challenge WHERE digest = ?", digest)
    ours, others = (
        Codes(KeyRing([key.encode()])) for key in (house.settings["secret"], "another secret" * 3)
    )
    assert ours.digest(code, challenge_id=challenge_id) == stored
    assert ours.digest(code, challenge_id=challenge_id[::-1]) != stored
    assert others.digest(code, challenge_id=challenge_id)[-32:] != stored[-32:]


def test_w12_a_code_is_good_once(house: House, browser: httpx2.Client) -> None:
    """W12: nothing bound a code to a single use: used, it and its cookie are worth nothing to who copied both."""
    code = code_for(house, browser)
    copied = jar(browser)
    assert enter(browser, code).status_code == 200
    assert refused(with_jar(browser, "POST", CODE, json={"code": code}, **copied)) == "challenge_expired"


def queued(house: House) -> set[str]:
    """The messages that there are: rows stay until what they said is of no use any more, sent or not."""
    return {row for (row,) in rows(house, "SELECT id FROM ww_outbox")}


def everything(house: House) -> Iterator[tuple[object, ...]]:
    """Every row of every table."""
    for (table,) in rows(house, "SELECT name FROM sqlite_master WHERE type = 'table'"):
        yield from rows(house, f'SELECT * FROM "{table}"')
