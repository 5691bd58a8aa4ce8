"""JSON Web Signatures: the one place that signs and opens them, with the keys of each kind of token.

Strict by construction: a table maps the exact header bytes that we mint to algorithm and key, and any other header
(`none`, another algorithm, crit, jwk, jku, x5u, another typ, duplicates) is refused without being decoded. The
signature is checked before anything is parsed, by joserfc's algorithm objects. What claims mean is `access_token`'s
and `refresh_token`'s. Pure but for the nonce that ECDSA draws inside the cryptography library.
Sources: RFC 7515, RFC 8725; ASVS 5.0 9.1.1–9.1.3, 11.2.5; SECURITY-TARGET attacks 1–19.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from watchword.core.base64url import decode, decode_any, encode
from watchword.core.keys import KeyRing, Purpose, RootSecret
from watchword.errors import InvalidToken, SettingsError
from watchword.settings import Algorithm

MAX_BYTES = 8192
_TYPES = {Purpose.ACCESS: "at+jwt", Purpose.REFRESH_JWT: "rt+jwt"}
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


class Jws:
    """Signs with the first of its keys and opens what any of them has signed. All are of one algorithm."""

    def __init__(self, keys: Sequence[SigningKey]) -> None:
        self._signing = keys[0]
        self._keys = {key.header: key for key in keys}
        self._algorithm = JWSRegistry.algorithms[keys[0].algorithm.value]

    def sign(self, payload: Mapping[str, Any]) -> bytes:
        """The token of these claims. Raises ValueError for what is no JSON or too long."""
        signing_input = self._signing.header + b"." + encode(_json(payload))
        token = signing_input + b"." + encode(self._algorithm.sign(signing_input, self._signing.key))
        if len(token) > MAX_BYTES:
            raise ValueError(f"the token would have {len(token)} bytes, {MAX_BYTES} at most")
        return token

    def open(self, token: bytes) -> dict[str, Any]:
        """The claims of a genuine token. Raises InvalidToken, for every fault alike."""
        if len(token) > MAX_BYTES:
            raise InvalidToken
        signing_input, _, signature_segment = token.rpartition(b".")
        header, _, payload_segment = signing_input.partition(b".")
        key = self._keys.get(header)
        if key is None:
            raise InvalidToken
        try:
            if not self._algorithm.verify(signing_input, decode(signature_segment), key.key):
                raise InvalidToken
            payload, _ = _read(decode_any(payload_segment).decode())
            # Another spelling in base64url, a name twice, an escape, NaN, a blank, more behind it: nothing that `sign`
            # writes (ASVS 5.0 1.5.3).
            if type(payload) is not dict or encode(_json(payload)) != payload_segment:
                raise InvalidToken
        except (ValueError, RecursionError):
            raise InvalidToken from None
        return payload

    def published(self) -> list[Mapping[str, Any]]:
        """The public keys (RFC 7517 §5), the signing one first; none for HS256."""
        return [key.public for key in self._keys.values() if key.public is not None]


def signing_keys(
    ring: KeyRing, purpose: Purpose, algorithm: Algorithm, rsa_pem: bytes | None = None
) -> list[SigningKey]:
    """All keys that verify, the signing one first. Raises SettingsError for PEM text that holds no fit RSA keys."""
    if algorithm is Algorithm.RS256:
        return [_rsa_key(pem, purpose) for pem in _split_pem(rsa_pem or b"")]
    return [_derived_key(root, purpose, algorithm) for root in ring]


def is_text(value: Any) -> TypeGuard[str]:
    """Whether a claim is a text of a length that ours have."""
    return type(value) is str and 0 < len(value) <= 255


def _derived_key(root: RootSecret, purpose: Purpose, algorithm: Algorithm) -> SigningKey:
    if algorithm is Algorithm.HS256:
        key = OctKey.import_key(root.key(purpose))
        kid = root.kid(purpose)
        return SigningKey(kid, algorithm, key, _header(algorithm, kid, purpose), None)
    if algorithm is Algorithm.ES256:
        return _published(ECKey.import_key(_pem(root.p256_key(purpose))), algorithm, purpose)
    return _published(OKPKey.import_key(_pem(root.ed25519_key(purpose))), algorithm, purpose)


def _rsa_key(pem: bytes, purpose: Purpose) -> SigningKey:
    try:
        private = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise SettingsError("rsa_key: not a PEM private key without a password") from None
    if not isinstance(private, rsa.RSAPrivateKey) or private.key_size < _MIN_RSA_BITS:
        raise SettingsError(f"rsa_key: RS256 needs RSA keys of at least {_MIN_RSA_BITS} bits")
    return _published(RSAKey.import_key(pem), Algorithm.RS256, purpose)


def _split_pem(text: bytes) -> list[bytes]:
    end = b"-----END"
    blocks = [b"-----BEGIN" + part for part in text.split(b"-----BEGIN")[1:]]
    if not blocks or not all(end in block for block in blocks):
        raise SettingsError("rsa_key: algorithm RS256 needs a PEM private key (WATCHWORD_RSA_KEY_FILE)")
    return blocks


def _published(key: ECKey | OKPKey | RSAKey, algorithm: Algorithm, purpose: Purpose) -> SigningKey:
    kid = key.thumbprint()[:16]
    public = {**key.as_dict(private=False), "use": "sig", "alg": algorithm.value, "kid": kid}
    return SigningKey(kid, algorithm, key, _header(algorithm, kid, purpose), public)


def _header(algorithm: Algorithm, kid: str, purpose: Purpose) -> bytes:
    return encode(_json({"alg": algorithm.value, "kid": kid, "typ": _TYPES[purpose]}))


_read = json.JSONDecoder().raw_decode
_write = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


def _json(value: Any) -> bytes:
    """The one way in which claims are written. Raises ValueError for what is no JSON."""
    return _write(value).encode()


def _pem(key: Any) -> bytes:
    pem: bytes = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return pem
