"""Claims under a right signature: a valid signature excuses no wrong claim. Every token here is signed by our key."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.core.forging import (
    ABSENT,
    IAT,
    ISSUER,
    LIFETIME,
    NOW,
    SECOND,
    accepted,
    claims,
    compact,
    forge,
    issue,
)
from watchword.core.access_token import LEEWAY, Verifier
from watchword.core.revocation import Revocations
from watchword.errors import InvalidToken, TokenExpired
from watchword.settings import Algorithm

every_algorithm = pytest.mark.parametrize("algorithm", list(Algorithm))

NO_INSTANTS: tuple[Any, ...] = (
    *(ABSENT, None, "", "9999999999", str(IAT), 1.5, float(IAT), 1e308, True, False, [IAT], {"at": IAT}, []),
    *(-1, 0, 2**63, 2**64, 10**300),
)
NO_TEXTS: tuple[Any, ...] = (ABSENT, None, "", 0, 7, 1.5, True, ["x"], {"x": 1}, "x" * 256, "x" * 300, [])
NO_LISTS: tuple[Any, ...] = (
    *(
        ABSENT,
        None,
        "",
        "owner",
        7,
        True,
        {"owner": 1},
        [None],
        [7],
        [""],
        [["owner"]],
        ["owner", 1],
        ["x" * 256],
    ),
)
NOT_US: tuple[Any, ...] = (
    *(ABSENT, None, "", 7, True, {}, [], [ISSUER], [ISSUER, "https://evil.example"], [[ISSUER]]),
    *(ISSUER + "/", ISSUER + ".evil.example", ISSUER[:-1], ISSUER[:5], ISSUER.upper(), "HTTPS" + ISSUER[5:]),
    *("http" + ISSUER[5:], ISSUER + ":443", " " + ISSUER, ISSUER + "\n", ISSUER + "\u200b"),
    ISSUER.replace("a", "\u0430", 1),  # a Cyrillic letter that looks the same
    ISSUER.replace(".", "\u3002", 1),
)
WRONG: dict[str, tuple[Any, ...]] = {
    "iat": (*NO_INSTANTS, IAT + LEEWAY + 2, IAT + LIFETIME, IAT + LIFETIME + 1, IAT - 1),
    "exp": (*NO_INSTANTS, IAT, IAT - 1, IAT + LIFETIME + 1, IAT + 10 * 365 * 86400),
    "auth_time": tuple(
        value for value in NO_INSTANTS if value is False or value not in (0, 2**63, 2**64, 10**300)
    ),
    "iss": NOT_US,
    "aud": NOT_US,
    "client_id": (ABSENT, None, "", "Watchword", "watchword ", "other", ["watchword"], 7),
    "sub": NO_TEXTS,
    "sid": NO_TEXTS,
    "jti": NO_TEXTS,
    "roles": NO_LISTS,
    "amr": NO_LISTS,
    "nbf": (None, "", str(IAT), 1.5, True, [IAT], IAT + LEEWAY + 2, IAT + LIFETIME, 2**63, -1),
}


def labelled(value: Any) -> str:
    return "absent" if value is ABSENT else ascii(value)[:40]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param(name, value, id=f"{name}-{labelled(value)}")
        for name, values in WRONG.items()
        for value in values
    ],
)
def test_a_wrong_claim_is_refused_however_well_it_is_signed(name: str, value: Any) -> None:
    """Attacks 12–15; ASVS 9.2.1–9.2.4, 15.3.5, 10.3.1 (absent, wrong type, wrong value, wrong instant)."""
    right = forge(Algorithm.HS256)
    assert not accepted(right.tokens, right.token(claims(**{name: value})))


@every_algorithm
def test_the_judgement_of_claims_does_not_depend_on_the_algorithm(algorithm: Algorithm) -> None:
    """Attacks 12–15; ASVS 9.2.1: one wrong value of each claim, under each algorithm."""
    right = forge(algorithm)
    assert accepted(right.tokens, right.token())
    for name, values in WRONG.items():
        assert not accepted(right.tokens, right.token(claims(**{name: values[-1]}))), name


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"null",
        b"true",
        b"1",
        b'"text"',
        b"[]",
        b"[{}]",
        b"{}",
        compact([claims()]),
        compact(str(claims())),
    ],
    ids=ascii,
)
def test_a_payload_that_is_no_object_with_our_claims_is_refused(payload: bytes) -> None:
    """Attacks 10, 16."""
    right = forge(Algorithm.HS256)
    assert not accepted(right.tokens, right.token(payload))


TEXT = compact(claims()).decode()
SPELLINGS: dict[str, bytes] = {
    "exp twice, ours last": TEXT.replace('"exp"', '"exp":1,"exp"', 1).encode(),
    "exp twice, ours first": (TEXT[:-1] + f',"exp":{IAT + 60}}}').encode(),
    "sub twice": (TEXT[:-1] + ',"sub":"somebody else"}').encode(),
    "sub twice, equal": (TEXT[:-1] + f',"sub":"{claims()["sub"]}"}}').encode(),
    "roles twice": TEXT.replace('"roles"', '"roles":[],"roles"', 1).encode(),
    "escaped twin of sub": (TEXT[:-1] + ',"\\u0073ub":"somebody else"}').encode(),
    "escaped name": TEXT.replace('"sub"', '"\\u0073ub"', 1).encode(),
    "own claim twice": (TEXT[:-1] + ',"own":1,"own":2}').encode(),
    "nested twins": (TEXT[:-1] + ',"own":{"a":1,"a":2}}').encode(),
    "spaces": json.dumps(claims()).encode(),
    "space in front": b" " + TEXT.encode(),
    "newline behind": TEXT.encode() + b"\n",
    "NUL behind": TEXT.encode() + b"\x00",
    "garbage behind": TEXT.encode() + b"{}",
    "comma behind": (TEXT[:-1] + ",}").encode(),
    "BOM": b"\xef\xbb\xbf" + TEXT.encode(),
    "UTF-16": TEXT.encode("utf-16"),
    "UTF-16 without BOM": TEXT.encode("utf-16-le"),
    "UTF-32": TEXT.encode("utf-32"),
    "Latin-1": TEXT.replace("owner", "\xf6wner").encode("latin-1"),
    "invalid UTF-8": TEXT.replace("owner", "\udcff").encode("utf-8", "surrogateescape"),
    "overlong UTF-8": TEXT.encode().replace(b"owner", b"\xc0\xafwner"),
    "encoded surrogate": TEXT.replace("owner", "\ud800").encode("utf-8", "surrogatepass"),
    "lone surrogate": TEXT.replace('"owner"', '"\\ud800"').encode(),
    "lone surrogate in sub": TEXT.replace('"sub":"', '"sub":"\\udfff').encode(),
    "surrogate pair as escapes": TEXT.replace('"owner"', '"\\ud83d\\ude00"').encode(),
    "raw NUL in sub": TEXT.replace('"sub":"', '"sub":"\x00').encode(),
    "raw newline in sub": TEXT.replace('"sub":"', '"sub":"\n').encode(),
    "exp NaN": TEXT.replace(str(IAT + LIFETIME), "NaN").encode(),
    "exp Infinity": TEXT.replace(str(IAT + LIFETIME), "Infinity").encode(),
    "exp -Infinity": TEXT.replace(str(IAT + LIFETIME), "-Infinity").encode(),
    "exp 1e400": TEXT.replace(str(IAT + LIFETIME), "1e400").encode(),
    "exp with exponent": TEXT.replace(str(IAT + LIFETIME), "18000009e2").encode(),
    "exp with fraction": TEXT.replace(str(IAT + LIFETIME), f"{IAT + LIFETIME}.0").encode(),
    "exp -0": TEXT.replace(str(IAT + LIFETIME), "-0").encode(),
    "own NaN": (TEXT[:-1] + ',"own":NaN}').encode(),
    "own Infinity": (TEXT[:-1] + ',"own":[Infinity]}').encode(),
    "comment": (TEXT[:-1] + "/**/}").encode(),
    "single quotes": TEXT.replace('"', "'").encode(),
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_a_payload_counts_in_the_one_spelling_that_we_write(name: str) -> None:
    """Attacks 8, 12, 13, 16, 17; ASVS 1.5.3 (duplicate names, encodings, escapes, no-numbers)."""
    right = forge(Algorithm.HS256)
    assert accepted(right.tokens, right.token(TEXT.encode()))
    assert not accepted(right.tokens, right.token(SPELLINGS[name]))


@pytest.mark.parametrize(
    "own", ["\x00", "\x7f", "\u2028", "😀", "é", '"\\/', "</script>", "%s{0}{{7*7}}", "\u202e"], ids=ascii
)
@every_algorithm
def test_any_text_in_an_apps_own_claim_comes_back_as_it_was(algorithm: Algorithm, own: str) -> None:
    """ASVS 1.1.1, 1.3.7."""
    tokens = forge(algorithm).tokens
    values = {"own": own, own: [own, {own: own}], "n": [0, -1, 1.5, 1e300, -0.0, 2**70, None, True]}
    assert tokens.verify(issue(tokens, claims=values), NOW).claims == values


def test_claims_of_the_standards_are_never_handed_to_the_app_as_its_own() -> None:
    """Attack 74: what is ours or reserved does not show up among `claims`."""
    right = forge(Algorithm.HS256)
    principal = right.tokens.verify(right.token(claims(nbf=IAT, scope="all", own=1)), NOW)
    assert principal.claims == {"own": 1}


@pytest.mark.parametrize(
    ("iat", "passes"),
    [(IAT, True), (IAT + 1, True), (IAT + LEEWAY + 1, True), (IAT + LEEWAY + 2, False)],
)
def test_issued_at_may_lie_ahead_by_leeway_and_the_second_that_a_change_of_roles_takes(
    iat: int, passes: bool
) -> None:
    """Attack 13; ASVS 8.3.2, 9.2.1: minting uses max(now, tokens_from), which is at most one second ahead."""
    right = forge(Algorithm.HS256)
    token = right.token(claims(iat=iat, exp=iat + LIFETIME))
    assert accepted(right.tokens, token) is passes
    assert not accepted(right.tokens, token, now=(iat - LEEWAY - 1) * SECOND - 1)
    assert accepted(right.tokens, token, now=(iat - LEEWAY - 1) * SECOND)


@pytest.mark.parametrize("exp", [IAT - 1, 1, IAT])
def test_an_expired_token_is_never_accepted_by_a_guard_but_tells_whose_it_was(exp: int) -> None:
    """Attack 12; ASVS 9.2.1; what logging out with an expired access token needs."""
    right = forge(Algorithm.HS256)
    token = right.token(claims(iat=max(0, exp - 60), exp=exp))
    later = NOW + 60 * SECOND
    assert right.tokens.verify(token, later).sid == claims()["sid"]
    with pytest.raises(TokenExpired):
        Verifier(right.tokens, Revocations(keep=1)).verify(token, later)


def test_the_longest_lifetime_is_the_configured_one() -> None:
    """Attack 12: a longer one is refused however it came to be signed."""
    right = forge(Algorithm.HS256)
    assert accepted(right.tokens, right.token(claims(exp=IAT + LIFETIME)))
    assert accepted(right.tokens, right.token(claims(exp=IAT + 1)))
    assert not accepted(right.tokens, right.token(claims(exp=IAT + LIFETIME + 1)))
    assert not accepted(right.tokens, right.token(claims(exp=IAT)))


def test_where_nobody_is_authenticated_a_life_may_be_as_long_as_it_ever_could() -> None:
    """Attack 12: for renewing and signing out after `access_ttl` was made shorter; every other fault is one."""
    right = forge(Algorithm.HS256)
    assert right.tokens.known(right.token(claims(exp=IAT + 86_400)), NOW).sid == claims()["sid"]
    for wrong in (claims(exp=IAT + 86_401), claims(exp=IAT), claims(iss="https://evil.example")):
        with pytest.raises(InvalidToken):
            right.tokens.known(right.token(wrong), NOW)


@pytest.mark.parametrize("generation", [0, -1, True, "1", 1.0, [], {}], ids=repr)
def test_a_generation_that_is_none_is_refused(generation: object) -> None:
    """Attack 15; ASVS 7.2.4: it decides whether a JWT is renewed."""
    right = forge(Algorithm.HS256)
    assert right.tokens.verify(right.token(claims(gen=7)), NOW).generation == 7
    assert right.tokens.verify(right.token(claims()), NOW).generation is None
    assert not accepted(right.tokens, right.token(claims(gen=generation)))


@pytest.mark.parametrize("length", [1, 254, 255])
def test_names_of_up_to_255_characters_pass(length: int) -> None:
    """Attack 15 (300 characters are refused above)."""
    right = forge(Algorithm.HS256)
    assert right.tokens.verify(right.token(claims(sub="u" * length)), NOW).id == "u" * length


def test_no_roles_and_no_methods_are_fine() -> None:
    """R18: a user without roles is a user."""
    right = forge(Algorithm.HS256)
    principal = right.tokens.verify(right.token(claims(roles=[], amr=[])), NOW)
    assert (principal.roles, principal.amr) == ((), ())


def test_an_old_signature_does_not_fit_another_user() -> None:
    """Attack 15. ASVS 10.3.3."""
    right = forge(Algorithm.HS256)
    header, payload, _ = right.token(claims(sub="mallory")).split(b".")
    _, _, signature = right.token().split(b".")
    with pytest.raises(InvalidToken):
        right.tokens.verify(b".".join([header, payload, signature]), NOW)
