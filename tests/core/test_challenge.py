"""Challenges: how a secret and a code look, what is stored of them, and what the budgets allow."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchword.core.challenge import (
    CODES,
    CODES_AN_HOUR,
    LIFE,
    LINK_LIFE,
    LINKS,
    LINKS_AN_HOUR,
    OVER,
    RESEND_AFTER,
    RESENDS_AN_HOUR,
    SKEW,
    TRIES,
    TRIES_A_DAY,
    Challenge,
    Codes,
    Kind,
    Refused,
    Spent,
    Why,
    code_text,
    digest_of,
    digest_of_secret,
    is_code,
    may_begin,
    may_link,
    may_resend,
    may_try,
    resent,
    spent,
    token,
)
from watchword.core.keys import KeyRing, Purpose
from watchword.spans import DAY, HOUR, SECOND

NOW = 1_800_000_000 * SECOND
TTL = 600 * SECOND
ROOT, OTHER = b"a root secret that is long enough", b"another one that is long enough"
ROW = Challenge(
    id="0190a0b0-0000-7000-8000-000000000000",
    kind=Kind.LOGIN,
    user_id="u",
    digest=bytes(32),
    code=b"",
    payload={},
    created_at=NOW,
    sent_at=NOW,
    expires_at=NOW + TTL,
)
secrets = st.binary(min_size=32, max_size=32)


@given(secrets)
def test_a_secret_travels_and_is_found_by_its_digest(secret: bytes) -> None:
    """W12: the secret is in the cookie, its SHA-256 in the database."""
    text = token(secret)
    assert text.startswith("wwc_")
    assert digest_of(text) == digest_of_secret(secret) == hashlib.sha256(secret).digest()


@given(secrets)
def test_a_secret_has_one_spelling(secret: bytes) -> None:
    """The last character of base64 has bits to spare: another one of the same bytes is not ours."""
    text = token(secret)
    spare = [text[:-1] + chr(number) for number in range(128) if chr(number) != text[-1]]
    assert all(digest_of(other) != digest_of(text) for other in spare)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "wwc_",
        "wwr_" + "A" * 43,
        "A" * 43,
        "wwc_" + "A" * 42,
        "wwc_" + "A" * 44,
        "wwc_" + "A" * 43 + "=",
        "wwc_" + "A" * 43 + "\n",
        "WWC_" + "A" * 43,
        "wwc_" + "+" * 43,
        "wwc_" + "é" * 43,
        "wwc_" + "A" * 100_000,
        hashlib.sha256(b"").hexdigest(),
    ],
)
def test_what_cannot_be_a_secret_is_none(text: str) -> None:
    assert digest_of(text) is None


@given(st.integers(0, CODES - 1))
def test_every_code_is_six_digits(number: int) -> None:
    """ASVS 6.5.4."""
    text = code_text(number)
    assert is_code(text)
    assert int(text) == number


@given(st.text(max_size=8))
def test_only_six_ascii_digits_are_a_code(text: str) -> None:
    """Attack 57."""
    plain = len(text) == 6 and all("0" <= character <= "9" for character in text)
    assert is_code(text) is plain


def test_a_code_is_right_for_its_challenge_alone() -> None:
    """ASVS 6.6.2."""
    codes = Codes(KeyRing([ROOT]))
    row = replace(ROW, code=codes.digest("012345", challenge_id=ROW.id))
    assert codes.right("012345", row)
    for wrong in ("012346", "12345", "0123450", "", "０１２３４５"):  # noqa: RUF001
        assert not codes.right(wrong, row)
    assert not codes.right("012345", replace(row, id="another"))
    assert not codes.right("012345", replace(row, code=b""))
    assert not codes.right("012345", replace(row, code=row.code[:-1]))


def test_what_is_stored_of_a_code_needs_the_key_to_be_tried() -> None:
    """ASVS 6.5.2: all million codes under every other key of ours, or without one, and none is it."""
    ring = KeyRing([ROOT])
    stored = Codes(ring).digest("012345", challenge_id=ROW.id)
    other = Codes(KeyRing([OTHER])).digest("012345", challenge_id=ROW.id)
    assert stored != other
    assert stored[3:] != hashlib.sha256(b"012345").digest()
    assert ring.signing.key(Purpose.CHALLENGE) not in {
        ring.signing.key(purpose) for purpose in Purpose if purpose is not Purpose.CHALLENGE
    }


def test_a_code_survives_the_rotation_of_keys_and_not_the_loss_of_its_own() -> None:
    """ASVS 11.2.2."""
    row = replace(ROW, code=Codes(KeyRing([ROOT])).digest("012345", challenge_id=ROW.id))
    assert Codes(KeyRing([OTHER, ROOT])).right("012345", row)
    assert not Codes(KeyRing([OTHER])).right("012345", row)


@pytest.mark.parametrize(
    ("now", "opened"),
    [
        (NOW, True),
        (NOW + TTL - 1, True),
        (NOW + TTL, False),
        (NOW - SKEW, True),
        (NOW - SKEW - 1, False),
    ],
)
def test_a_challenge_is_open_from_its_code_on_until_it_expires(now: int, opened: bool) -> None:
    """ASVS 6.5.5; attack 63."""
    assert ROW.open(now) is opened
    assert not replace(ROW, ended_at=NOW).open(now)
    assert (may_try(ROW, Spent(), now) == OVER) is not opened


def test_budgets_are_refused_at_their_limit_with_the_instant_that_helps() -> None:
    """ASVS 6.6.3; attacks 51, 55."""
    day = Spent(tries=TRIES_A_DAY, tries_until=NOW + 5)
    assert may_try(ROW, Spent(tries=TRIES_A_DAY - 1), NOW) is None
    assert may_try(ROW, day, NOW) == may_begin(day) == Refused(Why.TRIED, NOW + 5)
    assert may_try(replace(ROW, tries=TRIES), Spent(), NOW) == Refused(Why.SPENT, ROW.expires_at)
    assert may_begin(Spent(codes=CODES_AN_HOUR - 1)) is None
    assert may_begin(Spent(codes=CODES_AN_HOUR, codes_until=NOW + 6)) == Refused(Why.SENT, NOW + 6)
    later = NOW + RESEND_AFTER
    assert may_resend(ROW, Spent(), later) is None
    assert may_resend(ROW, Spent(), later - 1) == Refused(Why.SENT, later)
    again = Spent(resends=RESENDS_AN_HOUR, resends_until=NOW + 7)
    assert may_resend(ROW, again, later) == Refused(Why.SENT, NOW + 7)
    assert may_resend(ROW, day, later) == Refused(Why.TRIED, NOW + 5)
    assert may_resend(replace(ROW, ended_at=NOW), again, later) == OVER


def test_another_code_has_a_life_of_its_own_within_that_of_the_login() -> None:
    """R39; attack 55: the tries stay."""
    tried = replace(ROW, tries=3)
    after = resent(tried, b"new", now=NOW + 60 * SECOND, ttl=TTL)
    assert (after.code, after.sends, after.tries) == (b"new", 2, 3)
    assert after.expires_at == NOW + 660 * SECOND
    assert resent(tried, b"", now=NOW + 599 * SECOND, ttl=TTL).expires_at == NOW + LIFE


rows = st.builds(
    lambda age, tries, sends, life: replace(
        ROW, created_at=NOW - age, sent_at=NOW - age, expires_at=NOW - age + life, tries=tries, sends=sends
    ),
    st.integers(0, 2 * DAY),
    st.integers(0, TRIES),
    st.integers(1, 6),
    st.integers(60 * SECOND, LIFE),
)


@given(st.lists(rows, max_size=12))
def test_what_is_used_up_is_free_again_at_the_instant_that_is_told(challenges: list[Challenge]) -> None:
    """A client that waits for so long finds less counted, and one µs earlier it does not."""
    used = spent(challenges, NOW)
    assert used.tries == sum(row.tries for row in challenges if row.expires_at > NOW - DAY)
    assert used.codes == sum(row.sends for row in challenges if row.sent_at > NOW - HOUR)
    for count, until in (
        ("tries", used.tries_until),
        ("codes", used.codes_until),
        ("resends", used.resends_until),
    ):
        assert (until is None) is (getattr(used, count) == 0)
        if until is not None:
            assert getattr(spent(challenges, until), count) < getattr(used, count)
            assert getattr(spent(challenges, until - 1), count) == getattr(used, count)


def test_five_links_of_a_kind_an_hour() -> None:
    """DESIGN §4.5: those of the last hour count, used or not; no code does."""
    link = replace(ROW, kind=Kind.RESET)
    four = [link, replace(link, ended_at=NOW), link, link]
    old = replace(link, sent_at=NOW - HOUR)
    assert may_link([*four, old, ROW, ROW, ROW], Kind.RESET, NOW)
    assert not may_link([*four, link], Kind.RESET, NOW)
    assert not may_link([*four, replace(link, sent_at=NOW - HOUR + 1)], Kind.RESET, NOW)
    assert LINKS_AN_HOUR == 5


def test_links_are_no_codes() -> None:
    """Attack 55: whoever asks for them uses up nothing that a sign-in needs."""
    links = [replace(ROW, kind=kind) for kind in LINKS for _ in range(3 * CODES_AN_HOUR)]
    assert spent(links, NOW) == Spent()
    assert may_begin(spent([*links, ROW], NOW)) is None


def test_a_link_is_good_for_half_an_hour() -> None:
    """Attack 77."""
    assert LINK_LIFE == 1800 * SECOND
    link = replace(ROW, kind=Kind.RESET, expires_at=NOW + LINK_LIFE)
    assert link.open(NOW + LINK_LIFE - 1)
    assert not link.open(NOW + LINK_LIFE)
