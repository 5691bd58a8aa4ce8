"""Sealed payloads, and when to try again."""

from __future__ import annotations

import pytest

from watchword.core.challenge import LIFE as CODE_LIFE
from watchword.core.challenge import LINK_LIFE
from watchword.core.keys import KeyRing
from watchword.core.mail import (
    LIFE,
    MAX_ERROR,
    Letter,
    Mail,
    Queued,
    Seals,
    head_start,
    next_wait,
    noted,
)
from watchword.spans import HOUR, SECOND

OLD, NEW = b"an old root secret of 32 characters", b"a new root secret of 32 characters!"
NONCE = bytes(range(12))
NOW = 1_800_000_000 * SECOND


def queued(tries: int, *, expires_in: int = LIFE) -> Queued:
    mail = Mail("an id", "ada@example.org", "test", b"", NOW, NOW + expires_in)
    return Queued(mail, tries=tries, next_at=NOW)


def test_no_link_that_is_still_good_goes_before_a_code() -> None:
    """F12: however many of them wait; nor does a notice before it has waited for longer than most are read in."""
    code, link, notice = (
        head_start(queued(0, expires_in=life).mail) for life in (CODE_LIFE, LINK_LIFE, LIFE)
    )
    assert code - link > LINK_LIFE
    assert link - notice >= HOUR
    assert notice == 0


# --- seals


def test_what_was_sealed_is_opened() -> None:
    payload = {"code": "123456", "device": "Firefox — “Ünïcødé” 🦊", "list": [1, None]}
    seals = Seals(KeyRing([OLD]))
    sealed = seals.seal(payload, mail_id="one", nonce=NONCE)
    assert b"123456" not in sealed
    assert seals.open(sealed, mail_id="one") == payload


def test_a_seal_is_of_one_message_alone() -> None:
    """ASVS 11.3.2, 11.3.3: who can write to the database cannot move a code into a message to himself."""
    seals = Seals(KeyRing([OLD]))
    assert seals.open(seals.seal({}, mail_id="one", nonce=NONCE), mail_id="two") is None


def test_no_byte_of_a_seal_can_be_changed() -> None:
    """ASVS 11.3.3."""
    seals = Seals(KeyRing([OLD]))
    sealed = seals.seal({"code": "123456"}, mail_id="one", nonce=NONCE)
    for place in range(len(sealed)):
        forged = bytearray(sealed)
        forged[place] ^= 1
        assert seals.open(bytes(forged), mail_id="one") is None
    for length in range(len(sealed)):
        assert seals.open(sealed[:length], mail_id="one") is None


def test_seals_outlive_a_change_of_the_secret_while_the_old_one_is_listed() -> None:
    """F17."""
    before, during, after = (Seals(KeyRing(secrets)) for secrets in ([OLD], [NEW, OLD], [NEW]))
    sealed = before.seal({"a": 1}, mail_id="one", nonce=NONCE)
    assert during.open(sealed, mail_id="one") == {"a": 1}
    assert after.open(sealed, mail_id="one") is None
    assert after.open(during.seal({}, mail_id="one", nonce=NONCE), mail_id="one") == {}


@pytest.mark.parametrize(
    "record", [queued(1).mail, queued(1), Letter("an id", "ada@example.org", "subject", "code 123456", "")]
)
def test_a_record_in_a_log_names_nobody(record: object) -> None:
    """ASVS 16.2.5."""
    assert "ada" not in repr(record)
    assert "123456" not in repr(record)


# --- trying again


@pytest.mark.parametrize(
    ("tries", "wait"), [(1, 5 * SECOND), (2, 30 * SECOND), (3, 120 * SECOND), (4, 600 * SECOND)]
)
def test_waits_grow(tries: int, wait: int) -> None:
    """RFC 5321 §4.5.4.1."""
    assert next_wait(queued(tries), refused=False, now=NOW, jitter=0) == wait


@pytest.mark.parametrize("tries", [5, 6, 70])
def test_then_it_is_an_hour(tries: int) -> None:
    assert next_wait(queued(tries), refused=False, now=NOW, jitter=0) == HOUR


@pytest.mark.parametrize("tries", [1, 4, 9])
def test_what_failed_together_is_not_tried_together(tries: int) -> None:
    waits = [next_wait(queued(tries), refused=False, now=NOW, jitter=share / 10) for share in range(11)]
    known = [wait for wait in waits if wait is not None]
    assert sorted(set(known)) == waits
    assert known[-1] == known[0] * 6 // 5


def test_a_message_that_is_refused_is_given_up_after_three_tries() -> None:
    waits = [next_wait(queued(tries), refused=True, now=NOW, jitter=0) for tries in (1, 2, 3, 4)]
    assert waits == [5 * SECOND, 30 * SECOND, None, None]


@pytest.mark.parametrize("refused", [False, True])
def test_what_would_be_late_is_given_up(refused: bool) -> None:
    """A code that has expired helps nobody."""
    span = 5 * SECOND
    assert next_wait(queued(1, expires_in=span + 1), refused=refused, now=NOW, jitter=0) == span
    assert next_wait(queued(1, expires_in=span), refused=refused, now=NOW, jitter=0) is None
    assert next_wait(queued(1, expires_in=-1), refused=refused, now=NOW, jitter=0) is None


def test_what_a_server_says_is_kept_short_and_on_one_line() -> None:
    """ASVS 16.4.1."""
    assert noted("550 no\r\n2026 forged\x1b[31m line\u202e") == "550 no 2026 forged [31m line"
    assert len(noted("x" * 10_000)) == MAX_ERROR
