"""Sessions live through a rotation of root secrets: servers over one store, and clients that refresh at any of them."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tests.flows.stepping import HOME, InstantHasher, Lab, code_of, lab_with_user, step
from watchword.auth import Watchword
from watchword.flows.grant import Grant
from watchword.flows.refresh import refresh
from watchword.settings import Mode, Settings

OLD = "the-old-root-secret-0123456789-abcdef"
NEW = "the-new-root-secret-9876543210-ghijkl"
ROTATION = (OLD, f"{OLD},{NEW}", f"{NEW},{OLD}", NEW)
DAY = 86_400
REFRESH_TTL, SESSION_MAX = 7 * DAY, 30 * DAY
"""As configured by default."""


@pytest.fixture
def lab() -> Lab:
    return lab_with_user(secret=OLD)


def server(lab: Lab, secret: str) -> Watchword:
    """Another process over the lab's store, with a list of secrets of its own."""
    settings = Settings.parse({"secret": secret, "url": lab.auth.settings.url, "mode": " ".join(Mode)})
    return Watchword(settings, store=lab.store, hasher=InstantHasher(), clock=lab.clock)


def refreshed(at: Watchword, held: Grant) -> Grant:
    in_cookie = held.session.mode.refresh_in_cookie
    return step(refresh(at.world, held.refresh_token, in_cookie=in_cookie, client=HOME))


def passes(at: Watchword, held: Grant) -> bool:
    token = held.access_token.encode()
    return code_of(lambda: at.world.verifier.verify(token, at.world.clock.now())) == "ok"


@pytest.mark.parametrize("pause", [0, 1, 30, 3600, DAY])
def test_a_client_that_goes_from_server_to_server_stays_signed_in(lab: Lab, pause: int) -> None:
    """R26; F17; ASVS 13.3.4: half way through each step, each refresh at another server than the last."""
    held = lab.session()
    for before, after in pairwise(ROTATION):
        servers = [server(lab, before), server(lab, after)]
        for at in (*servers, *servers, servers[1]):
            lab.travel(pause)
            held = refreshed(at, held)
            assert all(passes(each, held) for each in servers)


@pytest.mark.parametrize("pause", [0, 1, 30, 3600, DAY])
def test_an_answer_that_is_lost_at_any_step_signs_nobody_out(lab: Lab, pause: int) -> None:
    """R26; decision 1: the next refresh comes with the token before, which another secret may have made."""
    held = lab.session()
    for before, after in pairwise(ROTATION):
        servers = [server(lab, before), server(lab, after)]
        for lossy, at in (servers, servers[::-1]):
            lab.travel(pause)
            refreshed(lossy, held)
            lab.travel(pause)
            held = refreshed(at, held)
        held = refreshed(servers[1], held)  # as all do before the next step, if it waits long enough


def test_who_comes_back_at_the_last_moment_is_still_signed_in(lab: Lab) -> None:
    """R26: the old secret made its token, at the last moment at which any server signed with it."""
    held = refreshed(server(lab, ROTATION[1]), lab.session())
    lab.travel(REFRESH_TTL - 1)
    held = refreshed(server(lab, ROTATION[2]), held)
    lab.travel(1)
    refreshed(server(lab, ROTATION[3]), held)


def test_who_stays_away_longer_has_no_session_with_or_without_the_old_secret(lab: Lab) -> None:
    """R26; ASVS 7.3.1: so removing it takes nothing from anybody."""
    held = refreshed(server(lab, ROTATION[1]), lab.session())
    lab.travel(REFRESH_TTL)
    assert code_of(lambda: refreshed(server(lab, ROTATION[2]), held)) == "session_ended"
    assert code_of(lambda: refreshed(server(lab, ROTATION[3]), held)) == "invalid_token"


def test_an_old_token_is_refused_after_the_removal_and_ends_nothing(lab: Lab) -> None:
    """Attack 21; ASVS 13.3.4: who leaked the old secret can forge no replay that would sign its owner out."""
    old = lab.session()
    held = refreshed(server(lab, ROTATION[2]), old)
    last = server(lab, ROTATION[3])
    row = lab.row(held.session.sid)
    assert code_of(lambda: refreshed(last, old)) == "invalid_token"
    assert not passes(last, old)
    assert lab.row(held.session.sid) == row
    assert passes(last, held)
    refreshed(last, held)


def test_a_token_that_outlives_its_lost_successor_needs_the_longer_wait(lab: Lab) -> None:
    """R26: kept past refresh_ttl, as no cookie is, an old token can be good if a later answer was lost."""
    held = refreshed(server(lab, ROTATION[1]), lab.session(mode=Mode.BEARER))
    lab.travel(3 * DAY)
    refreshed(server(lab, ROTATION[2]), held)
    lab.travel(REFRESH_TTL - 1)
    assert held.refresh_expires_in == REFRESH_TTL < 3 * DAY + REFRESH_TTL - 1
    assert code_of(lambda: refreshed(server(lab, ROTATION[3]), held)) == "invalid_token"
    refreshed(server(lab, ROTATION[2]), held)
    lab.travel(SESSION_MAX)
    assert code_of(lambda: refreshed(server(lab, ROTATION[2]), held)) == "session_ended"
