"""Access tokens: the one place that signs and verifies them, and the cache that makes the second check a look-up.

Strict by construction: a table maps the exact header bytes that we mint to algorithm and key, and any other header
(`none`, another algorithm, crit, jwk, jku, x5u, another typ, duplicates) is refused without being decoded. The
signature is checked before anything is parsed, by joserfc's algorithm objects. Pure but for the nonce that ECDSA
draws inside the cryptography library; `now` is µs since 1970.
Sources: RFC 9068, RFC 8725, RFC 7515; ASVS 5.0 9.1.1–9.2.4, 11.2.5; SECURITY-TARGET attacks 1–24.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from watchword.core.keys import KeyRing, Purpose, RootSecret
from watchword.core.revocation import Revocations
from watchword.core.session import Principal
from watchword.errors import InvalidToken, SessionEnded, SettingsError, TokenExpired
from watchword.settings import Algorithm

MAX_BYTES = 8192
LEEWAY = 5
"""Seconds by which clocks of issuer and verifier may differ."""
CACHE_SIZE = 4096
CLIENT_ID = "watchword"
RESERVED = frozenset(
    {
        "iss",
        "aud",
        "client_id",
        "sub",
        "sid",
        "iat",
        "exp",
        "nbf",
        "jti",
        "roles",
        "amr",
        "auth_time",
        "cnf",
        "scope",
    }
)
"""Claims that are ours or the standards'; an app's own may not be called so."""
_MIN_RSA_BITS = 3072


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key with the one algorithm it serves and the header segment that its tokens begin with."""

    kid: str
    algorithm: Algorithm
    key: Any  # joserfc's key types share no public base that their algorithm objects accept
    header: bytes
    public: Mapping[str, Any] | None
    """The key as published in the JWKS; None for a symmetric one."""


class AccessTokens:
    """Issues and checks access tokens under a key ring.

    `issuer` is both `iss` and `aud`; `lifetime` is in seconds and no token that claims more is accepted.
    `rsa_pem` holds the private keys for RS256, the first signing.
    """

    def __init__(
        self, ring: KeyRing, *, algorithm: Algorithm, issuer: str, lifetime: int, rsa_pem: bytes | None = None
    ) -> None:
        keys = signing_keys(ring, algorithm, rsa_pem)
        self._signing = keys[0]
        self._keys = {key.header: key for key in keys}
        self._issuer = issuer
        self._lifetime = lifetime
        self._jws = JWSRegistry.algorithms[algorithm.value]

    def issue(
        self,
        *,
        user_id: str,
        sid: str,
        jti: str,
        roles: Sequence[str],
        amr: Sequence[str],
        auth_time: int,
        issued_at: int,
        ends_at: int,
        claims: Mapping[str, Any] | None = None,
    ) -> str:
        """A signed token (RFC 9068) that does not outlive `ends_at`, the end of its session. Times are whole seconds.

        Raises ValueError for a claim that is reserved.
        """
        payload = {
            "iss": self._issuer,
            "aud": self._issuer,
            "client_id": CLIENT_ID,
            "sub": user_id,
            "sid": sid,
            "iat": issued_at,
            "exp": self.expiry(issued_at, ends_at),
            "jti": jti,
            "roles": list(roles),
            "amr": list(amr),
            "auth_time": auth_time,
        }
        if claims:
            if taken := RESERVED.intersection(claims):
                raise ValueError(f"claims may not be called {', '.join(sorted(taken))}")
            payload.update(claims)
        signing_input = self._signing.header + b"." + _encode(_json(payload))
        token = signing_input + b"." + _encode(self._jws.sign(signing_input, self._signing.key))
        if len(token) > MAX_BYTES:
            raise ValueError(f"the token would have {len(token)} bytes, {MAX_BYTES} at most")
        return token.decode("ascii")

    def expiry(self, issued_at: int, ends_at: int) -> int:
        """When a token issued now expires: with its session at the latest, and never before it begins."""
        return max(issued_at + 1, min(issued_at + self._lifetime, ends_at))

    def verify(self, token: bytes, now: int) -> Principal:
        """Who a token speaks for, whether or not it has expired. Raises InvalidToken, for every fault alike."""
        if len(token) > MAX_BYTES:
            raise InvalidToken
        signing_input, _, signature_segment = token.rpartition(b".")
        header, _, payload_segment = signing_input.partition(b".")
        key = self._keys.get(header)
        if key is None:
            raise InvalidToken
        try:
            signature = _decode(signature_segment)
            if not self._jws.verify(signing_input, signature, key.key):
                raise InvalidToken
            text = _decode(payload_segment)
            payload = json.loads(text)
            # A name twice, an escape, NaN, a blank, UTF-16: nothing that `issue` writes (ASVS 5.0 1.5.3).
            if _json(payload) != text:
                raise InvalidToken
        except (ValueError, RecursionError):
            raise InvalidToken from None
        return self._principal(payload, now)

    def jwks(self) -> dict[str, list[Mapping[str, Any]]]:
        """The public keys (RFC 7517 §5), the signing one first; none for HS256."""
        return {"keys": [key.public for key in self._keys.values() if key.public is not None]}

    def _principal(self, payload: Any, now: int) -> Principal:
        """The claims, each of its right type: a valid signature does not excuse a wrong claim."""
        if not isinstance(payload, dict):
            raise InvalidToken
        get = payload.get
        issued_at, expires_at, auth_time = get("iat"), get("exp"), get("auth_time")
        not_before = get("nbf", issued_at)
        ahead = now // 1_000_000 + LEEWAY + 1
        user_id, sid, roles, amr = get("sub"), get("sid"), get("roles"), get("amr")
        if not (
            type(issued_at) is int
            and type(expires_at) is int
            and type(auth_time) is int
            and 0 < expires_at - issued_at <= self._lifetime
            and 0 <= auth_time
            and 0 <= issued_at <= ahead
            and type(not_before) is int
            and 0 <= not_before <= ahead
            and get("iss") == self._issuer
            and get("aud") == self._issuer
            and get("client_id") == CLIENT_ID
            and _is_text(user_id)
            and _is_text(sid)
            and _is_text(get("jti"))
            and _is_texts(roles)
            and _is_texts(amr)
        ):
            raise InvalidToken
        own = {name: value for name, value in payload.items() if name not in RESERVED}
        return Principal(user_id, sid, tuple(roles), tuple(amr), auth_time, issued_at, expires_at, own)


class Verifier:
    """What a guard asks: a raw token in, a principal or an error out, with no I/O.

    Verified tokens are kept by their raw bytes (only genuine ones enter, so nobody can flood it), first in first out;
    expiry and revocation are checked every time.
    """

    def __init__(self, tokens: AccessTokens, revocations: Revocations) -> None:
        self._tokens = tokens
        self._revocations = revocations
        self._seen: dict[bytes, Principal] = {}

    def verify(self, token: bytes, now: int) -> Principal:
        """Raises InvalidToken, TokenExpired or SessionEnded. `now` in µs."""
        principal = self._seen.get(token)
        if principal is None:
            principal = self._tokens.verify(token, now)
            if len(self._seen) >= CACHE_SIZE:
                self._seen.pop(next(iter(self._seen)), None)
            self._seen[token] = principal
        if now >= (principal.expires_at + LEEWAY) * 1_000_000:
            self._seen.pop(token, None)
            raise TokenExpired
        if self._revocations.ended(principal.sid):
            raise SessionEnded
        if principal.issued_at < self._revocations.tokens_from(principal.id):
            raise TokenExpired
        return principal

    def forget(self, sids: frozenset[str]) -> None:
        """Drop what was kept of ended sessions."""
        if sids:
            self._seen = {token: seen for token, seen in self._seen.items() if seen.sid not in sids}


def signing_keys(ring: KeyRing, algorithm: Algorithm, rsa_pem: bytes | None) -> list[SigningKey]:
    """All keys that verify, the signing one first. Raises SettingsError for PEM text that holds no fit RSA keys."""
    if algorithm is Algorithm.RS256:
        return [_rsa_key(pem) for pem in _split_pem(rsa_pem or b"")]
    return [_derived_key(root, algorithm) for root in ring]


def _derived_key(root: RootSecret, algorithm: Algorithm) -> SigningKey:
    if algorithm is Algorithm.HS256:
        key = OctKey.import_key(root.key(Purpose.ACCESS))
        kid = root.kid(Purpose.ACCESS)
        return SigningKey(kid, algorithm, key, _header(algorithm, kid), None)
    if algorithm is Algorithm.ES256:
        return _published(ECKey.import_key(_pem(root.p256_key(Purpose.ACCESS))), algorithm)
    return _published(OKPKey.import_key(_pem(root.ed25519_key(Purpose.ACCESS))), algorithm)


def _rsa_key(pem: bytes) -> SigningKey:
    try:
        private = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise SettingsError("rsa_key: not a PEM private key without a password") from None
    if not isinstance(private, rsa.RSAPrivateKey) or private.key_size < _MIN_RSA_BITS:
        raise SettingsError(f"rsa_key: RS256 needs RSA keys of at least {_MIN_RSA_BITS} bits")
    return _published(RSAKey.import_key(pem), Algorithm.RS256)


def _split_pem(text: bytes) -> list[bytes]:
    end = b"-----END"
    blocks = [b"-----BEGIN" + part for part in text.split(b"-----BEGIN")[1:]]
    if not blocks or not all(end in block for block in blocks):
        raise SettingsError("rsa_key: algorithm RS256 needs a PEM private key (WATCHWORD_RSA_KEY_FILE)")
    return blocks


def _published(key: ECKey | OKPKey | RSAKey, algorithm: Algorithm) -> SigningKey:
    kid = key.thumbprint()[:16]
    public = {**key.as_dict(private=False), "use": "sig", "alg": algorithm.value, "kid": kid}
    return SigningKey(kid, algorithm, key, _header(algorithm, kid), public)


def _header(algorithm: Algorithm, kid: str) -> bytes:
    header = {"alg": algorithm.value, "kid": kid, "typ": "at+jwt"}
    return _encode(json.dumps(header, separators=(",", ":")).encode())


def _json(value: Any) -> bytes:
    """The one way in which claims are written. Raises ValueError for what is no JSON."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def _pem(key: Any) -> bytes:
    pem: bytes = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return pem


def _encode(raw: bytes) -> bytes:
    return urlsafe_b64encode(raw).rstrip(b"=")


def _decode(segment: bytes) -> bytes:
    """Strict base64url: one spelling for each value, so that no token can be written in two ways."""
    raw = urlsafe_b64decode(segment + b"=" * (-len(segment) % 4))
    if _encode(raw) != segment:
        raise ValueError("not the canonical base64url form")
    return raw


def _is_text(value: Any) -> TypeGuard[str]:
    return type(value) is str and 0 < len(value) <= 255


def _is_texts(value: Any) -> TypeGuard[list[str]]:
    return type(value) is list and all(_is_text(item) for item in value)
