"""A new key takes an old one's place in three steps, and no server refuses what another mints meanwhile."""

from __future__ import annotations

from itertools import pairwise

import jwt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.core.rotating import ROTATION, Fleet, Keys, server
from watchword.settings import Algorithm

every_algorithm = pytest.mark.parametrize("algorithm", list(Algorithm))
PRIVATE = {"d", "p", "q", "dp", "dq", "qi", "k", "oth"}
"""RFC 7518 §6.2.2, §6.3.2, §6.4; RFC 8037 §2."""
Moves = list[tuple[str, int]]


def kid(token: bytes) -> str:
    return str(jwt.get_unverified_header(token)["kid"])


@pytest.mark.parametrize(("before", "after"), list(pairwise(ROTATION)))
@every_algorithm
def test_between_two_steps_what_either_server_mints_passes_at_both(
    algorithm: Algorithm, before: Keys, after: Keys
) -> None:
    """R26; attack 21; ASVS 11.2.2, 13.3.4: one server has the new list, the other the old one."""
    servers = [server(algorithm, before), server(algorithm, after)]
    assert all(there.accepts(here.mint()) for here in servers for there in servers)


@every_algorithm
def test_what_the_removed_key_signed_is_refused(algorithm: Algorithm) -> None:
    """Attack 21; ASVS 13.3.4: access tokens and refresh tokens, of each step at which it signed."""
    last = server(algorithm, ROTATION[3])
    assert not any(last.accepts(server(algorithm, keys).mint()) for keys in ROTATION[:2])
    assert last.accepts(server(algorithm, ROTATION[2]).mint())


@pytest.mark.parametrize(
    ("before", "after"), [(ROTATION[0], ROTATION[2]), (ROTATION[1], ROTATION[3]), (ROTATION[0], ROTATION[3])]
)
@every_algorithm
def test_none_of_the_steps_can_be_left_out(algorithm: Algorithm, before: Keys, after: Keys) -> None:
    """R26: without it, one of two servers refuses what the other mints."""
    servers = [server(algorithm, before), server(algorithm, after)]
    assert not all(there.accepts(here.mint()) for here in servers for there in servers)


moves: st.SearchStrategy[Moves] = st.lists(
    st.tuples(
        st.sampled_from(["append", "front", "remove", "restart", "restart all", "mint", "wait"]),
        st.integers(0, 11),
    ),
    min_size=30,
    max_size=60,
)


@given(moves=moves)
@settings(max_examples=40, database=None, suppress_health_check=[HealthCheck.too_slow])
@every_algorithm
def test_no_order_of_patient_steps_has_a_live_token_refused(algorithm: Algorithm, moves: Moves) -> None:
    """R26; ASVS 13.3.4: rotations one after another and one within another, with servers anywhere in between."""
    fleet = Fleet(algorithm)
    for move, place in moves:
        fleet.play(move, place)
        if move in ("mint", "restart", "restart all"):
            assert fleet.refused() == 0


IMPATIENT: dict[str, Moves] = {
    "the new key signs before all servers know it": [
        ("append", 0),
        ("front", 1),
        ("restart", 0),
        ("mint", 0),
    ],
    "the old key is removed before its tokens have expired": [
        *[("mint", 0), ("append", 0), ("restart", 0), ("restart", 1), ("restart", 2), ("front", 1)],
        *[("restart", 0), ("restart", 1), ("restart", 2), ("wait", 4), ("remove", 0), ("restart", 0)],
    ],
}


@pytest.mark.parametrize("name", IMPATIENT)
def test_the_check_of_orders_sees_an_operator_who_does_not_wait(name: str) -> None:
    """Without this the property above would prove nothing: the same moves, allowed at once."""
    patient, hasty = Fleet(Algorithm.HS256), Fleet(Algorithm.HS256, patient=False)
    for move, place in IMPATIENT[name]:
        patient.play(move, place)
        hasty.play(move, place)
    assert (patient.refused(), hasty.refused() > 0) == (0, True)


@every_algorithm
def test_a_kid_names_the_key_that_signed_and_no_other(algorithm: Algorithm) -> None:
    """R26; ASVS 9.1.3: in every access token, the same at every step, another for another secret."""
    named = {keys: kid(server(algorithm, keys).mint().access) for keys in (*ROTATION, (2,), (2, 0, 1))}
    assert named[0,] == named[0, 1]
    assert named[1,] == named[1, 0]
    assert named[2,] == named[2, 0, 1]
    assert len(set(named.values())) == 3
    assert all(named.values())


@pytest.mark.parametrize("keys", ROTATION)
@every_algorithm
def test_at_every_step_all_public_keys_are_published_the_signing_one_first(
    algorithm: Algorithm, keys: Keys
) -> None:
    """R48; attack 23; ASVS 13.3.1: none at all for HS256, and never a private member."""
    published = server(algorithm, keys).access.jwks()["keys"]
    expected = [kid(server(algorithm, (number,)).mint().access) for number in keys]
    assert [key["kid"] for key in published] == ([] if algorithm is Algorithm.HS256 else expected)
    assert not any(PRIVATE.intersection(key) for key in published)
