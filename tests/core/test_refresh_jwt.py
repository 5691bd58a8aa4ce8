"""Refresh tokens as JWTs: of the row alone, accepted whatever the setting, and every forgery of one refused."""

from __future__ import annotations

import hmac
import json
from base64 import urlsafe_b64decode
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.forging import (
    ABSENT,
    IAT,
    ISSUER,
    OTHER_SECRET,
    SECOND,
    SECRET,
    b64,
    compact,
    forge,
    hkdf,
    issue,
)
from tests.core.refresh_forging import (
    IDLE,
    OTHER_SEED,
    OTHER_SID,
    SID,
    USER_ID,
    genuine,
    jwt,
    jwt_claims,
    jwt_header,
    refresh_tokens,
    row,
    signed,
    tag,
)
from watchword.core.jws import MAX_BYTES
from watchword.core.rotation import NEVER
from watchword.settings import Algorithm, RefreshFormat

LAST = 2**63 - 1
opaque, tokens = refresh_tokens(), refresh_tokens(refresh_format=RefreshFormat.JWT)
quick = settings(max_examples=300, database=None)


def test_a_jwt_is_what_the_design_says_it_is() -> None:
    """R26; ASVS 9.2.1–9.2.4, 14.1.1: header, claims and signature, computed here a second time."""
    assert tokens.mint(row()) == jwt()
    header, payload, _ = tokens.mint(row()).split(".")
    assert json.loads(urlsafe_b64decode(header + "==")) == {
        "alg": "HS256",
        "kid": "fd113f82ef269b62a9",
        "typ": "rt+jwt",
    }
    claims = json.loads(urlsafe_b64decode(payload + "=="))
    assert claims == jwt_claims()
    assert urlsafe_b64decode(claims["jti"] + "=") == tag()


@given(
    sid=st.uuids().map(str),
    generation=st.integers(0, LAST),
    seed=st.binary(min_size=32, max_size=32),
    minted_at=st.integers(0, 2**52),
)
@quick
def test_what_is_minted_is_read_and_genuine_and_minted_alike_again(
    sid: str, generation: int, seed: bytes, minted_at: int
) -> None:
    """R26; attack 34; ASVS 7.2.2: by whichever process, of the row alone."""
    session = row(sid, generation, seed, minted_at=minted_at)
    token = tokens.mint(session)
    presented = opaque.read(token)
    assert presented is not None
    assert (presented.sid, presented.generation, presented.user_id) == (sid, generation, USER_ID)
    assert opaque.genuine(presented, session)
    assert refresh_tokens.__wrapped__(refresh_format=RefreshFormat.JWT).mint(session) == token


def test_the_tag_is_the_same_in_both_formats() -> None:
    """R26: one secret decides about a token, however it is written."""
    one, other = opaque.read(opaque.mint(row())), opaque.read(tokens.mint(row()))
    assert one is not None
    assert other is not None
    assert replace(other, user_id=None) == one


def test_its_instants_are_those_of_the_row() -> None:
    """ASVS 9.2.1: when the generation was minted, or the session began; and when the session is idle for too long."""
    claims = jwt_claims()
    assert (claims["iat"], claims["exp"]) == (IAT, IAT + IDLE)
    first = row(generation=1, minted_at=NEVER)
    assert tokens.mint(first) == jwt(jwt_claims(gen=1, jti=b64(tag(generation=1)).decode(), iat=IAT - 60))
    late = replace(row(), idle_until=(IAT + 9) * SECOND + 999_999)
    assert tokens.mint(late) == jwt(jwt_claims(exp=IAT + 9)), "a second that has begun is not promised"


@pytest.mark.parametrize("exp", [0, 1, IAT - 1, -1, IAT + 10**9, LAST])
def test_exp_does_not_decide(exp: int) -> None:
    """R26; attacks 33, 41: the row does, so that an old stolen token is told from one that is merely old."""
    assert genuine(jwt(jwt_claims(exp=exp)))


# --- forgeries ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "alg", ["none", "None", "NONE", "", ABSENT, None, "HS384", "HS512", "ES256", "RS256"]
)
def test_no_other_algorithm_is_accepted(alg: Any) -> None:
    """Attacks 1, 5; ASVS 9.1.2: the signature right, absent, or with its dot alone."""
    token = jwt(header=jwt_header(alg=alg))
    for text in (token, token.rpartition(".")[0], token.rpartition(".")[0] + "."):
        assert opaque.read(text) is None


TEXT = compact(jwt_header()).decode()
KID = jwt_header()["kid"]


@pytest.mark.parametrize(
    "header",
    [
        *(jwt_header(typ=typ) for typ in ("at+jwt", "JWT", "RT+JWT", "application/rt+jwt", ABSENT, None)),
        *(jwt_header(kid=kid) for kid in ("", "unknown", KID.upper(), KID[:-1], [KID], ABSENT, None)),
        jwt_header(kid=hkdf(SECRET, "access kid", 9).hex()),
        jwt_header(kid=hkdf(SECRET, "refresh kid", 9).hex()),
        jwt_header(OTHER_SECRET),
        jwt_header(crit=["exp"]),
        jwt_header(jku="http://127.0.0.1:9/jwks.json"),
        jwt_header(jwk={"kty": "oct", "k": "AAAA"}),
        jwt_header(b64=False),
        TEXT.replace('{"alg"', '{"alg":"none","alg"').encode(),
        (TEXT[:-1] + ',"typ":"rt+jwt"}').encode(),
        json.dumps(jwt_header()).encode(),
        (TEXT + "\n").encode(),
        b"",
    ],
    ids=str,
)
def test_any_header_but_the_one_that_we_mint_is_refused(header: Any) -> None:
    """Attacks 1, 5–8, 10, 11; ASVS 9.1.3, 9.2.2: signed by the right key, each of them."""
    assert opaque.read(jwt(header=header)) is None


@pytest.mark.parametrize(
    "key",
    [
        *(hkdf(SECRET, purpose, 32) for purpose in ("access", "refresh", "csrf", "refresh jwt P-256", "")),
        *(SECRET, b"", b"\x00", b"secret", KID.encode()),
        hkdf(OTHER_SECRET, "refresh jwt", 32),
    ],
)
def test_no_other_key_counts(key: bytes) -> None:
    """Attacks 2, 4, 19, 38."""
    assert opaque.read(jwt(key=key)) is None


@pytest.mark.parametrize(
    "change",
    [
        *({"iss": value} for value in ("https://staging.example.com", "", None, [ISSUER], ABSENT)),
        *({"aud": value} for value in ("https://staging.example.com", "", None, [ISSUER], ABSENT)),
        *({"sub": value} for value in ("", None, 7, [USER_ID], "x" * 256, ABSENT)),
        *({"sid": value} for value in ("", None, 7, "x", SID.upper(), SID.replace("-", ""), f"{{{SID}}}")),
        *({"sid": value} for value in (f"urn:uuid:{SID}", SID + " ", "\uff10" + SID[1:], ABSENT)),
        *({"gen": value} for value in ("7", 7.0, None, True, -1, 2**63, [7], ABSENT)),
        *({"jti": value} for value in ("", None, 7, "é" * 43, b64(tag()).decode() + "=", "A" * 41, ABSENT)),
        *({"iat": value} for value in (str(IAT), 1.5, None, True, ABSENT)),
        *({"exp": value} for value in (str(IAT), 1.5, None, True, ABSENT)),
    ],
    ids=str,
)
def test_a_claim_of_the_wrong_type_or_place_is_refused_though_we_signed_it(change: dict[str, Any]) -> None:
    """Attacks 12–15, 20; ASVS 9.2.3, 9.2.4."""
    assert opaque.read(jwt(jwt_claims(**change))) is None


@pytest.mark.parametrize(
    "change",
    [
        {"gen": 6},
        {"gen": 8},
        {"sid": OTHER_SID},
        {"sub": "0190a0b0-0000-7000-8000-00000000000b"},
        {"jti": b64(bytes(32)).decode()},
        {"jti": b64(tag()[:-1]).decode()},
        {"jti": b64(tag() + b"\x00").decode()},
        {"jti": b64(tag(generation=8)).decode()},
        {"jti": b64(tag(seed=OTHER_SEED)).decode()},
        {"jti": b64(tag(sid=OTHER_SID)).decode()},
        {"jti": b64(tag(secret=OTHER_SECRET)).decode()},
    ],
    ids=str,
)
def test_the_signature_alone_is_not_enough(change: dict[str, Any]) -> None:
    """Attacks 37, 39, 40; R33: who stole the secret but not the row, or puts two tokens together; and unsigned so."""
    assert genuine(jwt())
    assert not genuine(jwt(jwt_claims(**change)))
    header, _, signature = jwt().split(".")
    assert not genuine(f"{header}.{b64(compact(jwt_claims(**change))).decode()}.{signature}")


CLAIMS = compact(jwt_claims()).decode()


@pytest.mark.parametrize(
    "text",
    [
        CLAIMS.replace('"gen":7', '"gen":6,"gen":7'),
        CLAIMS.replace('"gen":7', '"gen":7,"gen":7'),
        CLAIMS[:-1] + ',"sub":"somebody else"}',
        CLAIMS[:-1] + ',"\\u0067en":8}',
        CLAIMS.replace('"gen":7', '"gen": 7'),
        CLAIMS.replace('"gen":7', '"gen":7e0'),
        CLAIMS.replace('"gen":7', '"gen":NaN'),
        CLAIMS.replace('"gen":7', '"gen":' + "9" * 5000),
        CLAIMS + " ",
        CLAIMS + "x",
        f"[{CLAIMS}]",
        "\ufeff" + CLAIMS,
        "null",
        "7",
        "",
        "[" * 2000 + "]" * 2000,
    ],
    ids=lambda text: text[-40:],
)
def test_claims_have_one_spelling(text: str) -> None:
    """Attacks 10, 16, 18; ASVS 1.5.3: a name twice and whatever else we never write, though we signed it."""
    assert opaque.read(jwt(text.encode())) is None


def test_no_trailing_bits_hide_behind_a_segment() -> None:
    """Attack 17: the last character of each segment replaced by each other one, and padding."""
    header, payload, signature = jwt().split(".")
    for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/=. \n\u00e9":
        if letter != signature[-1]:
            assert opaque.read(f"{header}.{payload}.{signature[:-1]}{letter}") is None
        if letter != payload[-1] and letter.isascii():
            assert opaque.read(signed(f"{header}.{payload[:-1]}{letter}".encode())) is None
    for spoiled in (f"{jwt()}=", f" {jwt()}", f"{jwt()}.", f".{jwt()}", f"wwr_{jwt()}", jwt() * 2):
        assert opaque.read(spoiled) is None
    assert opaque.read(signed(f"{header}.{payload}=".encode())) is None
    with_a_twin = b64(tag()).decode()
    twin = with_a_twin[:-1] + chr(ord(with_a_twin[-1]) + 1)
    assert urlsafe_b64decode(twin + "=") == tag(), "spelled differently, the same tag"
    assert opaque.read(jwt(jwt_claims(jti=twin))) is None


def test_no_bit_of_a_token_can_be_another() -> None:
    """Attacks 2, 37."""
    token = jwt()
    for place, letter in enumerate(token):
        assert opaque.read(token[:place] + chr(ord(letter) ^ 1) + token[place + 1 :]) is None


@given(text=st.text(max_size=200))
@quick
def test_malformed_text_is_nobodys_and_never_raises(text: str) -> None:
    """Attacks 9, 16, 17; ASVS 2.2.1."""
    header = jwt().partition(".")[0]
    for candidate in (text, f"{header}.{text}", f"{header}.{text}.{text}", "x" * (MAX_BYTES + 1) + text):
        assert opaque.read(candidate) is None


@given(payload=st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.lists(inner)))
@quick
def test_any_json_that_we_signed_is_read_as_nothing_unless_it_is_a_refresh_token(payload: Any) -> None:
    """Attack 16."""
    assert opaque.read(jwt(compact(payload))) is None
    assert opaque.read(jwt(compact(jwt_claims(sid=payload)))) is None
    assert opaque.read(jwt(compact(jwt_claims(gen=[payload])))) is None


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_neither_kind_of_jwt_is_the_other(algorithm: Algorithm) -> None:
    """Attack 19; ASVS 9.2.2: further in test_cross_type."""
    assert opaque.read(issue(forge(algorithm).tokens).decode()) is None
    assert opaque.read(forge(algorithm).token(jwt_claims()).decode()) is None


# --- keys, secrets and sizes ----------------------------------------------------------------------------------------


def test_the_first_secret_mints_all_recognise_and_a_removed_one_does_not() -> None:
    """Attacks 38, 49; F17; ASVS 11.2.2, 13.3.4."""
    jwts = {"refresh_format": RefreshFormat.JWT}
    old, new = refresh_tokens(SECRET, **jwts), refresh_tokens(OTHER_SECRET, **jwts)
    both = refresh_tokens(OTHER_SECRET, SECRET, **jwts)
    assert genuine(old.mint(row()), tokens=both)
    assert both.mint(row()) == new.mint(row())
    assert not genuine(old.mint(row()), tokens=new)
    assert not genuine(new.mint(row()), tokens=old)
    mixed = jwt(jwt_claims(jti=b64(tag(secret=OTHER_SECRET)).decode()))
    assert not genuine(mixed, tokens=both), "signature and tag are by keys of one secret"


def test_a_tag_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attack 98; ASVS 11.2.4."""
    asked: list[int] = []
    real = hmac.compare_digest

    def spy(one: bytes, other: bytes) -> bool:
        asked.append(len(one))
        return real(one, other)

    right, wrong = opaque.read(jwt()), opaque.read(jwt(jwt_claims(jti=b64(bytes(32)).decode())))
    assert right is not None
    assert wrong is not None
    monkeypatch.setattr("watchword.core.derived_token.hmac.compare_digest", spy)
    assert opaque.genuine(right, row())
    assert not opaque.genuine(wrong, row())
    assert asked == [32, 32]


def test_what_was_read_does_not_show_its_tag() -> None:
    """Attack 96; ASVS 16.2.5."""
    presented = opaque.read(jwt())
    assert "tag" not in repr(presented)
    assert str(tag()) not in repr(presented)
    assert jwt_claims()["jti"] not in repr(presented)


def test_the_longest_token_is_far_from_what_a_cookie_may_hold() -> None:
    """ASVS 3.3.5; RFC 6265bis §5.6: the longest name of a host, the last generation, the last of 64-bit instants."""
    issuer = "https://" + ".".join(["x" * 63] * 3 + ["x" * 61]) + ":65535"
    session = row(generation=LAST, minted_at=LAST)
    longest = refresh_tokens(issuer=issuer, refresh_format=RefreshFormat.JWT).mint(
        replace(session, idle_until=LAST, ends_at=LAST)
    )
    assert 440 < len(tokens.mint(row())) < 460
    assert len(longest) < 1536
