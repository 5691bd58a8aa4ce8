"""Access tokens made outside the module that is tested: the right key and header, and whatever payload a test wants.

Keys are derived here a second time, with HKDF written out over hmac, so that a change of a label or a length in
`core.keys` shows as tokens that no longer verify.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from watchword.core.access_token import AccessTokens
from watchword.core.keys import KeyRing
from watchword.errors import InvalidToken
from watchword.settings import Algorithm

SECRET = b"kX3vQz8LmN1pR6tYw0aBcDeFgHiJk-test-secret"
OTHER_SECRET = b"Zq9-another-environment-7uYtReWqAsDfGhJkL"
ISSUER = "https://app.example.com"
LIFETIME = 900
SECOND = 1_000_000
IAT = 1_800_000_000
NOW = IAT * SECOND
"""The instant of every test here, in µs."""
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551

ABSENT: Any = object()
"""As the value of a claim: leave the claim out."""


def hkdf(secret: bytes, label: str, length: int) -> bytes:
    """RFC 5869 with SHA-256, no salt, info = `watchword/1/` + label."""
    pseudorandom = hmac.digest(bytes(32), secret, "sha256")
    info, block, material = b"watchword/1/" + label.encode(), b"", b""
    for count in range(1, -(-length // 32) + 1):
        block = hmac.digest(pseudorandom, block + info + bytes([count]), "sha256")
        material += block
    return material[:length]


def b64(raw: bytes) -> bytes:
    """base64url without padding."""
    return urlsafe_b64encode(raw).rstrip(b"=")


def compact(value: Any) -> bytes:
    """JSON as we write it."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def hs256(key: bytes) -> Callable[[bytes], bytes]:
    return lambda message: hmac.new(key, message, hashlib.sha256).digest()


def es256(key: ec.EllipticCurvePrivateKey) -> Callable[[bytes], bytes]:
    def sign(message: bytes) -> bytes:
        r, s = decode_dss_signature(key.sign(message, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    return sign


def rs256(key: rsa.RSAPrivateKey) -> Callable[[bytes], bytes]:
    return lambda message: key.sign(message, padding.PKCS1v15(), hashes.SHA256())


@cache
def rsa_key(number: int, bits: int = 3072) -> rsa.RSAPrivateKey:
    """A key a number, made once a run."""
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def pem(key: Any) -> bytes:
    text: bytes = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return text


def p256_key(secret: bytes, purpose: str = "access") -> ec.EllipticCurvePrivateKey:
    number = int.from_bytes(hkdf(secret, f"{purpose} P-256", 40), "big")
    return ec.derive_private_key(number % (P256_ORDER - 1) + 1, ec.SECP256R1())


def ed25519_key(secret: bytes, purpose: str = "access") -> ed25519.Ed25519PrivateKey:
    return ed25519.Ed25519PrivateKey.from_private_bytes(hkdf(secret, f"{purpose} Ed25519", 32))


def private_key(algorithm: Algorithm, secret: bytes = SECRET, purpose: str = "access") -> Any:
    """The key that `AccessTokens` must be using; bytes for HS256."""
    match algorithm:
        case Algorithm.HS256:
            return hkdf(secret, purpose, 32)
        case Algorithm.ES256:
            return p256_key(secret, purpose)
        case Algorithm.EDDSA:
            return ed25519_key(secret, purpose)
        case Algorithm.RS256:
            return rsa_key(0)


def signer(algorithm: Algorithm, key: Any) -> Callable[[bytes], bytes]:
    match algorithm:
        case Algorithm.HS256:
            return hs256(key)
        case Algorithm.ES256:
            return es256(key)
        case Algorithm.EDDSA:
            sign: Callable[[bytes], bytes] = key.sign
            return sign
        case Algorithm.RS256:
            return rs256(key)


@cache
def access_tokens(
    algorithm: Algorithm,
    secrets: tuple[bytes, ...] = (SECRET,),
    *,
    issuer: str = ISSUER,
    rsa_pem: bytes | None = None,
) -> AccessTokens:
    """The real thing, as `auth` builds it; it keeps no state, so one serves all tests."""
    if algorithm is Algorithm.RS256 and rsa_pem is None:
        rsa_pem = pem(rsa_key(0))
    return AccessTokens(
        KeyRing(secrets), algorithm=algorithm, issuer=issuer, lifetime=LIFETIME, rsa_pem=rsa_pem
    )


def claims(**changes: Any) -> dict[str, Any]:
    """The claims of a good token, changed; `ABSENT` leaves one out."""
    good: dict[str, Any] = {
        "iss": ISSUER,
        "aud": ISSUER,
        "client_id": "watchword",
        "sub": "0190a0b0-0000-7000-8000-00000000000a",
        "sid": "0190a0b0-0000-7000-8000-00000000000b",
        "iat": IAT,
        "exp": IAT + LIFETIME,
        "jti": "n0nce",
        "roles": ["owner"],
        "amr": ["pwd"],
        "auth_time": IAT - 60,
    }
    return {name: value for name, value in (good | changes).items() if value is not ABSENT}


@dataclass(frozen=True)
class Forge:
    """One algorithm with the right key: whatever it signs has a genuine signature."""

    algorithm: Algorithm
    tokens: AccessTokens
    key: Any
    header: bytes
    """The header segment that the verifier expects."""

    def sign(self, signing_input: bytes) -> bytes:
        """header.payload → header.payload.signature"""
        return signing_input + b"." + b64(signer(self.algorithm, self.key)(signing_input))

    def token(
        self,
        payload: Mapping[str, Any] | bytes | None = None,
        *,
        header: Mapping[str, Any] | bytes | None = None,
    ) -> bytes:
        """A token of a payload (claims, or bytes as they are) and a header (fields, or the segment as it is)."""
        body = claims() if payload is None else payload
        raw = body if isinstance(body, bytes) else compact(body)
        if header is None:
            segment = self.header
        else:
            segment = header if isinstance(header, bytes) else b64(compact(header))
        return self.sign(segment + b"." + b64(raw))

    @property
    def fields(self) -> dict[str, Any]:
        """What the expected header says."""
        padded = self.header + b"=" * (-len(self.header) % 4)
        fields: dict[str, Any] = json.loads(urlsafe_b64decode(padded))
        return fields


@cache
def forge(algorithm: Algorithm) -> Forge:
    tokens = access_tokens(algorithm)
    header = issue(tokens).partition(b".")[0]
    return Forge(algorithm, tokens, private_key(algorithm), header)


def issue(tokens: AccessTokens, **changes: Any) -> bytes:
    """A token by the module's own `issue`."""
    good: dict[str, Any] = {
        "user_id": "user",
        "sid": "sid",
        "jti": "n0nce",
        "roles": ("owner",),
        "amr": ("pwd",),
        "auth_time": IAT - 60,
        "issued_at": IAT,
        "ends_at": IAT + 30 * 86_400,
    }
    return tokens.issue(**(good | changes)).encode()


def accepted(tokens: AccessTokens, token: bytes, now: int = NOW) -> bool:
    """Whether a token passes. Anything but a pass or the one error is a fault of its own and comes through."""
    try:
        tokens.verify(token, now)
    except InvalidToken as error:
        refusal = error
    else:
        return True
    assert str(refusal) == InvalidToken.title
    assert refusal.__cause__ is None
    return False
