"""Opaque refresh tokens: derived from row and key together, one spelling each, and nothing malformed ever raises."""

from __future__ import annotations

import hashlib
import hmac
import string
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.core.forging import OTHER_SECRET, SECRET, forge, hkdf, issue
from tests.core.refresh_forging import OTHER_SEED, OTHER_SID, SEED, SID, genuine, refresh_tokens, row
from watchword.core.derived_token import LENGTH, Presented
from watchword.core.keys import KeyRing, Purpose
from watchword.core.refresh_token import PREFIX
from watchword.settings import Algorithm

LETTERS = string.ascii_letters + string.digits + "-_"
LAST = 2**63 - 1

quick = settings(max_examples=500, database=None)
tokens = refresh_tokens()
sids = st.uuids().map(str)
generations = st.integers(0, LAST)
seeds = st.binary(min_size=32, max_size=32)


def taken_apart(token: str) -> Presented:
    presented = tokens.read(token)
    assert presented is not None
    return presented


def put_together(raw: bytes) -> str:
    """The spelling of 60 bytes."""
    return PREFIX + urlsafe_b64encode(raw).decode()


def bytes_of(token: str) -> bytes:
    return urlsafe_b64decode(token.removeprefix(PREFIX))


def test_a_token_is_what_the_design_says_it_is() -> None:
    """R18, R26; ASVS 7.2.3: the layout, computed here a second time."""
    token = tokens.mint(row())
    body = UUID(SID).bytes + (7).to_bytes(8, "big")
    tag = hmac.new(hkdf(SECRET, "refresh", 32), b"watchword/refresh/1" + body + SEED, hashlib.sha256).digest()
    assert token == put_together(b"\x01" + hkdf(SECRET, "key id", 3) + body + tag)
    assert len(token) == LENGTH == 84
    assert token.startswith("wwr_")


def test_the_token_of_a_generation_is_what_it_has_always_been() -> None:
    """F17, F18: a change here signs everybody out at the next upgrade."""
    assert tokens.mint(row(generation=1)) == (
        "wwr_AVjf3gGQoLASNHq8je8BI0VniasAAAAAAAAAARzUDBiIuc-7i1JA4OZ1cHVCb1SOP_NikSok8C0ERiXV"
    )


@given(sid=sids, generation=generations, seed=seeds)
@quick
def test_what_is_minted_is_read_and_genuine_and_minted_alike_again(
    sid: str, generation: int, seed: bytes
) -> None:
    """Attack 34; ASVS 7.2.2: the same generation has the same token for ever."""
    token = tokens.mint(row(sid, generation, seed))
    presented = taken_apart(token)
    assert (presented.sid, presented.generation) == (sid, generation)
    assert tokens.genuine(presented, row(seed=seed))
    assert refresh_tokens.__wrapped__().mint(row(sid, generation, seed)) == token


KEY_ID = KeyRing([SECRET]).signing.key_id


@given(
    head=st.sampled_from([b"\x01" + KEY_ID, b"\x02" + KEY_ID, b"\x01" + bytes(3)]),
    rest=st.binary(min_size=56, max_size=56),
)
@quick
def test_what_can_be_read_is_spelled_in_one_way_only(head: bytes, rest: bytes) -> None:
    """Attack 37; W5: version, key id, sid, generation and tag give back the very characters; ours are read alone."""
    token = put_together(head + rest)
    presented = tokens.read(token)
    assert (presented is None) is (head != b"\x01" + KEY_ID or rest[16] >= 0x80)
    if presented is not None:
        body = UUID(presented.sid).bytes + presented.generation.to_bytes(8, "big")
        assert put_together(b"\x01" + presented.key_id + body + presented.tag) == token


@given(edits=st.lists(st.tuples(st.integers(0, 79), st.sampled_from(LETTERS)), min_size=1, max_size=4))
@quick
def test_any_other_string_of_the_alphabet_reads_as_something_else(edits: list[tuple[int, str]]) -> None:
    """Attack 37: none of the 64^80 strings is a second spelling of a token."""
    token = tokens.mint(row())
    characters = list(token)
    for place, letter in edits:
        characters[len(PREFIX) + place] = letter
    other = "".join(characters)
    assert (tokens.read(other) == tokens.read(token)) is (other == token)
    assert genuine(other) is (other == token)


@given(text=st.text(max_size=120))
@example("")
@example(PREFIX)
@example(PREFIX + "A" * 80)
@example(PREFIX + "=" * 80)
@example(PREFIX + "AQ" + "A" * 77 + "=")
@example(PREFIX + "é" * 80)
@example(PREFIX + "\uff11" * 80)
@example(PREFIX + "\ud800" * 80)
@example("WWR_" + "A" * 80)
@example(PREFIX + "+/" * 40)
@example(PREFIX + " " * 80)
@example(PREFIX + "\x00" * 80)
@example("\n" * 84)
@quick
def test_malformed_text_is_nobodys_and_never_raises(text: str) -> None:
    """Attacks 16, 17, 37; ASVS 2.2.1."""
    assert tokens.read(text) is None


@given(raw=st.binary(max_size=120), prefixed=st.booleans())
@quick
def test_malformed_bytes_are_nobodys_and_never_raise(raw: bytes, prefixed: bool) -> None:
    """Attack 37: as header lines reach us, decoded as Latin-1."""
    text = raw.decode("latin-1")
    for candidate in (text, PREFIX + text, (PREFIX + text).ljust(LENGTH, "A")[:LENGTH]):
        presented = tokens.read(candidate)
        assert presented is None or not tokens.genuine(presented, row())


@pytest.mark.parametrize(
    "spoil",
    [
        lambda token: token + "=",
        lambda token: token + "A",
        lambda token: token[:-1],
        lambda token: " " + token,
        lambda token: token + "\n",
        lambda token: token[:-1] + "\n",
        lambda token: token.upper(),
        lambda token: token.swapcase(),
        lambda token: token.removeprefix(PREFIX),
        lambda token: PREFIX + token,
        lambda token: token.replace("wwr_", "wwa_"),
        lambda token: token[:40] + "." + token[41:],
        lambda token: token[:40] + "+" + token[41:],
        lambda token: token[:40] + "/" + token[41:],
        lambda token: token * 2,
        lambda token: f'"{token}"',
        lambda token: token[:-1] + "\uff21",
        lambda token: "",
        lambda token: "x" * 1_000_000,
    ],
)
def test_a_token_with_anything_about_it_is_none(spoil: object) -> None:
    """Attacks 17, 37."""
    assert callable(spoil)
    assert tokens.read(spoil(tokens.mint(row()))) is None


FIELDS = {"version": (0, 1), "key id": (1, 4), "sid": (4, 20), "generation": (20, 28), "tag": (28, 60)}


@pytest.mark.parametrize("field", FIELDS)
def test_no_bit_of_a_token_can_be_another(field: str) -> None:
    """Attack 37."""
    raw = bytes_of(tokens.mint(row()))
    begin, end = FIELDS[field]
    for place in range(begin, end):
        for bit in range(8):
            changed = raw[:place] + bytes([raw[place] ^ 1 << bit]) + raw[place + 1 :]
            assert not genuine(put_together(changed)), (place, bit)


@pytest.mark.parametrize("version", [0, 2, 0x81, 0xFF])
def test_another_version_is_not_ours(version: int) -> None:
    """Attack 37."""
    assert tokens.read(put_together(bytes([version]) + bytes_of(tokens.mint(row()))[1:])) is None


@pytest.mark.parametrize(
    ("generation", "fits"), [(0, True), (1, True), (LAST, True), (2**63, False), (2**64 - 1, False)]
)
def test_a_generation_fits_a_signed_column(generation: int, fits: bool) -> None:
    """Attack 56: no number that a database would take for a negative one."""
    raw = b"\x01" + KEY_ID + UUID(SID).bytes + generation.to_bytes(8, "big") + bytes(32)
    assert (tokens.read(put_together(raw)) is not None) is fits


@pytest.mark.parametrize("name", ["sid", "generation", "seed", "tag", "key id"])
def test_each_ingredient_counts(name: str) -> None:
    """Attacks 37, 39, 40: another session's, another generation's, another row's."""
    presented = taken_apart(tokens.mint(row()))
    assert tokens.genuine(presented, row())
    seed = OTHER_SEED if name == "seed" else SEED
    other = {
        "sid": replace(presented, sid=OTHER_SID),
        "generation": replace(presented, generation=8),
        "seed": presented,
        "tag": replace(presented, tag=bytes(32)),
        "key id": replace(presented, key_id=b"\x00\x00\x00"),
    }[name]
    assert not tokens.genuine(other, row(seed=seed))


def test_the_key_alone_is_not_enough() -> None:
    """Attack 39; R33; DESIGN §1: who stole the secret but not the row guesses 32 random bytes."""
    thief = refresh_tokens(SECRET)
    for guess in (b"", bytes(32), b"\xff" * 32, SECRET, SID.encode(), SEED[:-1], SEED + b"\x00"):
        assert not genuine(thief.mint(row(generation=8, seed=guess)))


def test_the_row_alone_is_not_enough() -> None:
    """R25; W12; DESIGN §1.3: who stole the database but not the secret mints nothing."""
    for guess in (b"", OTHER_SECRET, SEED, SECRET[:-1], SECRET + b" ", SECRET.lower()):
        thief = refresh_tokens(guess)
        token = thief.mint(row(generation=8))
        assert not genuine(token)
        ours = put_together(b"\x01" + KeyRing([SECRET]).signing.key_id + bytes_of(token)[4:])
        assert not genuine(ours), "the right key id does not help"


@pytest.mark.parametrize("tag", [b"", bytes(31), bytes(33), bytes(32), b"\xff" * 32], ids=len)
def test_a_tag_of_any_other_length_or_value_is_not_genuine(tag: bytes) -> None:
    """Attack 37."""
    presented = replace(taken_apart(tokens.mint(row())), tag=tag)
    assert not tokens.genuine(presented, row())


def test_a_tag_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attack 98; ASVS 11.2.4."""
    asked: list[tuple[bytes, bytes]] = []
    real = hmac.compare_digest

    def spy(one: bytes, other: bytes) -> bool:
        asked.append((one, other))
        return real(one, other)

    monkeypatch.setattr("watchword.core.derived_token.hmac.compare_digest", spy)
    presented = taken_apart(tokens.mint(row()))
    assert tokens.genuine(presented, row())
    assert not tokens.genuine(replace(presented, tag=bytes(32)), row())
    assert [len(one) for one, _ in asked] == [32, 32]


def test_the_first_secret_mints_all_recognise_and_a_removed_one_does_not() -> None:
    """Attacks 38, 49; F17; ASVS 11.2.2, 13.3.4: rotating the secret signs nobody out."""
    old, new = refresh_tokens(SECRET), refresh_tokens(OTHER_SECRET)
    both = refresh_tokens(OTHER_SECRET, SECRET)
    assert genuine(old.mint(row()), tokens=both)
    assert both.mint(row()) == new.mint(row())
    assert not genuine(old.mint(row()), tokens=new)
    assert not genuine(new.mint(row()), tokens=old)


def test_a_token_does_not_show_its_tag_in_a_repr() -> None:
    """Attack 96; ASVS 16.2.5."""
    presented = taken_apart(tokens.mint(row()))
    assert "tag" not in repr(presented)
    assert presented.tag.hex() not in repr(presented)


@pytest.mark.parametrize("key", [Purpose.ACCESS.value, "refresh kid", "refresh P-256", ""])
def test_a_tag_by_a_key_of_another_purpose_is_not_genuine(key: str) -> None:
    """Attacks 19, 38."""
    body = UUID(SID).bytes + (7).to_bytes(8, "big")
    for material in (hkdf(SECRET, key, 32), SECRET):
        tag = hmac.digest(material, b"watchword/refresh/1" + body + SEED, "sha256")
        assert not tokens.genuine(Presented(SID, 7, hkdf(SECRET, "key id", 3), tag), row())


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_an_access_token_is_no_refresh_token(algorithm: Algorithm) -> None:
    """Attack 19."""
    token = issue(forge(algorithm).tokens).decode()
    dotless = token.replace(".", "")
    for text in (token, token[:LENGTH], PREFIX + token, (PREFIX + token)[:LENGTH], PREFIX + dotless[:80]):
        assert not genuine(text)
