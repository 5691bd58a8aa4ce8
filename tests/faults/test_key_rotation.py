"""Keys are replaced while servers run: processes over one database, and whoever is signed in stays so.

`FAULTS=full` does it for each algorithm; otherwise for one whose keys come from the root secrets and for RS256.
"""

from __future__ import annotations

import os
from contextlib import ExitStack

import jwt
import pytest

from tests.core.forging import pem, rsa_key
from tests.servers import EMAIL, PASSWORD, Browser, Server, prepared, serving

SECRETS = ("the-old-root-secret-0123456789-abcdef", "the-new-root-secret-9876543210-ghijkl")
ALGORITHMS = ("ES256", "RS256") + (("HS256", "EdDSA") if os.environ.get("FAULTS") == "full" else ())
ROTATION = ((0,), (0, 1), (1, 0), (1,))
"""Before, after the new key was appended, after it was moved to the front, after the old one was removed."""
PUBLIC = {"kty", "crv", "x", "y", "n", "e", "use", "alg", "kid"}
NOWHERE = "/nowhere"
"""Guarded, and nothing is there: 404 for the signed-in, 401 for all others, with no look at the database."""


def keys(algorithm: str, numbers: tuple[int, ...]) -> dict[str, str]:
    """The settings of one step. With RS256 both lists rotate."""
    named = {"WATCHWORD_SECRET": ",".join(SECRETS[number] for number in numbers)}
    if algorithm == "RS256":
        named["WATCHWORD_RSA_KEY"] = "".join(pem(rsa_key(number)).decode() for number in numbers)
    return named


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of servers over one database with one user in it."""
    return prepared(f"sqlite:///{tmp_path_factory.mktemp('rotation')}/watchword.db")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_nobody_is_signed_out_while_keys_are_replaced(algorithm: str, database: dict[str, str]) -> None:
    """R26, R48; F17; attacks 21, 23; ASVS 13.3.4: before each step is complete, one server has the old list."""
    shared = database | {"WATCHWORD_ALGORITHM": algorithm}
    with ExitStack() as stack:
        before = stack.enter_context(serving(shared | keys(algorithm, ROTATION[0])))
        origin = before.url
        everybody = [_signed_in(origin, before)]
        of_the_old_key = Browser(origin, dict(everybody[0].jar))
        for numbers in ROTATION[1:]:
            after = stack.enter_context(serving(shared | keys(algorithm, numbers), origin=origin))
            everybody += [_signed_in(origin, before), _signed_in(origin, after)]
            for browser in everybody:
                _goes_back_and_forth(browser, before, after)
            _publishes(after, numbers, algorithm, signing=everybody[-1])
            before.stop()
            before = after
        assert of_the_old_key.send("GET", NOWHERE, to=before.address).code == "invalid_token"
        assert of_the_old_key.send("POST", "/auth/refresh", to=before.address).code == "invalid_token"
        assert everybody[0].send("POST", "/auth/refresh", to=before.address).status == 200


def _signed_in(origin: str, at: Server) -> Browser:
    browser = Browser(origin)
    answer = browser.send("POST", "/auth/login", {"email": EMAIL, "password": PASSWORD}, to=at.address)
    assert answer.status == 200, answer.body
    return browser


def _goes_back_and_forth(browser: Browser, before: Server, after: Server) -> None:
    """What it holds passes at both; so does what either mints. It ends with tokens of `after`."""
    for server in (before, after, before, after):
        for other in (before, after):
            assert browser.send("GET", NOWHERE, to=other.address).status == 404
        answer = browser.send("POST", "/auth/refresh", to=server.address)
        assert answer.status == 200, answer.body


def _publishes(server: Server, numbers: tuple[int, ...], algorithm: str, *, signing: Browser) -> None:
    """Every public key with the signing one first, nothing private, and for how long it may be kept."""
    answer = Browser(server.url).send("GET", "/.well-known/jwks.json", to=server.address)
    assert ("cache-control", "public, max-age=300") in answer.headers
    kids = [key["kid"] for key in answer.body["keys"]]
    assert len(set(kids)) == len(kids) == (0 if algorithm == "HS256" else len(numbers))
    assert all(PUBLIC.issuperset(key) for key in answer.body["keys"])
    if kids:
        assert jwt.get_unverified_header(signing.jar["access_token"])["kid"] == kids[0]
