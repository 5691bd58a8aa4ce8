"""Ending sessions: by whichever token there is, at once, told once, and never somebody else's."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from uuid import UUID

import pytest

from tests.flows.stepping import AWAY, HOME, Lab, code_of, lab_with_user, step
from watchword.core.session import End
from watchword.flows import end, users
from watchword.flows.end import Brought
from watchword.flows.grant import Grant
from watchword.settings import RefreshFormat


@pytest.fixture(params=list(RefreshFormat))
def refresh_format(request: pytest.FixtureRequest) -> RefreshFormat:
    chosen: RefreshFormat = request.param
    return chosen


def log_out(lab: Lab, refresh: str | None = None, access: str | None = None) -> bool:
    raw = None if access is None else access.encode()
    return step(end.log_out(lab.world, Brought(refresh, raw), ip=AWAY.ip))


def log_out_everywhere(lab: Lab, refresh: str | None = None, access: str | None = None) -> int:
    raw = None if access is None else access.encode()
    return step(end.log_out_everywhere(lab.world, Brought(refresh, raw), ip=AWAY.ip))


def test_logging_out_ends_the_session_and_both_its_tokens_at_once(lab: Lab) -> None:
    """R7, R23, R33, R38; W8, W15; ASVS 7.4.1."""
    grant = lab.session()
    assert lab.guard(grant) == "ok"
    lab.forget_log()
    assert log_out(lab, grant.refresh_token)
    assert lab.log == ["end_session", "event session_ended"]
    (event,) = lab.events
    assert (event.user_id, event.sid, event.ip, event.detail) == (
        grant.user.id,
        grant.session.sid,
        AWAY.ip,
        "logout",
    )
    assert lab.row(grant.session.sid).end is End.LOGOUT
    assert lab.guard(grant) == "session_ended"
    assert code_of(lambda: lab.refresh(grant.refresh_token)) == "session_ended"


@pytest.mark.parametrize("after", [0, 60, 905, 3 * 86_400])
def test_an_access_token_is_enough_expired_or_not(lab: Lab, after: float) -> None:
    """R23, R47; DESIGN §5: who signs out after a long break is signed out."""
    grant = lab.session()
    lab.travel(after)
    assert log_out(lab, access=grant.access_token)
    assert code_of(lambda: lab.refresh(grant.refresh_token)) == "session_ended"


def test_an_overtaken_refresh_token_ends_its_session_all_the_same(lab: Lab) -> None:
    """R23: a tab that was left behind may sign out, and that is no replay."""
    first = lab.session()
    second = lab.refresh(first.refresh_token)
    lab.travel(60)
    lab.refresh(second.refresh_token)
    lab.travel(60)
    assert log_out(lab, first.refresh_token)
    assert lab.row(first.session.sid).end is End.LOGOUT
    assert "refresh_reused" not in lab.facts


def test_the_refresh_token_counts_before_the_access_token(lab: Lab) -> None:
    """Attack 40; DESIGN §5: of two that disagree."""
    lab.user("eve@example.com")
    ada, eve = lab.session(), lab.session("eve@example.com")
    assert log_out(lab, ada.refresh_token, eve.access_token)
    assert lab.guard(ada) == "session_ended"
    assert lab.guard(eve) == "ok"


def forged(lab: Lab, grant: Grant) -> dict[str, tuple[str | None, str | None]]:
    """Pairs of refresh and access token that end nothing."""
    refresh, access = grant.refresh_token, grant.access_token
    other = lab_with_user(
        secret="Zq9-another-environment-7uYtReWqAsDfGhJkL", refresh_format=lab.auth.settings.refresh_format
    ).session()
    return {
        "nothing": (None, None),
        "empty": ("", ""),
        "text": ("x", "x"),
        "altered": (
            refresh[:-1] + ("A" if refresh[-1] != "A" else "B"),
            access[:-1] + ("A" if access[-1] != "A" else "B"),
        ),
        "of another environment": (other.refresh_token, other.access_token),
        "swapped": (access, refresh),
        "long": ("x" * 100_000, "x" * 100_000),
        "sid alone": (grant.session.sid, grant.session.sid),
    }


@pytest.mark.parametrize("name", list(forged(lab := lab_with_user(), lab.session())))
def test_nothing_to_end_is_no_error_and_ends_nothing(lab: Lab, name: str) -> None:
    """Attacks 38, 39; DESIGN §5."""
    grant = lab.session()
    refresh, access = forged(lab, grant)[name]
    lab.forget_log()
    assert log_out(lab, refresh, access) is False
    assert log_out_everywhere(lab, refresh, access) == 0
    assert (lab.log, lab.events) == ([], [])
    assert lab.guard(grant) == "ok"


def test_a_forged_refresh_token_does_not_keep_a_right_access_token_from_counting(lab: Lab) -> None:
    """DESIGN §5: else the access token."""
    grant = lab.session()
    assert log_out(lab, "wwr_forged", grant.access_token)


def test_logging_out_twice_is_told_once(lab: Lab) -> None:
    """ASVS 16.2.1."""
    grant = lab.session()
    lab.forget_log()
    assert [log_out(lab, grant.refresh_token) for _ in range(3)] == [True, False, False]
    assert lab.facts == ["session_ended"]


def test_two_log_outs_at_the_same_moment_are_told_once(lab: Lab) -> None:
    """ASVS 15.4.2, 16.2.1."""
    grant = lab.session()
    lab.forget_log()
    lab.store.first["end_session"] = [lambda: log_out(lab, grant.refresh_token)]
    assert log_out(lab, grant.refresh_token) is False
    assert lab.facts == ["session_ended"]


def test_other_sessions_of_the_user_go_on(lab: Lab) -> None:
    """R25; ASVS 7.4.1."""
    one, other = lab.session(), lab.session(client=AWAY)
    assert log_out(lab, one.refresh_token)
    assert lab.guard(other) == "ok"


def test_logging_out_everywhere_ends_all_of_one_user(lab: Lab) -> None:
    """R18, R25; ASVS 7.4.5: and nobody else's."""
    lab.user("eve@example.com")
    mine = [lab.session() for _ in range(3)]
    eve = lab.session("eve@example.com")
    lab.forget_log()
    assert log_out_everywhere(lab, mine[1].refresh_token) == 3
    assert lab.facts == ["session_ended"] * 3
    assert {event.sid for event in lab.events} == {grant.session.sid for grant in mine}
    assert [lab.guard(grant) for grant in mine] == ["session_ended"] * 3
    assert lab.guard(eve) == "ok"


@pytest.mark.parametrize("way", ["refresh", "access"])
def test_a_token_of_an_ended_session_ends_no_other(lab: Lab, way: str) -> None:
    """ASVS 7.4.1: it may be in anybody's hands."""
    old, other = lab.session(), lab.session()
    log_out(lab, old.refresh_token)
    given = {"refresh": old.refresh_token} if way == "refresh" else {"access": old.access_token}
    assert log_out_everywhere(lab, **given) == 0
    assert lab.guard(other) == "ok"


@pytest.mark.parametrize("way", ["refresh", "access"])
def test_an_old_token_of_a_live_session_ends_that_one_alone(lab: Lab, way: str) -> None:
    """ASVS 7.5.1: whoever finds one in a log cannot keep somebody signed out everywhere."""
    old, other = lab.session(), lab.session()
    token = old.refresh_token
    for _ in range(2):  # an access token that has expired, a refresh token older than the parent
        lab.travel(1000)
        token = lab.refresh(token).refresh_token
    given = {"refresh": old.refresh_token} if way == "refresh" else {"access": old.access_token}
    assert log_out_everywhere(lab, **given) == 1
    assert code_of(lambda: lab.refresh(token)) == "session_ended"
    assert not lab.world.revocations.ended(other.session.sid)


def test_an_old_refresh_token_gains_nothing_by_an_access_token_of_another_session(lab: Lab) -> None:
    """ASVS 7.5.1, attack 40: somebody else's old token beside one's own valid one ends that one session alone."""
    lab.user("eve@example.com")
    old, other = lab.session(), lab.session()
    token = old.refresh_token
    for _ in range(2):
        lab.travel(1000)
        token = lab.refresh(token).refresh_token
    mine = lab.session("eve@example.com")
    assert log_out_everywhere(lab, old.refresh_token, mine.access_token) == 1
    assert code_of(lambda: lab.refresh(token)) == "session_ended"
    assert not lab.world.revocations.ended(other.session.sid)
    assert lab.guard(mine) == "ok"


def test_a_forged_refresh_token_gains_an_old_access_token_nothing(lab: Lab) -> None:
    """ASVS 7.5.1, attack 39: who found an expired access token knows its sid, and can write the rest."""
    old, other = lab.session(), lab.session()
    forged = (
        "wwr_"
        + urlsafe_b64encode(
            b"\x01" + bytes(3) + UUID(old.session.sid).bytes + (7).to_bytes(8, "big") + bytes(32)
        ).decode()
    )
    lab.travel(1000)
    assert log_out_everywhere(lab, forged, old.access_token) == 1
    assert not lab.world.revocations.ended(other.session.sid)


def test_a_token_of_a_deleted_user_ends_nothing(lab: Lab) -> None:
    """Attack 44."""
    grant = lab.session()
    step(users.delete(lab.world, lab.stored()))
    assert log_out(lab, grant.refresh_token) is False
    assert log_out(lab, access=grant.access_token) is False


def test_the_session_of_a_genuine_refresh_token_is_found_live_or_not(lab: Lab) -> None:
    """Attack 32: what a new sign-in replaces."""
    grant = lab.session()
    for _ in range(2):
        found = step(end.holder(lab.world, end.Brought(grant.refresh_token)))
        assert found is not None
        assert found.session.sid == grant.session.sid
        log_out(lab, grant.refresh_token)
    for nothing in (None, "", "x", grant.access_token, grant.refresh_token[:-1] + "!"):
        assert step(end.holder(lab.world, end.Brought(nothing))) is None


def test_what_was_told_elsewhere_is_told_here_only_once_to_the_guards(lab: Lab) -> None:
    """ASVS 7.4.1: `tell` takes the same rows again without harm."""
    grant = lab.session(client=HOME)
    row = step(lab.store.end_session(grant.session.sid, End.REVOKED, now=lab.clock.now()))
    assert row is not None
    for _ in range(2):
        end.tell(lab.world, [row], user_id=grant.user.id, reason=End.REVOKED, now=lab.clock.now())
    assert lab.guard(grant) == "session_ended"
    assert [event.detail for event in lab.events if event.name == "session_ended"] == ["revoked", "revoked"]
