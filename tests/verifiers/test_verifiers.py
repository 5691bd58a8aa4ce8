"""Other services verify our access tokens by the published keys, and refuse what we would refuse."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from tests.core.forging import (
    ABSENT,
    LIFETIME,
    OTHER_SECRET,
    Forge,
    access_tokens,
    b64,
    claims,
    compact,
    issue,
    pem,
    private_key,
    rsa_key,
    signer,
)
from tests.core.rotating import ROTATION, server
from tests.nodes import NO_PROXY
from tests.servers import EMAIL, PASSWORD, Browser, Server, prepared, serving
from tests.verifiers import strangers
from tests.verifiers.strangers import Page, Verdicts
from watchword.settings import Algorithm

Verifier = Callable[[str, str, Sequence[str]], Verdicts]
PUBLISHED = [algorithm for algorithm in Algorithm if algorithm is not Algorithm.HS256]
every_published = pytest.mark.parametrize("algorithm", PUBLISHED)
every_verifier = pytest.mark.parametrize("verifier", [strangers.pyjwt, strangers.joserfc, strangers.jose])
# joserfc's and PyJWT's remarks on the name of the algorithm (RFC 9864)
pytestmark = pytest.mark.filterwarnings("ignore:EdDSA is deprecated")


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", NO_PROXY)
    monkeypatch.setenv("no_proxy", NO_PROXY)


@pytest.fixture
def page() -> Iterator[Page]:
    page = Page()
    yield page
    page.close()


def forge(algorithm: Algorithm, issuer: str) -> Forge:
    """The genuine key, under an issuer that a verifier can ask."""
    tokens = access_tokens(algorithm, issuer=issuer)
    return Forge(algorithm, tokens, private_key(algorithm), issue(tokens).partition(b".")[0])


def forgeries(right: Forge, issuer: str) -> dict[str, bytes]:
    """Each differs from a good token in the one thing that it is called by; most have a genuine signature."""
    now = int(time.time())
    right_now: dict[str, Any] = {"iss": issuer, "aud": issuer, "iat": now, "exp": now + LIFETIME}
    good = claims(**right_now)
    header, payload, signature = right.token(good).split(b".")
    strange = rsa_key(1) if right.algorithm is Algorithm.RS256 else private_key(right.algorithm, OTHER_SECRET)
    thief = signer(right.algorithm, strange)
    wrong: dict[str, dict[str, Any]] = {
        "another issuer": {"iss": "https://elsewhere.example.com"},
        "another audience": {"aud": "https://elsewhere.example.com"},
        "expired": {"iat": now - LIFETIME - 60, "exp": now - 60},
        "no issuer": {"iss": ABSENT},
        "no audience": {"aud": ABSENT},
        "no expiry": {"exp": ABSENT},
        "no subject": {"sub": ABSENT},
        "no session": {"sid": ABSENT},
    }
    return {
        **{name: right.token(claims(**(right_now | changes))) for name, changes in wrong.items()},
        **{
            f"typ {typ}": right.token(good, header=right.fields | {"typ": typ})
            for typ in ("JWT", "rt+jwt", "dpop+jwt", "")
        },
        "no typ": right.token(good, header={k: v for k, v in right.fields.items() if k != "typ"}),
        "another payload": b".".join([header, b64(compact(good | {"sub": "mallory"})), signature]),
        "another signature": b".".join([header, payload, signature[:-8] + b"AAAAAAAA"]),
        "no signature": b".".join([header, payload, b""]),
        "another key": b".".join([header, payload, b64(thief(header + b"." + payload))]),
        "another kid": right.token(good, header=right.fields | {"kid": "0" * 16}),
        "alg none": b".".join([b64(compact(right.fields | {"alg": "none"})), payload, b""]),
        "garbage": b"no token at all",
    }


@every_verifier
@every_published
def test_a_stranger_accepts_ours_and_refuses_every_forgery(
    algorithm: Algorithm, verifier: Verifier, page: Page
) -> None:
    """R48; attacks 1–5, 12–15; RFC 9068 §4; ASVS 9.1.1–9.2.4: typ, iss, aud, exp, key and signature."""
    right = forge(algorithm, page.url)
    page.keys = right.tokens.jwks()
    now = int(time.time())
    ours = [
        issue(right.tokens, issued_at=when, ends_at=now + 86_400)
        for when in (now, now - LIFETIME // 2, now + 3)
    ]
    false = forgeries(right, page.url)
    verdicts = verifier(page.url, algorithm.value, [token.decode() for token in (*ours, *false.values())])
    assert [claims and claims["sub"] for claims in verdicts[: len(ours)]] == ["user"] * len(ours)
    passed = [name for name, verdict in zip(false, verdicts[len(ours) :], strict=True) if verdict is not None]
    assert passed == []


@every_verifier
@every_published
def test_keys_of_the_first_step_verify_what_is_signed_after_the_second(
    algorithm: Algorithm, verifier: Verifier, page: Page
) -> None:
    """R26, R48: a cache that is as old as the step is no outage; one from before it would be."""
    steps = [server(algorithm, keys, page.url).access for keys in ROTATION]
    now = int(time.time())
    minted = [issue(each, issued_at=now, ends_at=now + 86_400).decode() for each in steps]
    table = []
    for step in steps:
        page.keys = step.jwks()
        table.append([verdict is not None for verdict in verifier(page.url, algorithm.value, minted)])
    assert table == [
        [True, True, False, False],
        [True, True, True, True],
        [True, True, True, True],
        [False, False, True, True],
    ]


@every_verifier
def test_with_hs256_there_is_nothing_to_verify_by(verifier: Verifier, page: Page) -> None:
    """Attacks 5, 23: whoever could verify could sign, so no key is published and nothing passes."""
    tokens = access_tokens(Algorithm.HS256, issuer=page.url)
    page.keys = tokens.jwks()
    now = int(time.time())
    token = issue(tokens, issued_at=now, ends_at=now + 86_400).decode()
    assert verifier(page.url, "HS256", [token]) == [None]


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    url = f"sqlite:///{tmp_path_factory.mktemp('verifiers')}/watchword.db"
    return prepared(url, mode="bearer")


@pytest.fixture(scope="module", params=PUBLISHED)
def running(request: pytest.FixtureRequest, database: dict[str, str]) -> Iterator[Server]:
    key = {"WATCHWORD_RSA_KEY": pem(rsa_key(0)).decode()} if request.param is Algorithm.RS256 else {}
    with serving(database | key | {"WATCHWORD_ALGORITHM": request.param.value}) as server:
        yield server


@every_verifier
def test_a_stranger_accepts_what_a_running_server_hands_out(running: Server, verifier: Verifier) -> None:
    """R48; RFC 9068 §4: signed in over HTTP, verified by what it publishes; changed, it is not."""
    answer = Browser(running.url).send("POST", "/auth/login", {"email": EMAIL, "password": PASSWORD})
    token = answer.body["access_token"]
    tampered = token[:-8] + "AAAAAAAA"
    genuine, refused = verifier(running.url, running.env["WATCHWORD_ALGORITHM"], [token, tampered])
    assert genuine is not None
    assert (genuine["sub"], genuine["sid"]) == (answer.body["user"]["id"], answer.body["session"]["id"])
    assert refused is None
