"""The verifier: expiry and revocation at every check, however often a token was seen before."""

from __future__ import annotations

from typing import Any

import pytest

from tests.core.forging import IAT, ISSUER, LIFETIME, NOW, SECOND, SECRET, forge, issue
from watchword.core.access_token import CACHE_SIZE, LEEWAY, AccessTokens, Verifier
from watchword.core.keys import KeyRing
from watchword.core.revocation import Revocations, Revoked, TokensFrom
from watchword.core.session import Principal
from watchword.errors import InvalidToken, SessionEnded, TokenExpired
from watchword.settings import Algorithm

KEEP = 2000 * SECOND
END = (IAT + LIFETIME + LEEWAY) * SECOND


class Counting(AccessTokens):
    """Counts how often a signature was checked, which is what the cache saves."""

    def __init__(self) -> None:
        super().__init__(KeyRing([SECRET]), algorithm=Algorithm.HS256, issuer=ISSUER, lifetime=LIFETIME)
        self.checked = 0

    def verify(self, token: bytes, now: int) -> Principal:
        self.checked += 1
        return super().verify(token, now)


class Guarded:
    """A verifier with what surrounds it."""

    def __init__(self) -> None:
        self.tokens = Counting()
        self.revocations = Revocations(keep=KEEP)
        self.verifier = Verifier(self.tokens, self.revocations)

    def checks(self, token: bytes, now: int = NOW) -> int:
        """How many signature checks one verification takes: 0 when the token was kept."""
        before = self.tokens.checked
        self.verifier.verify(token, now)
        return self.tokens.checked - before


@pytest.fixture
def guarded() -> Guarded:
    return Guarded()


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_the_second_check_is_a_look_up(algorithm: Algorithm) -> None:
    """DESIGN §4.2; R11."""
    tokens = forge(algorithm).tokens
    verifier = Verifier(tokens, Revocations(keep=KEEP))
    token = issue(tokens)
    assert verifier.verify(token, NOW) is verifier.verify(bytes(bytearray(token)), NOW)


def test_a_token_is_kept_from_its_first_check_on(guarded: Guarded) -> None:
    """DESIGN §4.2."""
    token = issue(guarded.tokens)
    assert [guarded.checks(token) for _ in range(3)] == [1, 0, 0]


@pytest.mark.parametrize("seen_before", [False, True])
@pytest.mark.parametrize(
    ("now", "passes"),
    [(END - SECOND, True), (END - 1, True), (END, False), (END + 1, False), (END * 2, False)],
)
def test_a_token_lives_to_the_last_microsecond_of_its_leeway(
    guarded: Guarded, now: int, passes: bool, seen_before: bool
) -> None:
    """Attacks 12, 31; ASVS 9.2.1; R33."""
    token = issue(guarded.tokens)
    if seen_before:
        guarded.checks(token)
    if passes:
        guarded.verifier.verify(token, now)
    else:
        with pytest.raises(TokenExpired):
            guarded.verifier.verify(token, now)


@pytest.mark.parametrize("ends_at", [IAT + 60, IAT + 1])
def test_no_token_outlives_its_session(guarded: Guarded, ends_at: int) -> None:
    """ASVS 7.3.2; DESIGN §4.1: no exp passes ends_at."""
    token = issue(guarded.tokens, ends_at=ends_at)
    assert guarded.verifier.verify(token, NOW).expires_at == ends_at
    assert guarded.tokens.expiry(IAT, ends_at) == ends_at
    with pytest.raises(TokenExpired):
        guarded.verifier.verify(token, (ends_at + LEEWAY) * SECOND)


@pytest.mark.parametrize("ends_at", [IAT, IAT - 1, 0])
def test_a_token_of_a_session_that_is_over_lives_for_one_second(guarded: Guarded, ends_at: int) -> None:
    """ASVS 7.3.2: it must expire after it was issued, or it would be no token at all."""
    assert guarded.verifier.verify(issue(guarded.tokens, ends_at=ends_at), NOW).expires_at == IAT + 1


@pytest.mark.parametrize("seen_before", [False, True])
def test_a_token_of_an_ended_session_is_refused_at_once(guarded: Guarded, seen_before: bool) -> None:
    """Attack 21; ASVS 7.4.1; R33."""
    token, other = issue(guarded.tokens), issue(guarded.tokens, sid="another")
    if seen_before:
        guarded.checks(token)
    guarded.revocations.add([Revoked("sid", NOW)])
    for _ in range(2):
        with pytest.raises(SessionEnded):
            guarded.verifier.verify(token, NOW)
    assert guarded.verifier.verify(other, NOW).sid == "another"


@pytest.mark.parametrize(("second", "passes"), [(IAT - 1, True), (IAT, True), (IAT + 1, False)])
@pytest.mark.parametrize("seen_before", [False, True])
def test_tokens_from_before_a_change_of_roles_must_be_refreshed(
    guarded: Guarded, second: int, passes: bool, seen_before: bool
) -> None:
    """Attack 21; ASVS 8.3.2: exactly those issued before that second."""
    token, other = issue(guarded.tokens), issue(guarded.tokens, user_id="another")
    if seen_before:
        guarded.checks(token)
    guarded.revocations.add(tokens_from=[TokensFrom("user", second)])
    if passes:
        guarded.verifier.verify(token, NOW)
    else:
        with pytest.raises(TokenExpired):
            guarded.verifier.verify(token, NOW)
    guarded.verifier.verify(other, NOW)


def test_an_ended_session_is_told_before_a_change_of_roles(guarded: Guarded) -> None:
    """ASVS 7.4.1: `token_expired` would send the client into a refresh that cannot succeed."""
    guarded.revocations.add([Revoked("sid", NOW)], [TokensFrom("user", IAT + 1)])
    with pytest.raises(SessionEnded):
        guarded.verifier.verify(issue(guarded.tokens), NOW)


def test_the_cache_holds_4096_tokens_and_lets_the_oldest_go(guarded: Guarded) -> None:
    """F15; ASVS 15.1.3."""
    tokens = [issue(guarded.tokens, jti=f"n{number}") for number in range(CACHE_SIZE + 2)]
    assert CACHE_SIZE == 4096
    assert all(guarded.checks(token) == 1 for token in tokens[:CACHE_SIZE])
    assert guarded.checks(tokens[0]) == 0, "4,096 fit"
    guarded.checks(tokens[CACHE_SIZE])
    assert guarded.checks(tokens[1]) == 0
    assert guarded.checks(tokens[0]) == 1, "the first in went first, though it was asked for last"
    assert guarded.checks(tokens[1]) == 1, "and the next made room for it"
    assert guarded.checks(tokens[2]) == 1
    assert guarded.checks(tokens[CACHE_SIZE]) == 0


def test_bad_tokens_take_no_room(guarded: Guarded) -> None:
    """F15: nobody can flood the cache with what he cannot sign."""
    token = issue(guarded.tokens)
    guarded.checks(token)
    for number in range(CACHE_SIZE * 2):
        with pytest.raises(InvalidToken):
            guarded.verifier.verify(token[:-4] + b"%04d" % (number % 10_000), NOW)
    assert guarded.checks(token) == 0


def test_what_was_kept_is_kept_under_its_exact_bytes(guarded: Guarded) -> None:
    """Attack 17; DESIGN §4.2: no other spelling finds it."""
    token = issue(guarded.tokens)
    guarded.checks(token)
    for other in (token + b"=", token + b" ", b" " + token, token.swapcase(), token[:-1], b"Bearer " + token):
        with pytest.raises(InvalidToken):
            guarded.verifier.verify(other, NOW)


def test_tokens_of_an_ended_session_are_dropped_and_others_stay(guarded: Guarded) -> None:
    """DESIGN §4.2; F15."""
    mine = [issue(guarded.tokens, jti=f"n{number}") for number in range(3)]
    other = issue(guarded.tokens, sid="another")
    for token in (*mine, other):
        guarded.checks(token)
    guarded.verifier.forget(frozenset())
    assert guarded.checks(mine[0]) == 0
    guarded.verifier.forget(frozenset({"sid", "unknown"}))
    assert guarded.checks(other) == 0
    assert [guarded.checks(token) for token in mine] == [1, 1, 1]


def test_an_expired_token_is_dropped_and_judged_afresh_if_the_clock_goes_back(guarded: Guarded) -> None:
    """F8: a host whose clock was wrong by an hour does not lock out what it refused meanwhile."""
    token = issue(guarded.tokens)
    guarded.checks(token)
    with pytest.raises(TokenExpired):
        guarded.verifier.verify(token, END)
    assert guarded.checks(token, END - 1) == 1


def test_an_expired_token_is_checked_before_it_is_called_expired(guarded: Guarded) -> None:
    """ASVS 9.1.1: `token_expired` is said of genuine tokens alone."""
    token = issue(guarded.tokens)
    with pytest.raises(InvalidToken):
        guarded.verifier.verify(token[:-1] + (b"A" if token[-1:] != b"A" else b"B"), END)
    guarded.checks(token)
    with pytest.raises(TokenExpired):
        guarded.verifier.verify(token, END)


def test_a_clock_that_jumps_ahead_and_back_revives_no_ended_session(guarded: Guarded) -> None:
    """F8: while the jump lasts everything is expired anyway; behind it the maps are read afresh (see flows/follow)."""
    token = issue(guarded.tokens)
    guarded.checks(token)
    guarded.revocations.add([Revoked("sid", NOW)])
    for now in (NOW, NOW + 3600 * SECOND, NOW - 3600 * SECOND, NOW):
        with pytest.raises((SessionEnded, TokenExpired, InvalidToken)):
            guarded.verifier.verify(token, now)


def test_a_map_that_another_thread_replaces_meanwhile_fails_no_request() -> None:
    """ASVS 15.4.1: what was read first is what counts."""
    tokens = Counting()
    token = issue(tokens)
    user_id = tokens.verify(token, NOW).id

    class Replaced(Revocations):
        """Pruned right behind each look at it."""

        def __getattribute__(self, name: str) -> Any:
            found = super().__getattribute__(name)
            if name == "seconds":
                self.seconds = {}
            return found

    revocations = Replaced(keep=KEEP)
    vars(revocations)["seconds"] = {user_id: IAT + 1}
    verifier = Verifier(tokens, revocations)
    with pytest.raises(TokenExpired):
        verifier.verify(token, NOW)
    assert verifier.verify(token, NOW).id == user_id
