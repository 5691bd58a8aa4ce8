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
from tests.core.refresh_forging import SEED, SID, genuine, jwt, jwt_claims, jwt_header, refresh_tokens, row
from tests.core.test_known_device import ADA
from watchword.core import session_token
from watchword.core.access_token import AccessTokens
from watchword.core.csrf import CsrfTokens
from watchword.core.keys import KeyRing
from watchword.core.known_device import KnownDevices
from watchword.core.refresh_token import PREFIX
from watchword.settings import Algorithm, RefreshFormat

EVERY_CLAIM = claims() | jwt_claims(exp=claims()["exp"])
"""Good as an access token's and as a refresh token's, so that it is not for one of them that a token is refused."""
session_tokens = session_token.SessionTokens(KeyRing([SECRET]))
csrf_tokens = CsrfTokens(KeyRing([SECRET]), seconds=LIFETIME)
devices = KnownDevices(KeyRing([SECRET]))


def jwt_by(algorithm: Algorithm, secret: bytes, purpose: str, typ: str = "at+jwt") -> bytes:
    """A JWT under the key of another purpose, its header as our verifier wants it where `typ` is right."""
    header = (
        forge(algorithm).header if typ == "at+jwt" else b64(compact(forge(algorithm).fields | {"typ": typ}))
    )
    signing_input = header + b"." + b64(compact(EVERY_CLAIM))
    return (
        signing_input + b"." + b64(signer(algorithm, private_key(algorithm, secret, purpose))(signing_input))
    )


def refresh_by(key: bytes) -> bytes:
    body = UUID(SID).bytes + (7).to_bytes(8, "big")
    tag = hmac.digest(key, b"watchword/refresh/1" + body + SEED, "sha256")
    raw = b"\x01" + hkdf(SECRET, "key id", 3) + body + tag
    return PREFIX.encode() + b64(raw)


def refresh_jwt_of(algorithm: Algorithm) -> bytes:
    """A JWT of typ rt+jwt, by a key of ours that others may verify by."""
    header = b64(compact(jwt_header(alg=algorithm.value, kid=forge(algorithm).fields["kid"])))
    signing_input = header + b"." + b64(compact(EVERY_CLAIM))
    return (
        signing_input
        + b"."
        + b64(signer(algorithm, private_key(algorithm, SECRET, "refresh jwt"))(signing_input))
    )


def refresh_jwt_by(key: bytes, typ: str = "rt+jwt") -> bytes:
    """A JWT under another key, or of another typ, that is a refresh token in everything else."""
    return jwt(EVERY_CLAIM, header=jwt_header(typ=typ), key=key).encode()


def session_by(key: bytes, label: bytes = b"watchword/session/1") -> bytes:
    body = UUID(SID).bytes + (1).to_bytes(8, "big")
    tag = hmac.digest(key, label + body + SEED, "sha256")
    return session_token.PREFIX + b64(b"\x01" + hkdf(SECRET, "key id", 3) + body + tag)


PURPOSES = ("refresh", "refresh jwt", "session", "csrf", "challenge", "device", "access kid", "")
ARTEFACTS: dict[str, bytes] = {
    **{f"access token {algorithm.value}": forge(algorithm).token() for algorithm in Algorithm},
    "refresh token opaque": refresh_tokens().mint(row()).encode(),
    "refresh token jwt": refresh_tokens(refresh_format=RefreshFormat.JWT).mint(row()).encode(),
    **{
        f"refresh JWT by the {purpose or 'nameless'} key": refresh_jwt_by(hkdf(SECRET, purpose, 32))
        for purpose in ("access", "refresh", "csrf", "refresh jwt kid", "")
    },
    **{
        f"refresh JWT of typ {typ}": refresh_jwt_by(hkdf(SECRET, "refresh jwt", 32), typ)
        for typ in ("at+jwt", "JWT", "challenge+jwt", "application/rt+jwt")
    },
    "refresh JWT by the root secret": refresh_jwt_by(SECRET),
    "refresh JWT of another environment": refresh_jwt_by(hkdf(OTHER_SECRET, "refresh jwt", 32)),
    **{
        f"refresh JWT by {algorithm.value}": refresh_jwt_of(algorithm)
        for algorithm in (Algorithm.ES256, Algorithm.EDDSA, Algorithm.RS256)
    },
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
        for purpose in ("access", "session", "csrf")
    },
    "session token": session_tokens.mint(SID, 1, SEED).encode(),
    **{
        f"session token by the {purpose} key": session_by(hkdf(SECRET, purpose, 32))
        for purpose in ("access", "refresh", "csrf")
    },
    "session token by the root secret": session_by(SECRET),
    "session token of another environment": session_by(hkdf(OTHER_SECRET, "session", 32)),
    "session token with the label of refresh tokens": session_by(
        hkdf(SECRET, "session", 32), b"watchword/refresh/1"
    ),
    "refresh token named a session token": session_token.PREFIX + refresh_tokens().mint(row()).encode()[4:],
    "session token named a refresh token": PREFIX.encode() + session_tokens.mint(SID, 1, SEED).encode()[4:],
    "CSRF token": csrf_tokens.mint(SID, bytes(12), NOW).encode(),
    "device token": devices.mint(ADA, bytes(16), NOW).encode(),
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


def as_refresh(refresh_format: RefreshFormat) -> Callable[[bytes], bool]:
    return lambda artefact: genuine(artefact.decode(), row(), refresh_tokens(refresh_format=refresh_format))


ACCESS_PLACES = {f"access token {algorithm.value}": as_access(algorithm) for algorithm in Algorithm}
REFRESH_PLACES = {f"refresh token {kind.value}": as_refresh(kind) for kind in RefreshFormat}


def as_session(artefact: bytes) -> bool:
    named = session_token.read(artefact)
    return named is not None and session_tokens.genuine(named, SEED)


PLACES: dict[str, Callable[[bytes], bool]] = {
    **ACCESS_PLACES,
    "session token": as_session,
    "CSRF token": lambda artefact: csrf_tokens.genuine(artefact, SID, NOW),
    "device token": lambda artefact: devices.genuine(artefact.decode("latin-1"), ADA, NOW),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_place_opens_to_its_own_artefact_alone(place: str) -> None:
    """Attacks 6, 19, 38; ASVS 2.3.1, 9.1.3, 9.2.2: every artefact, purpose, typ and environment in every place."""
    assert [name for name, artefact in ARTEFACTS.items() if PLACES[place](artefact)] == [place]


@pytest.mark.parametrize("place", REFRESH_PLACES)
def test_a_refresh_opens_to_refresh_tokens_of_both_formats_alone(place: str) -> None:
    """R26; attacks 19, 38; ASVS 9.2.2: whichever of them it mints."""
    opened = [name for name, artefact in ARTEFACTS.items() if REFRESH_PLACES[place](artefact)]
    assert opened == list(REFRESH_PLACES)


def test_the_claims_of_these_forgeries_are_good_in_both_places() -> None:
    """Without this the forgeries of JWTs above would prove nothing."""
    for algorithm in Algorithm:
        assert accepted(forge(algorithm).tokens, forge(algorithm).token(EVERY_CLAIM))
    assert genuine(jwt(EVERY_CLAIM))


def test_an_access_token_for_another_address_of_the_same_secret_does_not_open_ours() -> None:
    """Attacks 14, 20: staging and production that share a secret, against every advice."""
    staging = AccessTokens(
        KeyRing([SECRET]), algorithm=Algorithm.HS256, issuer="https://staging.example.com", lifetime=LIFETIME
    )
    token = forge(Algorithm.HS256).token(claims(iss=ISSUER, aud=ISSUER))
    assert accepted(forge(Algorithm.HS256).tokens, token, NOW)
    assert not accepted(staging, token, NOW)
