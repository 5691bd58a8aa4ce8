"""Keys: derived alike for ever, different for each purpose, and telling nothing of the secret."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from joserfc import jwt
from joserfc.jwk import KeySet

from tests.core.forging import (
    IAT,
    NOW,
    OTHER_SECRET,
    P256_ORDER,
    SECRET,
    accepted,
    access_tokens,
    ed25519_key,
    forge,
    hkdf,
    issue,
    p256_key,
    pem,
    rsa_key,
)
from watchword.core.jws import signing_keys
from watchword.core.keys import KeyRing, Purpose, RootSecret
from watchword.errors import SettingsError
from watchword.settings import Algorithm

every_algorithm = pytest.mark.parametrize("algorithm", list(Algorithm))
every_purpose = pytest.mark.parametrize("purpose", list(Purpose))


def raw(key: Any) -> bytes:
    """The bytes that a private key is made of."""
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.private_numbers().private_value.to_bytes(32, "big")
    seed: bytes = key.private_bytes_raw()
    return seed


GOLDEN = {
    "key id": "58dfde",
    "access": "bb47f356c4d7fcaf6ac92b6946d6c61f8fe0bc519bc3b3ea0bac02fc1f40efa2",
    "access kid": "023fd880e8fc33bafa",
    "access P-256": "979bbe73f2876167ad7de7c8e8bc26e0fbe7cc9db9dac25d7ac9ca9f5548568d",
    "access Ed25519": "e3f780f55bdc02fbe753e04bfdce2215a614b466bbbc41847a00c58c71218c14",
    "refresh": "6d8c35f1c834d5c88fd26eaa601fedbc8253d8d14f90685a06fea8b5e5bac6e9",
    "refresh jwt": "033ea2b3822cbe60b5ec458d98da42ca0ec1bda6b71cfc80664747ed357cf24a",
    "refresh jwt kid": "fd113f82ef269b62a9",
}
"""Of `SECRET`. A change here signs everybody out, in every deployment, at its next upgrade."""


def test_the_derivation_is_what_it_has_always_been() -> None:
    """ASVS 11.2.2; F17, F18."""
    root = RootSecret(SECRET)
    assert {
        "key id": root.key_id.hex(),
        "access": root.key(Purpose.ACCESS).hex(),
        "access kid": root.kid(Purpose.ACCESS),
        "access P-256": raw(root.p256_key(Purpose.ACCESS)).hex(),
        "access Ed25519": raw(root.ed25519_key(Purpose.ACCESS)).hex(),
        "refresh": root.key(Purpose.REFRESH).hex(),
        "refresh jwt": root.key(Purpose.REFRESH_JWT).hex(),
        "refresh jwt kid": root.kid(Purpose.REFRESH_JWT),
    } == GOLDEN


@pytest.mark.parametrize("secret", [SECRET, OTHER_SECRET, b"\x00" * 64, "ключ ".encode() * 9, b"x" * 5000])
@every_purpose
def test_the_derivation_is_hkdf_as_rfc_5869_says(purpose: Purpose, secret: bytes) -> None:
    """ASVS 11.6.1: computed a second time, over hmac."""
    root = RootSecret(secret)
    assert root.key_id == hkdf(secret, "key id", 3)
    assert root.key(purpose) == hkdf(secret, purpose.value, 32)
    assert root.kid(purpose) == hkdf(secret, f"{purpose.value} kid", 9).hex()
    assert raw(root.p256_key(purpose)) == raw(p256_key(secret, purpose.value))
    assert raw(root.ed25519_key(purpose)) == raw(ed25519_key(secret, purpose.value))


def test_the_independent_hkdf_is_right() -> None:
    """RFC 5869: against the cryptography library over lengths of one block and more."""
    for length in (3, 32, 33, 40, 64, 100):
        info = b"watchword/1/label"
        assert hkdf(SECRET, "label", length) == HKDF(SHA256(), length, None, info).derive(SECRET)


def test_no_two_derived_values_are_equal_or_part_of_each_other() -> None:
    """Attack 19; ASVS 9.1.3: another purpose, another kind or another secret is another key."""
    values: dict[tuple[object, ...], bytes] = {}
    for secret in (SECRET, OTHER_SECRET, SECRET + b" ", SECRET[:-1]):
        root = RootSecret(secret)
        values[secret, "id"] = root.key_id
        for purpose in Purpose:
            values[secret, purpose, "mac"] = root.key(purpose)
            values[secret, purpose, "kid"] = bytes.fromhex(root.kid(purpose))
            values[secret, purpose, "p256"] = raw(root.p256_key(purpose))
            values[secret, purpose, "ed25519"] = raw(root.ed25519_key(purpose))
        values[secret, "itself"] = secret
    for (one, first), (other, second) in combinations(values.items(), 2):
        if "itself" in one and "itself" in other:
            continue
        assert first not in second, (one, other)
        assert second not in first, (one, other)


@every_purpose
def test_a_p256_key_is_a_number_of_the_curve(purpose: Purpose) -> None:
    """ASVS 11.6.1; FIPS 186-5 A.2.1."""
    for number in range(50):
        assert 1 <= int.from_bytes(raw(RootSecret(b"%d" % number).p256_key(purpose))) < P256_ORDER


@every_algorithm
def test_keys_are_the_same_after_a_restart(algorithm: Algorithm) -> None:
    """F17: a token of one process passes in another that read the same settings."""
    first = access_tokens.__wrapped__(algorithm)
    second = access_tokens.__wrapped__(algorithm)
    assert accepted(second, issue(first))
    assert first.jwks() == second.jwks()
    assert issue(first).partition(b".")[0] == issue(second).partition(b".")[0]


PUBLIC_MEMBERS = {
    Algorithm.ES256: {"kty", "crv", "x", "y", "use", "alg", "kid"},
    Algorithm.EDDSA: {"kty", "crv", "x", "use", "alg", "kid"},
    Algorithm.RS256: {"kty", "n", "e", "use", "alg", "kid"},
}


@pytest.mark.parametrize("algorithm", list(PUBLIC_MEMBERS))
def test_the_published_keys_have_no_private_member(algorithm: Algorithm) -> None:
    """Attack 23; ASVS 13.3.1; RFC 7518 §6: neither d, k, p, q, dp, dq, qi nor anything else beyond this list."""
    keys = access_tokens(algorithm, (SECRET, OTHER_SECRET), rsa_pem=pem(rsa_key(0)) + pem(rsa_key(1))).jwks()[
        "keys"
    ]
    assert len(keys) == 2
    for key in keys:
        assert set(key) == PUBLIC_MEMBERS[algorithm]
        assert (key["use"], key["alg"]) == ("sig", algorithm.value)
    assert keys[0]["kid"] == forge(algorithm).fields["kid"], "the signing key comes first"
    assert keys[0]["kid"] != keys[1]["kid"]


def test_a_symmetric_key_is_not_published() -> None:
    """Attack 23."""
    assert access_tokens(Algorithm.HS256).jwks() == {"keys": []}


@pytest.mark.filterwarnings(
    "ignore:EdDSA is deprecated"
)  # joserfc's remark on the name of the algorithm (RFC 9864)
@pytest.mark.parametrize("algorithm", list(PUBLIC_MEMBERS))
def test_a_stranger_can_verify_by_the_published_keys(algorithm: Algorithm) -> None:
    """R48; ASVS 9.1.3: joserfc finds the key by kid and checks the signature."""
    tokens = access_tokens(algorithm, (SECRET, OTHER_SECRET), rsa_pem=pem(rsa_key(0)) + pem(rsa_key(1)))
    published: Any = tokens.jwks()
    checked = jwt.decode(issue(tokens), KeySet.import_key_set(published), algorithms=[algorithm.value])
    assert checked.claims["iat"] == IAT


def test_a_kid_and_a_repr_reveal_nothing_of_the_secret() -> None:
    """Attack 96; ASVS 13.3.1."""
    root = RootSecret(SECRET)
    ring = KeyRing([SECRET])
    for text in (repr(root), str(root), repr(ring), repr(ring.roots)):
        assert SECRET.decode() not in text
        assert not any(
            secret.hex() in text for secret in (SECRET, *(root.key(purpose) for purpose in Purpose))
        )
    assert repr(root) == f"RootSecret(key_id='{root.key_id.hex()}')"


def test_a_ring_needs_a_secret_and_each_once() -> None:
    """ASVS 6.3.2."""
    with pytest.raises(SettingsError, match=r"^secret: there must be at least one"):
        KeyRing([])
    with pytest.raises(SettingsError, match=r"^secret: the same one is listed twice"):
        KeyRing([SECRET, OTHER_SECRET, SECRET])


def test_the_first_secret_of_a_ring_signs() -> None:
    """ASVS 11.2.2, 13.3.4."""
    ring = KeyRing([OTHER_SECRET, SECRET])
    assert ring.signing.key_id == RootSecret(OTHER_SECRET).key_id
    assert [root.key_id for root in ring] == [RootSecret(OTHER_SECRET).key_id, RootSecret(SECRET).key_id]


@pytest.mark.parametrize("bits", [1024, 2048, 3071])
def test_rsa_keys_of_less_than_3072_bits_are_refused(bits: int) -> None:
    """ASVS 11.2.3."""
    with pytest.raises(SettingsError, match=r"^rsa_key: .* at least 3072 bits"):
        access_tokens(Algorithm.RS256, rsa_pem=pem(rsa_key(8, bits)))


def encrypted(key: rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"password"),
    )


def public(key: rsa.RSAPrivateKey) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


UNFIT: dict[str, bytes] = {
    "nothing": b"",
    "no PEM": b"secret secret secret",
    "only a beginning": b"-----BEGIN PRIVATE KEY-----\nAAAA",
    "garbage inside": b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    "no base64 inside": b"-----BEGIN PRIVATE KEY-----\n\xff\xfe!\n-----END PRIVATE KEY-----\n",
    "unknown label": b"-----BEGIN SOMETHING-----\nAAAA\n-----END SOMETHING-----\n",
    "P-256": pem(ec.generate_private_key(ec.SECP256R1())),
    # Object identifier 1.2.3.4.
    "unknown algorithm": b"-----BEGIN PRIVATE KEY-----\nMBMCAQAwBQYDKgMEBAcEBUFBQUFB\n-----END PRIVATE KEY-----\n",
    "Brainpool": pem(ec.generate_private_key(ec.BrainpoolP256R1())),
    "Ed25519": pem(ed25519.Ed25519PrivateKey.generate()),
    "X25519": pem(x25519.X25519PrivateKey.generate()),
    "public key": public(rsa_key(0)),
    "with a password": encrypted(rsa_key(0)),
    "good and bad": pem(rsa_key(0)) + pem(ec.generate_private_key(ec.SECP256R1())),
    "good and cut off": pem(rsa_key(0)) + pem(rsa_key(1))[:200],
}


@pytest.mark.parametrize("name", UNFIT)
def test_what_is_no_list_of_rsa_private_keys_is_refused_by_name(name: str) -> None:
    """ASVS 11.2.3, 13.3.1: the message names the setting and holds nothing of the key."""
    with pytest.raises(SettingsError, match=r"^rsa_key: ") as caught:
        access_tokens(Algorithm.RS256, rsa_pem=UNFIT[name])
    assert "AAAA" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_rs256_without_a_key_is_refused() -> None:
    """ASVS 13.3.1."""
    with pytest.raises(SettingsError, match=r"^rsa_key: algorithm RS256 needs a PEM private key"):
        signing_keys(KeyRing([SECRET]), Purpose.ACCESS, Algorithm.RS256)


def test_several_pem_keys_may_stand_in_one_file_with_words_between() -> None:
    """ASVS 13.3.4; R26: the first signs, all verify and are published."""
    text = (
        b"# old and new\n"
        + pem(rsa_key(1))
        + b"\n\nBag Attributes: x\n"
        + pem(rsa_key(0)).replace(b"\n", b"\r\n")
    )
    tokens = access_tokens(Algorithm.RS256, rsa_pem=text)
    assert len(tokens.jwks()["keys"]) == 2
    assert accepted(tokens, issue(tokens))
    assert accepted(tokens, forge(Algorithm.RS256).token())
    assert not accepted(forge(Algorithm.RS256).tokens, issue(tokens), NOW)


def test_traditional_pem_is_as_good_as_pkcs8() -> None:
    """R12: whatever `openssl genrsa` wrote."""
    text = rsa_key(0).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    assert accepted(access_tokens(Algorithm.RS256, rsa_pem=text), forge(Algorithm.RS256).token())
