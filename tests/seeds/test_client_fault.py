"""W1: the client whose refresh goes through its own interceptor, and what our answers do to it.

It hangs on every 401 of a refresh, whatever else that answer says: the interceptor looks at nothing but the status, and
waits for the refresh whose answer it holds. R22 asks for that status, so this is the client's to mend; ours is to
give no such answer without need, and no other answer that hangs anybody.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.nodes import run_node
from tests.seeds.house import running

WINDOW = 3
SIGNED_OUT = ("signedOut", "startsSignedOut")
ENDINGS = {
    "refreshes": 200,
    "superseded": 409,
    "strangerPage": "ERR_NETWORK",
    "wrongPasswordWhileSignedIn": 401,
    "badRequest": 422,
    "unknownAddress": 404,
    "signsOutExpired": 200,
    "signsOutTwice": 200,
}
NO_REFRESH = ("badRequest", "unknownAddress", "signsOutExpired", "signsOutTwice")

Outcomes = dict[str, dict[str, dict[str, Any]]]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    with running("S1", tmp_path_factory.mktemp("S1"), rotation_window=f"{WINDOW}s") as house:
        told: Outcomes = house.node("deadlock.mjs", window=WINDOW + 0.2)
        return told


@pytest.mark.parametrize("case", SIGNED_OUT)
def test_w1_a_client_that_waits_for_itself_hangs_on_the_401_of_a_refresh(
    outcomes: Outcomes, case: str
) -> None:
    """The fault is there to be seen, so that what follows proves something. No answer of status 401 can cure it."""
    assert outcomes["faulty"][case] == {"ended": "hangs", "refreshes": 1, "flights": 1}


@pytest.mark.parametrize("case", SIGNED_OUT)
def test_w1_put_right_it_learns_that_it_is_signed_out(outcomes: Outcomes, case: str) -> None:
    """The refresh by an instance of its own, and nothing else, is what the cure takes."""
    assert outcomes["corrected"][case] == {"ended": 401, "refreshes": 1, "flights": 1}


@pytest.mark.parametrize("client", ["faulty", "corrected"])
def test_w1_no_other_answer_hangs_anybody(outcomes: Outcomes, client: str) -> None:
    """A refresh that succeeds, over three calls at once; one that came too late in a race, which is no 401; one whose
    answer cannot be read; and refusals of other calls."""
    assert {case: outcomes[client][case]["ended"] for case in ENDINGS} == ENDINGS
    assert outcomes[client]["refreshes"]["flights"] == 1, "never two at once, however late the answers come"


@pytest.mark.parametrize("client", ["faulty", "corrected"])
def test_w1_what_is_no_matter_of_tokens_makes_nobody_refresh(outcomes: Outcomes, client: str) -> None:
    """Signing out is a 200 with an expired token, and with none; a refusal that no new token would lift is no 401."""
    assert {outcomes[client][case]["refreshes"] for case in NO_REFRESH} == {0}


def test_w1_a_wrong_password_is_a_401_and_makes_a_client_refresh_that_intercepts_its_sign_in(
    outcomes: Outcomes,
) -> None:
    """R21 asks for that status. The faulty client refreshes then, and hangs if nobody was signed in; put right, it
    tells the user."""
    for case in ("wrongPasswordOfNobody", "wrongPasswordWhileSignedIn"):
        assert outcomes["corrected"][case] == {"ended": 401, "refreshes": 0, "flights": 0}
    assert outcomes["faulty"]["wrongPasswordOfNobody"] == {"ended": "hangs", "refreshes": 1, "flights": 1}
    assert outcomes["faulty"]["wrongPasswordWhileSignedIn"] == {"ended": 401, "refreshes": 1, "flights": 1}


API, REFRESH = "https://api.example.com/auth/login", "https://api.example.com/auth/refresh"
JAR = [
    ({"lines": ["a=1; Path=/"], "from": API, "to": "https://api.example.com/profile"}, "a=1"),
    ({"lines": ["a=1; HttpOnly"], "from": API, "to": REFRESH}, "a=1"),
    ({"lines": ["a=1"], "from": API, "to": "https://api.example.com/profile"}, ""),
    ({"lines": ["a=1; Path=/auth/refresh"], "from": API, "to": REFRESH}, "a=1"),
    ({"lines": ["a=1; Path=/auth/refresh"], "from": API, "to": REFRESH + "ed"}, ""),
    ({"lines": ["a=1; Path=/"], "from": API, "to": "https://app.example.com/"}, ""),
    (
        {"lines": ["a=1; Path=/; Domain=.example.com"], "from": API, "to": "https://app.example.com/"},
        "a=1",
    ),
    ({"lines": ["a=1; Path=/; Domain=example.net"], "from": API, "to": "https://example.net/"}, ""),
    ({"lines": ["a=1; Path=/; Secure"], "from": API, "to": "http://api.example.com/"}, ""),
    ({"lines": ["a=1; Path=/", "a=; Path=/; Max-Age=0"], "from": API, "to": REFRESH}, ""),
    ({"lines": ["a=1; Path=/auth", "a=; Path=/; Max-Age=0"], "from": API, "to": REFRESH}, "a=1"),
    ({"lines": ["a=1; Path=/; SameSite=Lax"], "from": API, "to": API, "sameSite": False}, ""),
    ({"lines": ["a=1; Path=/; SameSite=None"], "from": API, "to": API, "sameSite": False}, ""),
    (
        {"lines": ["a=1; Path=/; Secure; SameSite=None"], "from": API, "to": API, "sameSite": False},
        "a=1",
    ),
    ({"lines": ["a=1; Path=/", "a=2; Path=/auth"], "from": API, "to": REFRESH}, "a=2; a=1"),
]


def test_the_jar_of_these_clients_keeps_and_sends_what_a_browser_would() -> None:
    """RFC 6265bis §5.6–5.8: Path and its default, Domain, Secure, SameSite, Max-Age, two of one name."""
    sent = run_node("jar_rules.mjs", stdin=[case for case, _ in JAR])
    assert sent == [header for _, header in JAR]
