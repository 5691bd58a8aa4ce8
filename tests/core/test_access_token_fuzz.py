"""Random access tokens: changed in one byte, and judged by a second library beside ours."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from tests.core.forging import (
    ABSENT,
    IAT,
    ISSUER,
    LIFETIME,
    NOW,
    Forge,
    accepted,
    b64,
    claims,
    compact,
    forge,
    pem,
)
from watchword.core.access_token import LEEWAY
from watchword.settings import Algorithm

every_algorithm = pytest.mark.parametrize("algorithm", list(Algorithm))
quick = settings(
    max_examples=300, database=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
thorough = settings(quick, max_examples=1500)

GOOD = {algorithm: forge(algorithm).token() for algorithm in Algorithm}
OTHER = {algorithm: forge(algorithm).token(claims(sub="somebody else", own="x")) for algorithm in Algorithm}


@given(place=st.integers(0, 10_000), value=st.integers(0, 255), algorithm=st.sampled_from(list(Algorithm)))
@thorough
def test_no_token_survives_the_change_of_one_byte(place: int, value: int, algorithm: Algorithm) -> None:
    """Attacks 2, 17, 24."""
    token = GOOD[algorithm]
    place %= len(token)
    changed = token[:place] + bytes([value]) + token[place + 1 :]
    assert accepted(forge(algorithm).tokens, changed) is (changed == token)


@given(place=st.integers(0, 10_000), extra=st.binary(min_size=1, max_size=3), cut=st.integers(0, 3))
@quick
def test_no_token_survives_bytes_put_in_or_taken_out(place: int, extra: bytes, cut: int) -> None:
    """Attacks 17, 18, 24."""
    for algorithm, token in GOOD.items():
        at = place % (len(token) + 1)
        longer = token[:at] + extra + token[at + min(cut, len(extra) - 1) :]
        shorter = token[:at] + token[at + 1 + cut :]
        for changed in (longer, shorter):
            assert accepted(forge(algorithm).tokens, changed) is (changed == token)


@given(raw=st.binary(max_size=9000))
@quick
def test_arbitrary_bytes_are_refused_and_never_raise_anything_else(raw: bytes) -> None:
    """Attacks 16, 24; ASVS 11.2.5."""
    for algorithm in Algorithm:
        tokens, header = forge(algorithm).tokens, forge(algorithm).header
        for token in (
            raw,
            header + b"." + raw,
            header + b"." + raw + b"." + raw,
            raw + b"." + GOOD[algorithm],
        ):
            assert not accepted(tokens, token)


ODD: tuple[Any, ...] = (
    *(
        ABSENT,
        None,
        True,
        False,
        0,
        1,
        -1,
        1.5,
        float(IAT),
        2**63,
        10**30,
        "",
        "user",
        "\u00e9",
        [],
        {},
        [[]],
        {"a": 1},
    ),
    *(ISSUER, [ISSUER], ISSUER + "/", ["pwd"], ["owner", 1], str(IAT), "x" * 256),
    *(IAT, IAT - 1, IAT + 1, IAT + 60, IAT + LEEWAY, IAT + LEEWAY + 1, IAT + LEEWAY + 2, IAT + LIFETIME),
)
"""A wrong value of any kind, or one that is right in another place."""
NAMES = (*claims(), "nbf", "own", "cnf")
HEADER_NAMES = ("alg", "kid", "typ", "crit", "jwk", "jku", "b64", "zip", "cty", "x5u")
HEADER_VALUES: tuple[Any, ...] = (
    *("none", "HS256", "RS256", "ES256", "EdDSA", "JWT", "at+jwt", "", "DEF", ["b64"], False, {}, 1, None),
)


def some_token(right: Forge, chance: random.Random) -> bytes:
    """A token that is whole, or wrong in a way or two that parsers differ about."""
    payload = compact(
        claims(**{chance.choice(NAMES): chance.choice(ODD) for _ in range(chance.randrange(3))})
    )
    match chance.randrange(12):
        case 0:
            payload = json.dumps(json.loads(payload), indent=chance.choice([None, 1])).encode()
        case 1:
            payload += chance.choice([b" ", b"\n", b"\x00", b"x", b","])
        case 2:
            payload = payload[:-1] + b',"sub":"twice"}'
        case 3:
            payload = chance.choice(
                [b"\xef\xbb\xbf" + payload, payload.decode().encode("utf-16"), b"[]", b""]
            )
    header = right.header
    if chance.random() < 0.25:
        header = b64(compact(right.fields | {chance.choice(HEADER_NAMES): chance.choice(HEADER_VALUES)}))
    token = right.sign(header + b"." + b64(payload))
    match chance.randrange(8):
        case 0:
            place = chance.randrange(len(token))
            return token[:place] + chance.randbytes(chance.randrange(3)) + token[place + 1 :]
        case 1:
            parts = token.split(b".")
            parts[chance.randrange(3)] = chance.choice(OTHER[right.algorithm].split(b"."))
            return b".".join(parts)
        case 2:
            return token + chance.choice([b"=", b"==", b".", b"\n", b" ", b"A", b".e30"])
    return token


@pytest.mark.filterwarnings(
    "ignore:EdDSA is deprecated"
)  # joserfc's remark on the name of the algorithm (RFC 9864)
@every_algorithm
def test_a_second_library_accepts_whatever_we_accept(algorithm: Algorithm) -> None:
    """Attack 24; ASVS 9.1.1–9.2.4: 4 × 2,000 tokens against joserfc's own decoder and claims check."""
    right = forge(algorithm)
    key = joserfc_key(right)
    rules = jwt.JWTClaimsRegistry(
        now=NOW // 1_000_000,
        leeway=LEEWAY + 1,
        iss={"essential": True, "value": ISSUER},
        aud={"essential": True, "value": ISSUER},
        sub={"essential": True},
        exp={"essential": True},
        iat={"essential": True},
        jti={"essential": True},
    )
    chance = random.Random(f"differential {algorithm.value}")
    ours = theirs = 0
    for _ in range(2000):
        token = some_token(right, chance)
        fine: tuple[dict[str, Any], dict[str, Any]] | None
        try:
            decoded = jwt.decode(token, key, algorithms=[algorithm.value])
            rules.validate(decoded.claims)
            fine = decoded.header, decoded.claims
            theirs += 1
        except (JoseError, ValueError, TypeError, AttributeError):  # it stumbles over `"crit": 1`, for one
            fine = None
        if accepted(right.tokens, token):
            ours += 1
            principal = right.tokens.verify(token, NOW)
            assert fine is not None, token
            assert fine[0] == right.fields
            assert (principal.id, principal.expires_at) == (fine[1]["sub"], fine[1]["exp"])
    assert 200 < ours < theirs < 1800, "the comparison says little unless some pass and some do not"


def joserfc_key(right: Forge) -> OctKey | ECKey | OKPKey | RSAKey:
    match right.algorithm:
        case Algorithm.HS256:
            return OctKey.import_key(right.key)
        case Algorithm.ES256:
            return ECKey.import_key(pem(right.key))
        case Algorithm.EDDSA:
            return OKPKey.import_key(pem(right.key))
        case Algorithm.RS256:
            return RSAKey.import_key(pem(right.key))
