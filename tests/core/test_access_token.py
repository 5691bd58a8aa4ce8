"""Access tokens: what is issued, what passes, and every forgery of header, signature and shape that does not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.core import hostile
from tests.core.forging import (
    IAT,
    ISSUER,
    LIFETIME,
    NOW,
    OTHER_SECRET,
    SECRET,
    accepted,
    access_tokens,
    b64,
    claims,
    compact,
    forge,
    issue,
    pem,
    private_key,
    rsa_key,
    signer,
)
from watchword.core.access_token import RESERVED
from watchword.core.jws import MAX_BYTES
from watchword.settings import Algorithm

ROOT = Path(__file__).parents[2]
every_algorithm = pytest.mark.parametrize("algorithm", list(Algorithm))


def decoded(segment: bytes) -> Any:
    return json.loads(urlsafe_b64decode(segment + b"=" * (-len(segment) % 4)))


@every_algorithm
def test_an_issued_token_carries_the_claims_of_rfc_9068_and_no_personal_data(algorithm: Algorithm) -> None:
    """ASVS 9.2.1–9.2.4, 14.1.1; R2, R18; RFC 9068 §2.2."""
    header, payload, _ = issue(access_tokens(algorithm)).split(b".")
    kid = decoded(header)["kid"]
    assert decoded(header) == {"alg": algorithm.value, "kid": kid, "typ": "at+jwt"}
    assert decoded(payload) == {
        "iss": ISSUER,
        "aud": ISSUER,
        "client_id": "watchword",
        "sub": "user",
        "sid": "sid",
        "iat": IAT,
        "exp": IAT + LIFETIME,
        "jti": "n0nce",
        "roles": ["owner"],
        "amr": ["pwd"],
        "auth_time": IAT - 60,
    }


@every_algorithm
def test_what_was_issued_is_what_is_verified(algorithm: Algorithm) -> None:
    """R5; ASVS 9.1.1."""
    tokens = access_tokens(algorithm)
    principal = tokens.verify(issue(tokens, claims={"plan": "gold", "nested": {"a": [1, 1.5, None]}}), NOW)
    assert (principal.id, principal.sid) == ("user", "sid")
    assert (principal.roles, principal.amr) == (("owner",), ("pwd",))
    assert (principal.auth_time, principal.issued_at, principal.expires_at) == (IAT - 60, IAT, IAT + LIFETIME)
    assert principal.claims == {"plan": "gold", "nested": {"a": [1, 1.5, None]}}


@every_algorithm
def test_a_token_made_with_the_independently_derived_key_passes(algorithm: Algorithm) -> None:
    """ASVS 11.6.1; without this the forgeries below would prove nothing."""
    right = forge(algorithm)
    assert right.tokens.verify(right.token(), NOW).id == claims()["sub"]
    assert right.token(header=right.fields).startswith(right.header)


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_an_app_cannot_name_its_claim_like_one_of_ours(name: str) -> None:
    """Attack 74; ASVS 8.2.3."""
    with pytest.raises(ValueError, match=f"may not be called {name}"):
        issue(access_tokens(Algorithm.HS256), claims={name: "x", "fine": 1})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800", {1, 2}, b"bytes"], ids=repr)
def test_a_claim_that_is_no_json_is_refused_at_issue(value: object) -> None:
    """Attack 16."""
    with pytest.raises((ValueError, TypeError)):
        issue(access_tokens(Algorithm.HS256), claims={"own": value})


@every_algorithm
def test_exactly_8192_bytes_are_issued_and_pass_and_one_more_is_neither(algorithm: Algorithm) -> None:
    """Attack 9; RFC 8725bis (size limit)."""
    tokens = access_tokens(algorithm)
    base = len(issue(tokens, claims={"x": ""}))
    room = (MAX_BYTES - base) * 3 // 4
    fits = [issue(tokens, claims={"x": "x" * (room + more)}) for more in range(-3, 1)]
    assert max(len(token) for token in fits) <= MAX_BYTES
    assert max(len(token) for token in fits) >= MAX_BYTES - 1
    assert all(accepted(tokens, token) for token in fits)
    with pytest.raises(ValueError, match="8192 at most"):
        issue(tokens, claims={"x": "x" * (room + 3)})
    right = forge(algorithm)
    long = right.token(claims(x="x" * (room + 300)))
    assert len(long) > MAX_BYTES
    assert not accepted(right.tokens, long)


@pytest.mark.parametrize("kind", [hostile.headers, hostile.embedded_keys], ids=lambda kind: kind.__name__)
@every_algorithm
def test_any_header_but_the_one_that_we_mint_is_refused(
    algorithm: Algorithm, kind: Callable[[Algorithm], hostile.Named]
) -> None:
    """Attacks 1, 5–8, 10, 11; ASVS 9.1.2, 9.1.3, 9.2.2; the signature is right for each."""
    tokens = forge(algorithm).tokens
    assert [name for name, token in kind(algorithm) if accepted(tokens, token)] == []


@every_algorithm
def test_alg_none_is_refused_with_and_without_a_signature_or_its_dot(algorithm: Algorithm) -> None:
    """Attack 1; RFC 9068 §2.1."""
    right = forge(algorithm)
    body = b64(compact(claims()))
    nothing: tuple[object, ...] = ("none", "None", "NONE", "nOnE", "", None, [], 0)
    for alg in nothing:
        header = b64(compact(right.fields | {"alg": alg}))
        for token in (header + b"." + body, header + b"." + body + b".", header + b"." + body + b".AA"):
            assert not accepted(right.tokens, token)


@every_algorithm
def test_no_byte_of_the_header_can_be_another(algorithm: Algorithm) -> None:
    """Attacks 1–8; ASVS 9.1.3: 255 other values at each place of the segment."""
    right = forge(algorithm)
    token = right.token()
    for place in range(len(right.header)):
        for value in range(256):
            changed = token[:place] + bytes([value]) + token[place + 1 :]
            assert changed == token or not accepted(right.tokens, changed), (place, value)


@every_algorithm
def test_no_bit_of_payload_or_signature_can_be_flipped(algorithm: Algorithm) -> None:
    """Attack 2; ASVS 9.1.1."""
    right = forge(algorithm)
    token = right.token()
    for place in range(len(right.header), len(token)):
        changed = token[:place] + bytes([token[place] ^ 1]) + token[place + 1 :]
        assert not accepted(right.tokens, changed), place


@pytest.mark.parametrize("kind", [hostile.signatures, hostile.confused_keys], ids=lambda kind: kind.__name__)
@every_algorithm
def test_only_our_own_signature_counts(
    algorithm: Algorithm, kind: Callable[[Algorithm], hostile.Named]
) -> None:
    """Attacks 2–5; ASVS 9.1.1, 11.2.5 (psychic signatures, key confusion, common keys: one error for all)."""
    tokens = forge(algorithm).tokens
    assert [name for name, token in kind(algorithm) if accepted(tokens, token)] == []


@every_algorithm
def test_a_token_has_one_shape_and_one_spelling(algorithm: Algorithm) -> None:
    """Attacks 9, 10, 17, 18."""
    tokens = forge(algorithm).tokens
    assert [name for name, token in hostile.shapes(algorithm) if accepted(tokens, token)] == []


@every_algorithm
def test_no_trailing_bits_hide_behind_a_segment(algorithm: Algorithm) -> None:
    """Attack 17: the last character of each segment replaced by each other letter of the alphabet."""
    right = forge(algorithm)
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/="
    for filler in ("", "x", "xx"):  # payload lengths of each remainder
        header, payload, signature = right.token(claims(own=filler)).split(b".")
        for letter in alphabet:
            last = bytes([letter])
            if last != signature[-1:]:
                assert not accepted(right.tokens, b".".join([header, payload, signature[:-1] + last]))
            if last != payload[-1:]:
                # Signed so, as up to 15 of these decode to the very same claims.
                assert not accepted(right.tokens, right.sign(header + b"." + payload[:-1] + last))


def test_hostile_tokens_open_no_file_and_no_connection() -> None:
    """Attacks 6, 7; ASVS 9.1.3: every forgery of this module under an audit hook, in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.core.hostile"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    tried = done.stdout.split()
    assert tried[::2] == [algorithm.value for algorithm in Algorithm], "and nothing else was printed"
    assert sum(map(int, tried[1::2])) > 800


@every_algorithm
def test_size_and_depth_cost_next_to_nothing(algorithm: Algorithm) -> None:
    """Attack 9: 1 MB is refused before it is looked at; the worst that fits takes milliseconds."""
    tokens = forge(algorithm).tokens
    for name, token in hostile.shapes(algorithm):
        limit = 0.001 if len(token) > MAX_BYTES else 0.02
        assert min(cost(tokens, token) for _ in range(5)) < limit, name


def cost(tokens: Any, token: bytes) -> float:
    """Seconds of this process's time."""
    begin = time.process_time()
    accepted(tokens, token)
    return time.process_time() - begin


@every_algorithm
def test_a_token_of_another_secret_or_another_address_is_refused(algorithm: Algorithm) -> None:
    """Attacks 14, 20: the same code in another environment."""
    home = access_tokens(algorithm)
    elsewhere = access_tokens(algorithm, issuer="https://staging.example.com")
    assert not accepted(home, issue(elsewhere))
    assert not accepted(elsewhere, issue(home))
    other = access_tokens(algorithm, (OTHER_SECRET,), rsa_pem=pem(rsa_key(1)))
    assert not accepted(home, issue(other))
    assert not accepted(other, issue(home))


@every_algorithm
def test_the_first_key_signs_all_verify_and_a_removed_one_does_not(algorithm: Algorithm) -> None:
    """Attacks 6, 21; F17; ASVS 11.2.2."""
    old = access_tokens(algorithm, (SECRET,), rsa_pem=pem(rsa_key(0)))
    both = access_tokens(algorithm, (OTHER_SECRET, SECRET), rsa_pem=pem(rsa_key(1)) + pem(rsa_key(0)))
    new = access_tokens(algorithm, (OTHER_SECRET,), rsa_pem=pem(rsa_key(1)))
    assert accepted(both, issue(old))
    assert accepted(both, issue(both))
    assert accepted(new, issue(both)), "the first of the list signs"
    assert not accepted(new, issue(old)), "a removed key counts no more"
    assert not accepted(old, issue(both)), "and a key not yet known does not count"


@every_algorithm
def test_a_kid_of_one_key_does_not_lead_to_another(algorithm: Algorithm) -> None:
    """Attacks 5, 6; ASVS 9.1.3: two keys in the ring, each header with the other's signature."""
    both = access_tokens(algorithm, (SECRET, OTHER_SECRET), rsa_pem=pem(rsa_key(0)) + pem(rsa_key(1)))
    first = issue(both).partition(b".")[0]
    swapped = access_tokens(algorithm, (OTHER_SECRET, SECRET), rsa_pem=pem(rsa_key(1)) + pem(rsa_key(0)))
    second = issue(swapped).partition(b".")[0]
    body = b64(compact(claims()))
    other_key = rsa_key(1) if algorithm is Algorithm.RS256 else private_key(algorithm, OTHER_SECRET)
    keys = {first: private_key(algorithm), second: other_key}
    for header, own in keys.items():
        for key in keys.values():
            signing_input = header + b"." + body
            token = signing_input + b"." + b64(signer(algorithm, key)(signing_input))
            assert accepted(both, token) is (key is own)


@pytest.mark.parametrize("minted", list(Algorithm))
@every_algorithm
def test_a_token_of_one_algorithm_does_not_pass_where_another_is_set(
    algorithm: Algorithm, minted: Algorithm
) -> None:
    """Attack 5; ASVS 9.1.2: the same secret, the setting changed."""
    assert accepted(forge(algorithm).tokens, forge(minted).token()) is (algorithm is minted)
