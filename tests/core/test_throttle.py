"""GCRA: no schedule of tries gets more through than the rate says, whatever the clock does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchword.core.keys import KeyRing
from watchword.core.throttle import LimitKeys, Verdict, network_of, take
from watchword.rates import DEFAULTS, Rate
from watchword.spans import DAY, HOUR, MINUTE, SECOND

NOW = 1_800_000_000 * SECOND
TEN_A_MINUTE = Rate(10, MINUTE)
RATES = st.builds(Rate, st.integers(1, 1000), st.integers(SECOND, DAY))
KEYS = LimitKeys(KeyRing([b"kX3vQz8LmN1pR6tYw0aBcDeFgHiJk-test"]))


def allowed(rate: Rate, instants: list[int], tat: int | None = None) -> list[int]:
    """Those of some instants at which a take was allowed."""
    through = []
    for now in instants:
        verdict = take(tat, now, rate)
        tat = verdict.tat
        if verdict.allowed:
            through.append(now)
    return through


def test_a_whole_budget_is_there_at_once_and_one_more_a_step() -> None:
    assert len(allowed(TEN_A_MINUTE, [NOW] * 100)) == 10
    assert take(NOW + MINUTE, NOW, TEN_A_MINUTE) == Verdict(False, NOW + MINUTE, 6 * SECOND)
    assert take(NOW + MINUTE, NOW + 6 * SECOND, TEN_A_MINUTE) == (True, NOW + 66 * SECOND, 0)


@given(RATES)
def test_never_more_than_the_burst_at_once(rate: Rate) -> None:
    """Exactly `count`, also where it does not divide the span: SECURITY-TARGET attack 68."""
    assert len(allowed(rate, [NOW] * (rate.count + 5))) == rate.count


@given(RATES, st.lists(st.floats(0, 0.5), max_size=60), st.data())
def test_in_no_span_more_than_the_burst_and_the_count(
    rate: Rate, pauses: list[float], data: st.DataObject
) -> None:
    instants, now = [], NOW
    for pause in pauses:
        now += int(pause * rate.span)
        instants += [now] * data.draw(st.integers(1, 3))
    through = allowed(rate, instants)
    for place, since in enumerate(through):
        window = [at for at in through[place:] if at < since + rate.room]
        assert len(window) <= 2 * rate.count


@given(RATES, st.integers(0, 2 * DAY), st.integers(0, DAY), st.integers(0, DAY))
def test_waiting_never_makes_it_worse(rate: Rate, ahead: int, first: int, more: int) -> None:
    sooner, later = take(NOW + ahead, NOW + first, rate), take(NOW + ahead, NOW + first + more, rate)
    assert later.allowed >= sooner.allowed
    assert later.retry_after <= sooner.retry_after


@given(RATES, st.integers(-DAY, 2 * DAY))
def test_who_waits_as_long_as_was_said_is_allowed_and_not_a_moment_sooner(rate: Rate, ahead: int) -> None:
    refused = take(NOW + ahead, NOW, rate)
    if not refused.allowed:
        assert not take(refused.tat, NOW + refused.retry_after - 1, rate).allowed
        assert take(refused.tat, NOW + refused.retry_after, rate).allowed


@given(RATES, st.integers(0, 365 * DAY))
def test_a_clock_that_is_set_back_locks_nobody_out_for_longer_than_one_step(rate: Rate, back: int) -> None:
    """Nor does it give anybody more: a spent budget stays spent."""
    spent = NOW + rate.room
    verdict = take(spent, NOW - back, rate)
    assert not verdict.allowed
    assert verdict.retry_after <= rate.step


@given(RATES, st.integers(0, DAY))
def test_what_has_no_instant_is_as_whole_as_what_has_an_old_one(rate: Rate, age: int) -> None:
    assert take(None, NOW, rate) == take(NOW - age, NOW, rate)


def test_a_shorter_rate_holds_at_once() -> None:
    """Who was limited by the old one waits for no longer than the new one says."""
    assert take(NOW + HOUR, NOW, TEN_A_MINUTE).retry_after == TEN_A_MINUTE.step


@pytest.mark.parametrize(
    "whose", ["", ":", "*", "a:b", "\x00", "\r\nSET x 1", "'; DROP TABLE", "\ud800", "é" * 500]
)
def test_no_text_can_be_read_back_from_a_key_or_be_taken_for_another(whose: str) -> None:
    """Attack 94. ASVS 1.3.3."""
    key = KEYS.of("login", whose)
    assert len(key) == 32
    assert set(key) <= set("0123456789abcdef")
    assert len({key, KEYS.of("login", whose + "x"), KEYS.of("codes", whose)}) == 3
    assert key != LimitKeys(KeyRing([b"another-secret-Kx3vQ9zL7mW2pR8tY5u"])).of("login", whose)


def test_every_default_leaves_its_whole_count() -> None:
    for name, rate in DEFAULTS.items():
        assert len(allowed(rate, [NOW] * 1000)) == rate.count, name


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.7", "192.0.2.7", True),
        ("192.0.2.7", "192.0.2.8", False),
        ("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("", "", True),
    ],
)
def test_an_address_counts_alone_and_one_of_ipv6_with_its_64(one: str, other: str, same: bool) -> None:
    """Attack 89."""
    assert (network_of(one) == network_of(other)) is same
