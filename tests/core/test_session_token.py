"""The token of mode `session`: derived from row and key together, one spelling each, nothing malformed raises; which
generation of it still counts; and what a look-up that is seconds old may still say.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.core.forging import OTHER_SECRET, SECRET, hkdf
from tests.core.refresh_forging import refresh_tokens, row
from watchword.core.derived_token import LENGTH, Presented
from watchword.core.keys import KeyRing
from watchword.core.revocation import Revocations, Revoked, TokensFrom
from watchword.core.rotation import Lineage
from watchword.core.session import Principal
from watchword.core.session_token import (
    KEEP,
    PREFIX,
    SEEN,
    SeenSessions,
    SessionTokens,
    read,
    taken_up,
)
from watchword.errors import SessionEnded

SID, OTHER_SID = "0190a0b0-1234-7abc-8def-0123456789ab", "0190a0b0-1234-7abc-8def-0123456789ac"
SEED, OTHER_SEED = bytes(range(32)), bytes(range(1, 33))
LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
SECOND = 1_000_000
NOW = 1_800_000_000 * SECOND
WINDOW = 20 * SECOND

quick = settings(max_examples=300, database=None)
tokens = SessionTokens(KeyRing([SECRET]))
sids = st.uuids().map(str)
generations = st.integers(1, 2**63 - 1)
seeds = st.binary(min_size=32, max_size=32)


def minted(generation: int = 1) -> bytes:
    return tokens.mint(SID, generation, SEED).encode()


def taken_apart(token: bytes) -> Presented:
    named = read(token)
    assert named is not None
    return named


def put_together(raw: bytes) -> bytes:
    return PREFIX + urlsafe_b64encode(raw)


def genuine(token: bytes, seed: bytes = SEED, minted_by: SessionTokens = tokens) -> bool:
    named = read(token)
    return named is not None and minted_by.genuine(named, seed)


def test_a_token_is_what_its_module_says_it_is() -> None:
    """R46; ASVS 7.2.3: the layout, computed here a second time; a change of it signs everybody out."""
    body = UUID(SID).bytes + (7).to_bytes(8, "big")
    tag = hmac.digest(hkdf(SECRET, "session", 32), b"watchword/session/1" + body + SEED, "sha256")
    assert minted(7) == put_together(b"\x01" + hkdf(SECRET, "key id", 3) + body + tag)
    assert len(minted(7)) == LENGTH == 84
    assert minted(7).startswith(b"wws_")


@given(sid=sids, generation=generations, seed=seeds)
@quick
def test_what_is_minted_is_read_and_genuine_and_minted_alike_again(
    sid: str, generation: int, seed: bytes
) -> None:
    """R46: the same session and generation have the same token for ever."""
    token = tokens.mint(sid, generation, seed).encode()
    named = taken_apart(token)
    assert (named.sid, named.generation) == (sid, generation)
    assert tokens.genuine(named, seed)
    assert SessionTokens(KeyRing([SECRET])).mint(sid, generation, seed).encode() == token


@given(raw=st.binary(min_size=60, max_size=60))
@quick
def test_what_can_be_read_is_spelled_in_one_way_only(raw: bytes) -> None:
    """Attack 37; W5: version, key id, sid, generation and tag give back the very bytes."""
    token = put_together(raw)
    named = read(token)
    if named is None:
        assert raw[0] != 1 or raw[20] >= 0x80
    else:
        body = UUID(named.sid).bytes + named.generation.to_bytes(8, "big")
        assert put_together(b"\x01" + named.key_id + body + named.tag) == token


@given(edits=st.lists(st.tuples(st.integers(0, 79), st.sampled_from(LETTERS)), min_size=1, max_size=4))
@quick
def test_any_other_string_of_the_alphabet_is_not_genuine(edits: list[tuple[int, int]]) -> None:
    """Attack 37: none of the 64^80 strings is a second spelling of a token."""
    altered = bytearray(minted())
    for place, letter in edits:
        altered[len(PREFIX) + place] = letter
    other = bytes(altered)
    assert (read(other) == read(minted())) is (other == minted())
    assert genuine(other) is (other == minted())


@given(raw=st.binary(max_size=120), prefixed=st.booleans())
@example(b"", False)
@example(b"", True)
@example(b"=" * 80, True)
@example(b"AQ" + b"A" * 77 + b"=", True)
@example(b"+/" * 40, True)
@example(b" " * 80, True)
@example(b"\x00" * 80, True)
@example(b"\xff" * 80, True)
@example(b"\n" * 84, False)
@example(b"WWS_" + b"A" * 80, False)
@quick
def test_whatever_bytes_a_cookie_holds_reading_never_raises(raw: bytes, prefixed: bool) -> None:
    """Attacks 16, 17, 37; ASVS 2.2.1."""
    token = PREFIX + raw if prefixed else raw
    for candidate in (token, (PREFIX + raw).ljust(LENGTH, b"A")[:LENGTH]):
        assert not genuine(candidate)


@pytest.mark.parametrize(
    "spoiled",
    [
        minted() + b"=",
        minted() + b"A",
        minted()[:-1],
        b" " + minted(),
        minted()[:-1] + b"\n",
        minted().upper(),
        minted().removeprefix(PREFIX),
        PREFIX + minted(),
        b"wwr_" + minted()[4:],
        minted()[:40] + b"+" + minted()[41:],
        b'"' + minted() + b'"',
        minted() * 2,
        b"x" * 1_000_000,
    ],
)
def test_a_token_with_anything_about_it_is_none(spoiled: bytes) -> None:
    """Attacks 17, 37."""
    assert read(spoiled) is None


@pytest.mark.parametrize(
    ("begin", "end"), [(0, 1), (1, 4), (4, 20), (20, 28), (28, 60)], ids=lambda place: str(place)
)
def test_no_bit_of_a_token_can_be_another(begin: int, end: int) -> None:
    """Attack 37: version, key id, sid, generation, tag."""
    raw = urlsafe_b64decode(minted().removeprefix(PREFIX))
    for place in range(begin, end):
        for bit in range(8):
            changed = raw[:place] + bytes([raw[place] ^ 1 << bit]) + raw[place + 1 :]
            assert not genuine(put_together(changed)), (place, bit)


@pytest.mark.parametrize(
    ("generation", "fits"), [(0, True), (2**63 - 1, True), (2**63, False), (2**64 - 1, False)]
)
def test_a_generation_fits_a_signed_column(generation: int, fits: bool) -> None:
    """Attack 56: no number that a database would take for a negative one, though it were rightly tagged."""
    assert (read(minted(generation)) is not None) is fits


def test_each_ingredient_counts() -> None:
    """Attacks 37, 39, 40: another session's, another generation's, another row's, no tag, a key that is gone."""
    named = taken_apart(minted())
    assert tokens.genuine(named, SEED)
    for other, seed in (
        (replace(named, sid=OTHER_SID), SEED),
        (replace(named, generation=2), SEED),
        (named, OTHER_SEED),
        (replace(named, tag=bytes(32)), SEED),
        (replace(named, tag=b""), SEED),
        (replace(named, key_id=bytes(3)), SEED),
    ):
        assert not tokens.genuine(other, seed)


def test_neither_the_row_nor_the_key_alone_forges_a_token() -> None:
    """R25, W12, DESIGN §1.3: a stolen database, a stolen secret."""
    for seed in (b"", bytes(32), SECRET, SID.encode(), SEED[:-1]):
        assert not genuine(tokens.mint(SID, 1, seed).encode())
    for secret in (b"", OTHER_SECRET, SEED, SECRET[:-1], SECRET.lower()):
        token = SessionTokens(KeyRing([secret])).mint(SID, 1, SEED).encode()
        assert not genuine(token)
        raw = urlsafe_b64decode(token.removeprefix(PREFIX))
        assert not genuine(put_together(b"\x01" + KeyRing([SECRET]).signing.key_id + raw[4:]))


def test_the_first_secret_mints_all_recognise_and_a_removed_one_does_not() -> None:
    """Attack 38, F17; ASVS 11.2.2, 13.3.4: rotating the secret signs nobody out."""
    old, new = SessionTokens(KeyRing([SECRET])), SessionTokens(KeyRing([OTHER_SECRET]))
    both = SessionTokens(KeyRing([OTHER_SECRET, SECRET]))
    assert genuine(minted(), minted_by=both)
    assert both.mint(SID, 1, SEED) == new.mint(SID, 1, SEED)
    assert not genuine(minted(), minted_by=new)
    assert not genuine(new.mint(SID, 1, SEED).encode(), minted_by=old)


def test_a_tag_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attack 98; ASVS 11.2.4."""
    asked: list[int] = []
    real = hmac.compare_digest

    def spy(one: bytes, other: bytes) -> bool:
        asked.append(len(one))
        return real(one, other)

    monkeypatch.setattr("watchword.core.derived_token.hmac.compare_digest", spy)
    assert genuine(minted())
    assert not tokens.genuine(replace(taken_apart(minted()), tag=bytes(32)), SEED)
    assert asked == [32, 32]


def test_a_refresh_token_in_the_clothes_of_a_session_token_is_none() -> None:
    """Attack 19: the layouts are alike, key and label are not."""
    refresh = refresh_tokens(SECRET).mint(row(SID, seed=SEED)).encode()
    assert read(refresh) is None
    assert not genuine(PREFIX + refresh[4:])


def test_no_repr_shows_a_tag_or_a_token() -> None:
    """Attack 96; ASVS 16.2.5."""
    named, seen = taken_apart(minted()), SeenSessions(Revocations(keep=SECOND))
    seen.put(minted(), PRINCIPAL, NOW)
    for text in (repr(named), repr(tokens), repr(seen)):
        assert minted().decode() not in text
        assert repr(named.tag) not in text
        assert named.tag.hex() not in text


# Generations


def test_without_a_step_up_there_is_one_token_and_nothing_to_write() -> None:
    """R46: a use of it changes nothing about the lineage."""
    begun = Lineage()
    assert taken_up(begun, 1, now=NOW, window=WINDOW) is begun


def test_the_token_from_before_a_step_up_lives_until_the_new_one_is_used() -> None:
    """ASVS 7.2.4, promise 1: the answer may be lost; whoever took the old one earlier is rid of it then."""
    stepped_up = Lineage(newest=2, minted_at=NOW)
    late = NOW + 86_400 * SECOND
    assert taken_up(stepped_up, 1, now=late, window=WINDOW) is stepped_up
    used = taken_up(stepped_up, 2, now=late, window=WINDOW)
    assert used is not None
    assert taken_up(used, 2, now=late, window=WINDOW) is used
    assert taken_up(used, 1, now=late + WINDOW - 1, window=WINDOW) is used, "requests are under way with it"
    assert taken_up(used, 1, now=late + WINDOW, window=WINDOW) is None
    assert taken_up(used, 1, now=late, window=0) is None


def test_a_second_step_up_leaves_the_first_one_no_better_than_the_original() -> None:
    """ASVS 7.2.4: whichever is used last counts, nothing before it."""
    twice = Lineage(newest=3)
    second = taken_up(twice, 2, now=NOW, window=WINDOW)
    assert second is not None
    third = taken_up(second, 3, now=NOW + WINDOW, window=WINDOW)
    assert third is not None
    later = NOW + 2 * WINDOW
    assert [taken_up(third, number, now=later, window=WINDOW) is third for number in (1, 2, 3)] == [
        *(False, False, True),
    ]
    assert taken_up(third, 1, now=NOW + WINDOW, window=WINDOW) is None, "two steps back at once"


def test_a_generation_that_the_database_has_forgotten_counts() -> None:
    """F17: only we can have minted it; the next step-up goes on from there."""
    used = taken_up(Lineage(), 5, now=NOW, window=WINDOW)
    assert used is not None
    assert used.newest == 5
    assert taken_up(used, 5, now=NOW, window=WINDOW) is used


@given(
    uses=st.lists(st.tuples(st.integers(-3, 3), st.booleans(), st.integers(-WINDOW, 2 * WINDOW)), max_size=30)
)
@quick
def test_whatever_is_used_when_the_row_stays_valid_and_its_newest_token_good(
    uses: list[tuple[int, bool, int]],
) -> None:
    """Promise 1, and the tables' own constraint: before ≤ parent ≤ floor < newest."""
    lineage, now = Lineage(), NOW
    for distance, stepped_up, passed in uses:
        now += passed
        if stepped_up:
            lineage = replace(lineage, newest=lineage.newest + 1, minted_at=now)
        lineage = taken_up(lineage, lineage.newest + distance, now=now, window=WINDOW) or lineage
        assert lineage.before <= lineage.parent <= lineage.floor < lineage.newest
        assert taken_up(lineage, lineage.newest, now=now, window=WINDOW) is not None


# Looked up seconds ago

PRINCIPAL = Principal("ada", SID, ("owner",), ("pwd",), NOW // SECOND, NOW // SECOND, NOW // SECOND + 3600)


def seen_now(expires_at: int = PRINCIPAL.expires_at) -> tuple[SeenSessions, Revocations]:
    revocations = Revocations(keep=3600 * SECOND)
    seen = SeenSessions(revocations)
    seen.put(b"token", replace(PRINCIPAL, expires_at=expires_at), NOW)
    return seen, revocations


@pytest.mark.parametrize(
    ("later", "known"), [(0, True), (KEEP - 1, True), (KEEP, False), (-1, False), (3600 * SECOND, False)]
)
def test_what_was_looked_up_is_known_for_five_seconds(later: int, known: bool) -> None:
    """R46, F8: not a moment longer, nor when the clock went back; once forgotten it stays so."""
    seen, _ = seen_now()
    assert (seen.get(b"token", NOW + later) is not None) is known
    assert (seen.get(b"token", NOW) is not None) is known
    assert seen.get(b"another", NOW) is None


def test_a_revocation_voids_what_was_looked_up_at_once() -> None:
    """ASVS 7.4.1: told here or by the feed, before or after the look-up ended."""
    seen, revocations = seen_now()
    revocations.add([Revoked(SID, NOW)])
    for _ in range(2):
        with pytest.raises(SessionEnded):
            seen.get(b"token", NOW)
    seen.put(b"token", PRINCIPAL, NOW)
    with pytest.raises(SessionEnded):
        seen.get(b"token", NOW)


def test_other_roles_make_it_be_looked_up_again() -> None:
    """ASVS 8.3.2: no error, but no old roles either."""
    seen, revocations = seen_now()
    revocations.add((), [TokensFrom("eve", NOW // SECOND + 3)])
    assert seen.get(b"token", NOW) == PRINCIPAL
    revocations.add((), [TokensFrom("ada", NOW // SECOND + 3)])
    assert seen.get(b"token", NOW) is None
    seen.put(b"token", replace(PRINCIPAL, issued_at=NOW // SECOND + 3), NOW)
    assert seen.get(b"token", NOW) is not None


def test_a_session_that_runs_out_within_the_five_seconds_is_looked_up() -> None:
    """ASVS 7.3.1, 7.3.2."""
    seen, _ = seen_now(expires_at=NOW // SECOND + 2)
    assert seen.get(b"token", NOW + 2 * SECOND - 1) is not None
    assert seen.get(b"token", NOW + 2 * SECOND) is None


def test_what_is_kept_is_bounded_and_the_oldest_goes_first() -> None:
    """Attack 27 in spirit: many sessions cost no more memory than these."""
    seen, _ = seen_now()
    for number in range(SEEN):
        seen.put(b"%d" % number, PRINCIPAL, NOW)
    assert seen.get(b"token", NOW) is None
    assert seen.get(b"0", NOW) is not None
    seen.put(b"0", PRINCIPAL, NOW)
    seen.put(b"new", PRINCIPAL, NOW)
    assert (seen.get(b"0", NOW), seen.get(b"1", NOW)) == (PRINCIPAL, None), "a renewed one is not the oldest"
    seen.forget(b"new")
    seen.forget(b"new")
    assert seen.get(b"new", NOW) is None
