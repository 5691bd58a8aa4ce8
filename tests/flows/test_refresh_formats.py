"""What the format of refresh tokens must not change: a generation has one token, and the row decides, not the token."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.flows.stepping import AWAY, HOME, NOW, SECOND, WINDOW, Lab, code_of, lab_with_user, step
from watchword.errors import Problem
from watchword.flows import end, refresh
from watchword.flows.grant import Grant
from watchword.settings import RefreshFormat

DAY = 86_400
every_format = pytest.mark.parametrize("refresh_format", list(RefreshFormat))
jwts = pytest.mark.parametrize("refresh_format", [RefreshFormat.JWT])


def claims_of(grant: Grant) -> dict[str, Any]:
    payload = grant.refresh_token.split(".")[1]
    claims: dict[str, Any] = json.loads(urlsafe_b64decode(payload + "=="))
    return claims


def sharing(lab: Lab, **texts: str) -> Lab:
    """The same house after a restart with other settings."""
    other = Lab(**texts)
    other.clock = lab.clock
    other.world = replace(other.world, store=lab.store, clock=lab.clock)
    return other


def reauthenticate(lab: Lab, grant: Grant) -> Grant:
    loaded = step(lab.store.load_session(grant.session.sid))
    assert loaded is not None
    return step(refresh.reauthenticate(lab.world, loaded, method="pwd", client=HOME))


MOVES: dict[str, Callable[[Lab, list[Grant]], Grant | None]] = {
    "newest": lambda lab, had: lab.refresh(had[-1].refresh_token),
    "the one before": lambda lab, had: lab.refresh(had[-2:][0].refresh_token),
    "newest, from elsewhere": lambda lab, had: lab.refresh(had[-1].refresh_token, client=AWAY),
    "the one before, from elsewhere": lambda lab, had: lab.refresh(had[-2:][0].refresh_token, client=AWAY),
    "reauthenticate": lambda lab, had: reauthenticate(lab, had[-1]),
    "a moment": lambda lab, had: lab.travel(0.25),
    "within the window": lambda lab, had: lab.travel(6),
    "a window": lambda lab, had: lab.travel(WINDOW),
    "days": lambda lab, had: lab.travel(3 * DAY),
}


@every_format
@given(moves=st.lists(st.sampled_from(list(MOVES)), max_size=24))
@settings(max_examples=150, database=None, deadline=None)
def test_a_generation_has_one_token_whatever_happens(refresh_format: RefreshFormat, moves: list[str]) -> None:
    """R26; attacks 34, 36; DESIGN §4.1: repeats, crossings, branches and reauthentication bring the very same bytes."""
    lab = lab_with_user(refresh_format=refresh_format)
    had = [lab.session()]
    tokens = {1: had[0].refresh_token}
    for move in moves:
        try:
            grant = MOVES[move](lab, had)
        except Problem:
            continue
        if grant is not None:
            had.append(grant)
            newest = lab.row(grant.session.sid).lineage.newest
            assert tokens.setdefault(newest, grant.refresh_token) == grant.refresh_token
    assert len(set(tokens.values())) == len(tokens)


@every_format
def test_a_repeat_brings_the_same_bytes_after_a_crossing_and_a_restart(refresh_format: RefreshFormat) -> None:
    """R26; attacks 34, 49: record_crossing moves nothing that a token is made of."""
    lab = lab_with_user(refresh_format=refresh_format)
    first = lab.session()
    lab.travel(1.5)
    second = lab.refresh(first.refresh_token)
    lab.travel(3)
    lab.forget_log()
    assert lab.refresh(first.refresh_token, client=AWAY).refresh_token == second.refresh_token
    assert lab.log == ["record_crossing"]
    lab.travel(3)
    restarted = sharing(lab, refresh_format=refresh_format)
    assert restarted.refresh(second.refresh_token).refresh_token == second.refresh_token


@pytest.mark.parametrize("after", list(RefreshFormat))
@pytest.mark.parametrize("before", list(RefreshFormat))
def test_changing_the_format_signs_nobody_out(before: RefreshFormat, after: RefreshFormat) -> None:
    """R26; F18: the next refresh brings the other form; and a replay of the old form is still a replay."""
    lab = lab_with_user(refresh_format=before)
    first, left = lab.session(), lab.session()
    assert first.refresh_token.startswith("wwr_") is (before is RefreshFormat.OPAQUE)
    lab.travel(600)
    changed = sharing(lab, refresh_format=after)
    second = changed.refresh(first.refresh_token)
    assert second.refresh_token.startswith("wwr_") is (after is RefreshFormat.OPAQUE)
    assert changed.refresh(first.refresh_token).refresh_token == second.refresh_token
    lab.travel(WINDOW)
    third = changed.refresh(second.refresh_token)
    lab.travel(WINDOW)
    assert code_of(lambda: changed.refresh(first.refresh_token)) == "refresh_reused"
    assert code_of(lambda: changed.refresh(third.refresh_token)) == "session_ended"
    assert step(end.log_out(changed.world, end.Brought(left.refresh_token, None), ip=""))


@jwts
def test_a_jwt_tells_what_the_row_says(lab: Lab) -> None:
    """R26; ASVS 9.2.1: who, which session and generation, since when and until when."""
    first = lab.session()
    lab.travel(600)
    second = lab.refresh(first.refresh_token)
    one, other = claims_of(first), claims_of(second)
    assert (one["gen"], one["iat"], one["exp"]) == (1, NOW // SECOND, NOW // SECOND + 7 * DAY)
    assert (other["gen"], other["iat"], other["exp"]) == (2, one["iat"] + 600, one["exp"] + 600)
    assert one["sub"] == other["sub"] == first.user.id
    assert one["sid"] == other["sid"] == first.session.sid
    assert one["jti"] != other["jti"]


@jwts
def test_a_jwt_whose_exp_has_passed_still_renews_a_live_session(lab: Lab) -> None:
    """R26; attack 41: its answer was lost, and the session has been kept alive since."""
    first = lab.session()
    lab.travel(6 * DAY)
    lab.refresh(first.refresh_token)  # the answer is lost
    lab.travel(2 * DAY)
    assert claims_of(first)["exp"] * SECOND < lab.clock.now()
    assert code_of(lambda: lab.refresh(first.refresh_token)) == "ok"


@jwts
def test_a_stolen_jwt_is_reuse_even_after_its_exp(lab: Lab) -> None:
    """R26; attack 33; ASVS 10.4.5: to call it expired would hide the theft."""
    stolen = grant = lab.session()
    for _ in range(3):
        lab.travel(4 * DAY)
        grant = lab.refresh(grant.refresh_token)
    lab.travel(WINDOW)
    assert claims_of(stolen)["exp"] * SECOND < lab.clock.now()
    assert code_of(lambda: lab.refresh(stolen.refresh_token, client=AWAY)) == "refresh_reused"
    assert "refresh_reused" in lab.facts


@jwts
def test_a_jwt_whose_exp_lies_ahead_does_not_outlive_its_session(lab: Lab) -> None:
    """Attacks 43, 44: the same reading decides as for an opaque one."""
    grant = lab.session()
    step(end.log_out(lab.world, end.Brought(grant.refresh_token, None), ip=""))
    assert claims_of(grant)["exp"] * SECOND > lab.clock.now()
    assert code_of(lambda: lab.refresh(grant.refresh_token)) == "session_ended"


@jwts
def test_a_jwt_is_no_access_token_and_an_access_token_no_jwt_to_refresh_with(lab: Lab) -> None:
    """R26, R30; attack 19; ASVS 9.2.2."""
    grant = lab.session()
    verify = lab.world.verifier.verify
    assert code_of(lambda: verify(grant.refresh_token.encode(), lab.clock.now())) == "invalid_token"
    assert code_of(lambda: lab.refresh(grant.access_token)) == "invalid_token"
    assert code_of(lambda: lab.refresh(grant.access_token, in_cookie=False)) == "invalid_token"


@jwts
def test_neither_jwt_nor_its_jti_is_told_or_shown(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    """Attack 96; ASVS 16.2.5: not in a repr, an event or a log, what goes wrong included."""
    caplog.set_level("DEBUG")
    first = lab.session()
    grant = first
    for _ in range(3):
        lab.travel(60)
        grant = lab.refresh(grant.refresh_token)
    code_of(lambda: lab.refresh(first.refresh_token))
    presented = lab.world.refresh_tokens.read(first.refresh_token)
    shown = f"{grant!r} {presented!r} {lab.events!r} {caplog.records!r} {caplog.text}"
    assert "refresh_reused" in shown
    for some in (first, grant):
        assert some.refresh_token not in shown
        assert claims_of(some)["jti"] not in shown


@jwts
def test_another_address_refuses_the_jwts_of_this_one(lab: Lab) -> None:
    """Attacks 14, 20: iss and aud are ours, as of access tokens."""
    grant = lab.session()
    moved = sharing(lab, url="http://elsewhere.localhost", refresh_format=RefreshFormat.JWT)
    assert code_of(lambda: moved.refresh(grant.refresh_token)) == "invalid_token"
    assert code_of(lambda: lab.refresh(grant.refresh_token)) == "ok"
