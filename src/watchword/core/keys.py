"""Keys: from an ordered list of root secrets to one key a purpose. Pure.

The first secret signs, all of them verify; every key is derived by HKDF-SHA256 under its purpose's label, so that
nothing made for one purpose is valid for another, and each carries an id (`kid`) that tells nothing of the secret.
Sources: RFC 5869; FIPS 186-5 A.2.1 (private key from extra random bits); ASVS 5.0 6.3.2, 11.2.2, 11.6.1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from watchword.errors import SettingsError

_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


class Purpose(StrEnum):
    """What a key is for: a label in its derivation."""

    ACCESS = "access"
    REFRESH = "refresh"
    """The tag of every refresh token, whatever it looks like."""
    REFRESH_JWT = "refresh jwt"
    """The signature of one that is a JWT."""
    SESSION = "session"
    CSRF = "csrf"
    MAIL = "mail"
    CHALLENGE = "challenge"
    LIMIT = "limit"
    DEVICE = "device"
    HINT = "hint"
    """Names nothing but the channel of an installation's hints."""


class RootSecret:
    """One root secret, known by the keys that it yields."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self.key_id = self._derive("key id", 3)
        """Three bytes that name this secret inside refresh tokens."""

    def __repr__(self) -> str:
        return f"RootSecret(key_id={self.key_id.hex()!r})"

    def key(self, purpose: Purpose) -> bytes:
        """32 bytes for a MAC."""
        return self._derive(purpose.value, 32)

    def kid(self, purpose: Purpose) -> str:
        """The public name of this secret's MAC key for `purpose`."""
        return self._derive(f"{purpose.value} kid", 9).hex()

    def p256_key(self, purpose: Purpose) -> ec.EllipticCurvePrivateKey:
        extra = int.from_bytes(self._derive(f"{purpose.value} P-256", 40), "big")
        return ec.derive_private_key(extra % (_P256_ORDER - 1) + 1, ec.SECP256R1())

    def ed25519_key(self, purpose: Purpose) -> ed25519.Ed25519PrivateKey:
        return ed25519.Ed25519PrivateKey.from_private_bytes(self._derive(f"{purpose.value} Ed25519", 32))

    def _derive(self, label: str, length: int) -> bytes:
        info = b"watchword/1/" + label.encode()
        return HKDF(algorithm=hashes.SHA256(), length=length, salt=None, info=info).derive(self._secret)


class KeyRing:
    """The root secrets in order: `signing` makes, all of them verify."""

    def __init__(self, secrets: Sequence[bytes]) -> None:
        if not secrets:
            raise SettingsError("secret: there must be at least one; `watchword secret` makes one")
        self.roots = tuple(RootSecret(secret) for secret in secrets)
        if len({root.key_id for root in self.roots}) != len(self.roots):
            raise SettingsError("secret: the same one is listed twice")

    @property
    def signing(self) -> RootSecret:
        return self.roots[0]

    def __iter__(self) -> Iterator[RootSecret]:
        return iter(self.roots)
