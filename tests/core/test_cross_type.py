"""Everything that is signed, presented everywhere that something signed is expected: only the diagonal opens."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from uuid import UUID

import pytest

from tests.core.forging import (
    ISSUER,
    LIFETIME,
    NOW,
    OTHER_SECRET,
    SECRET,
    accepted,
    b64,
    claims,
    compact,
    forge,
    hkdf,
    private_key,
    signer,
)
from watchword.core.access_token import AccessTokens
from watchword.core.keys import KeyRing
from watchword.core.refresh_token import PREFIX, RefreshTokens, read
from watchword.settings import Algorithm

SID, SEED = "0190a0b0-1234-7abc-8def-0123456789ab", bytes(range(32))
refresh_tokens = RefreshTokens(KeyRing([SECRET]))


def jwt_by(algorithm: Algorithm, secret: bytes, purpose: str, typ: str = "at+jwt") -> bytes:
    """A JWT under the key of another purpose, its header as our verifier wants it where `typ` is right."""
    header = (
        forge(algorithm).header if typ == "at+jwt" else b64(compact(forge(algorithm).fields | {"typ": typ}))
    )
    signing_input = header + b"." + b64(compact(claims(sid=SID)))
    return (
        signing_input + b"." + b64(signer(algorithm, private_key(algorithm, secret, purpose))(signing_input))
    )


def refresh_by(key: bytes) -> bytes:
    body = UUID(SID).bytes + (1).to_bytes(8, "big")
    tag = hmac.digest(key, b"watchword/refresh/1" + body + SEED, "sha256")
    raw = b"\x01" + hkdf(SECRET, "key id", 3) + body + tag
    return PREFIX.encode() + b64(raw)


PURPOSES = ("refresh", "csrf", "challenge", "device", "access kid", "")
ARTEFACTS: dict[str, bytes] = {
    **{f"access token {algorithm.value}": forge(algorithm).token() for algorithm in Algorithm},
    "refresh token": refresh_tokens.mint(SID, 1, SEED).encode(),
    **{
        f"JWT {algorithm.value} by the {purpose or 'nameless'} key": jwt_by(algorithm, SECRET, purpose)
        for algorithm in (Algorithm.HS256, Algorithm.ES256, Algorithm.EDDSA)
        for purpose in PURPOSES
    },
    **{
        f"JWT {algorithm.value} of typ {typ}": jwt_by(algorithm, SECRET, "access", typ)
        for algorithm in Algorithm
        for typ in ("rt+jwt", "JWT", "challenge+jwt")
    },
    **{
        f"JWT {algorithm.value} of another environment": jwt_by(algorithm, OTHER_SECRET, "access")
        for algorithm in (Algorithm.HS256, Algorithm.ES256, Algorithm.EDDSA)
    },
    **{
        f"refresh token by the {purpose} key": refresh_by(hkdf(SECRET, purpose, 32))
        for purpose in ("access", "csrf")
    },
    "refresh token by the root secret": refresh_by(SECRET),
    "refresh token of another environment": refresh_by(hkdf(OTHER_SECRET, "refresh", 32)),
    "JWT HS256 by the root secret": forge(Algorithm.HS256).header
    + b"."
    + (body := b64(compact(claims())))
    + b"."
    + b64(hmac.digest(SECRET, forge(Algorithm.HS256).header + b"." + body, "sha256")),
}


def as_access(algorithm: Algorithm) -> Callable[[bytes], bool]:
    return lambda artefact: accepted(forge(algorithm).tokens, artefact)


def as_refresh(artefact: bytes) -> bool:
    presented = read(artefact.decode())
    return presented is not None and refresh_tokens.genuine(presented, SEED)


PLACES: dict[str, Callable[[bytes], bool]] = {
    **{f"access token {algorithm.value}": as_access(algorithm) for algorithm in Algorithm},
    "refresh token": as_refresh,
}


@pytest.mark.parametrize("place", PLACES)
def test_a_place_opens_to_its_own_artefact_alone(place: str) -> None:
    """Attacks 6, 19, 38; ASVS 2.3.1, 9.1.3, 9.2.2: every artefact, purpose, typ and environment in every place."""
    assert [name for name, artefact in ARTEFACTS.items() if PLACES[place](artefact)] == [place]


def test_an_access_token_for_another_address_of_the_same_secret_does_not_open_ours() -> None:
    """Attacks 14, 20: staging and production that share a secret, against every advice."""
    staging = AccessTokens(
        KeyRing([SECRET]), algorithm=Algorithm.HS256, issuer="https://staging.example.com", lifetime=LIFETIME
    )
    token = forge(Algorithm.HS256).token(claims(iss=ISSUER, aud=ISSUER))
    assert accepted(forge(Algorithm.HS256).tokens, token, NOW)
    assert not accepted(staging, token, NOW)
