"""Refreshing, end to end over the memory store: each verdict of the rotation table, and what happens around it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.flows.stepping import (
    AWAY,
    EMAIL,
    HOME,
    NOW,
    PASSWORD,
    SECOND,
    URL,
    WINDOW,
    Lab,
    code_of,
    generation,
    lab_with_user,
    minted,
    step,
)
from watchword.core.keys import KeyRing
from watchword.core.refresh_token import RefreshTokens
from watchword.core.session import MAX_USER_AGENT, Client, End
from watchword.core.user import Status
from watchword.errors import (
    InvalidToken,
    Overloaded,
    RefreshReused,
    RefreshSuperseded,
    SessionEnded,
    TokenExpired,
)
from watchword.features.password import flow as password
from watchword.flows import end, refresh, users
from watchword.flows.end import Brought
from watchword.flows.refresh import SWAPS
from watchword.settings import Mode, RefreshFormat

DAY = 86_400


@pytest.fixture(params=list(RefreshFormat))
def refresh_format(request: pytest.FixtureRequest) -> RefreshFormat:
    chosen: RefreshFormat = request.param
    return chosen


# --- each verdict ---------------------------------------------------------------------------------------------------


def test_the_first_refresh_rotates_and_the_next_one_in_turn(lab: Lab) -> None:
    """R19, R29, R37; ASVS 10.4.5: Rotate."""
    grant = lab.session()
    assert generation(grant) == 1
    for expected in (2, 3, 4):
        lab.travel(600)
        lab.forget_log()
        fresh = lab.refresh(grant.refresh_token)
        assert generation(fresh) == expected
        assert fresh.session.sid == grant.session.sid
        assert fresh.access_token != grant.access_token
        assert lab.principal(fresh).auth_time == NOW // SECOND
        assert lab.log == ["swap_session"], "one write, and nothing to tell"
        grant = fresh


def test_within_the_window_parent_and_child_bring_the_same_token_again(lab: Lab) -> None:
    """Attacks 34, 36; F13; R16: Repeat, without a write and with a fresh access token."""
    first = lab.session()
    second = lab.refresh(first.refresh_token)
    lab.forget_log()
    rows = lab.store.rows()
    for token in (first.refresh_token, second.refresh_token, first.refresh_token):
        lab.travel(6)
        again = lab.refresh(token)
        assert again.refresh_token == second.refresh_token
        assert again.access_token != second.access_token
    assert lab.log == []
    assert lab.store.rows() == rows


def test_after_the_window_the_parent_brings_another_child(lab: Lab) -> None:
    """Attacks 34, 41: Branch: the answer was lost, and however late the client asks again it goes on."""
    first = lab.session()
    lost = lab.refresh(first.refresh_token)
    lab.travel(WINDOW)
    other = lab.refresh(first.refresh_token)
    assert (generation(lost), generation(other)) == (2, 3)
    lab.travel(6 * DAY)
    assert generation(lab.refresh(first.refresh_token)) == 4
    lab.travel(6 * DAY)
    assert generation(lab.refresh(lost.refresh_token)) == 5, (
        "a child that was never used counts when it arrives"
    )


def test_an_older_child_takes_over_once_everything_has_settled(lab: Lab) -> None:
    """Attack 41: Rotate of an older child."""
    first = lab.session()
    child = lab.refresh(first.refresh_token)
    lab.travel(WINDOW)
    lab.refresh(first.refresh_token)
    lab.travel(2 * WINDOW)
    taken = lab.refresh(child.refresh_token)
    lineage = lab.row(taken.session.sid).lineage
    assert (lineage.parent, lineage.newest, lineage.before) == (2, 4, 1)


def test_a_token_just_overtaken_is_told_to_try_again_and_nothing_is_issued(lab: Lab) -> None:
    """Attacks 33, 35: Superseded: 409, Retry-After 1, no write and no event."""
    first = lab.session()
    second = lab.refresh(first.refresh_token)
    lab.travel(WINDOW)
    lab.refresh(second.refresh_token)
    lab.forget_log()
    rows = lab.store.rows()
    with pytest.raises(RefreshSuperseded) as caught:
        lab.refresh(first.refresh_token)
    assert caught.value.retry_after == 1
    assert lab.store.rows() == rows
    assert (lab.log, lab.events) == ([], [])


def replayed(lab: Lab) -> tuple[str, str]:
    """A session that has moved on, and a token that was overtaken long ago."""
    first = lab.session()
    second = lab.refresh(first.refresh_token)
    lab.travel(WINDOW)
    third = lab.refresh(second.refresh_token)
    lab.travel(WINDOW)
    assert lab.guard(third) == "ok"
    lab.forget_log()
    return first.refresh_token, third.refresh_token


def test_a_replay_ends_the_session_at_once_and_tells_so_once(lab: Lab) -> None:
    """Attacks 33, 35; R41; W6; ASVS 10.4.5: Reuse."""
    stolen, current = replayed(lab)
    with pytest.raises(RefreshReused):
        lab.refresh(stolen, client=AWAY)
    assert lab.log == ["end_session", "event refresh_reused"], "first the write, then the event"
    (event,) = lab.events
    assert (event.user_id, event.ip, event.at) == (lab.stored().id, AWAY.ip, lab.clock.now())
    assert event.sid is not None
    row = lab.row(event.sid)
    assert (row.end, row.ended_at) == (End.REUSE, lab.clock.now())
    for token in (stolen, current, stolen):
        with pytest.raises(SessionEnded):
            lab.refresh(token)
    assert lab.facts == ["refresh_reused"]


def test_two_replays_at_the_same_moment_are_one_event(lab: Lab) -> None:
    """Attacks 33, 36; ASVS 16.2.1: the one that comes second finds the session ended by the first."""
    stolen, _ = replayed(lab)
    lab.store.first["end_session"] = [lambda: code_of(lambda: lab.refresh(stolen))]
    with pytest.raises(RefreshReused):
        lab.refresh(stolen)
    assert lab.facts == ["refresh_reused"]


def test_after_a_replay_the_access_token_is_refused_in_the_same_instant(lab: Lab) -> None:
    """Attack 21; ASVS 7.4.1; R33."""
    first = lab.session()
    second = lab.refresh(first.refresh_token)
    lab.travel(WINDOW)
    third = lab.refresh(second.refresh_token)
    lab.travel(WINDOW)
    assert lab.principal(third).sid == third.session.sid
    assert code_of(lambda: lab.refresh(first.refresh_token)) == "refresh_reused"
    for grant in (first, second, third):
        with pytest.raises(SessionEnded):
            lab.principal(grant)


def test_reuse_is_still_found_after_a_restart(lab: Lab) -> None:
    """Attack 49; CVE-2026-9802: all that decides stands in the row."""
    stolen, _ = replayed(lab)
    other = Lab()
    other.clock, other.store = lab.clock, lab.store
    other.world = replace(other.world, store=lab.store, clock=lab.clock)
    with pytest.raises(RefreshReused):
        other.refresh(stolen)


def test_a_token_ahead_of_the_row_is_gone_on_from_and_told(lab: Lab) -> None:
    """Attack 42; F7: Ahead: the database lost commits, and only we can have minted it."""
    grant = lab.session()
    ahead = minted(lab, grant.session.sid, 9)
    lab.forget_log()
    fresh = lab.refresh(ahead)
    assert generation(fresh) == 10
    assert lab.log == ["swap_session", "event session_ahead"]
    assert lab.events[0].detail == "generation 9 after 1"
    lineage = lab.row(grant.session.sid).lineage
    assert (lineage.before, lineage.parent, lineage.floor, lineage.newest) == (0, 0, 0, 10)


@pytest.mark.parametrize("generation_", [0, 1, 2, 5])
def test_with_a_window_of_zero_every_token_counts_once(
    refresh_format: RefreshFormat, generation_: int
) -> None:
    """DESIGN §4.1: one-time use, for those who must."""
    lab = lab_with_user(rotation_window="0", refresh_format=refresh_format)
    first = lab.session()
    second = lab.refresh(first.refresh_token)
    token = minted(lab, first.session.sid, generation_)
    expected = {0: "invalid_token", 1: "refresh_reused", 2: "ok", 5: "ok"}[generation_]
    assert code_of(lambda: lab.refresh(token)) == expected
    assert generation(second) == 2


# --- who is nobody --------------------------------------------------------------------------------------------------


def spoiled(lab: Lab) -> dict[str, tuple[str, bool]]:
    """Tokens that must change nothing, and whether they come in a cookie."""
    grant = lab.session()
    sid, token = grant.session.sid, grant.refresh_token
    thief = RefreshTokens(
        KeyRing([b"Zq9-another-environment-7uYtReWqAsDfGhJkL"]),
        issuer=URL,
        refresh_format=lab.auth.settings.refresh_format,
    )
    elsewhere = replace(lab.row(sid), sid="0190a0b0-0000-7000-8000-000000000000")
    return {
        "nothing": ("", True),
        "text": ("x", True),
        "non-ASCII": ("wwr_" + "é" * 80, True),
        "an access token": (grant.access_token, True),
        "cut off": (token[:-1], True),
        "last character": (token[:-1] + ("A" if token[-1] != "A" else "B"), True),
        "unknown session": (lab.world.refresh_tokens.mint(elsewhere), True),
        "generation 0": (minted(lab, sid, 0), True),
        "of another seed": (minted(lab, sid, 1, seed=bytes(32)), True),
        "of another secret": (minted(lab, sid, 1, by=thief), True),
        "newer, of another secret": (minted(lab, sid, 7, by=thief), True),
        "in a body": (token, False),
    }


@pytest.mark.parametrize("name", list(spoiled(lab_with_user())))
def test_a_token_that_is_not_ours_changes_nothing(lab: Lab, name: str) -> None:
    """Attacks 37, 38, 39, 47; ASVS 11.2.5: 401 for all alike, no write, no event, and the session lives on."""
    token, in_cookie = spoiled(lab)[name]
    lab.forget_log()
    rows = lab.store.rows()
    with pytest.raises(InvalidToken) as caught:
        lab.refresh(token, in_cookie=in_cookie)
    assert str(caught.value) == InvalidToken.title
    assert lab.store.rows() == rows
    assert (lab.log, lab.events) == ([], [])


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("in_cookie", [True, False])
def test_a_token_counts_only_the_way_its_session_travels(lab: Lab, mode: Mode, in_cookie: bool) -> None:
    """Attack 47; DESIGN §5: no script can turn a cookie session into one with tokens in bodies."""
    grant = lab.session(mode=mode)
    right = mode.rotates and mode.refresh_in_cookie is in_cookie
    expected = "ok" if right else "invalid_token"
    assert code_of(lambda: lab.refresh(grant.refresh_token, in_cookie=in_cookie)) == expected


def test_a_tag_is_compared_before_anything_is_decided(lab: Lab) -> None:
    """Attacks 39, 98: that a session has ended is not told to who cannot prove that it was his."""
    grant = lab.session()
    step(end.log_out(lab.world, Brought(grant.refresh_token, None), ip=""))
    forged = grant.refresh_token[:-1] + ("A" if grant.refresh_token[-1] != "A" else "B")
    assert code_of(lambda: lab.refresh(grant.refresh_token)) == "session_ended"
    assert code_of(lambda: lab.refresh(forged)) == "invalid_token"


# --- sessions that are over -----------------------------------------------------------------------------------------


ENDINGS: dict[str, Callable[[Lab, str], object]] = {
    "logout": lambda lab, token: step(end.log_out(lab.world, Brought(token, None), ip="")),
    "logout everywhere": lambda lab, token: step(
        end.log_out_everywhere(lab.world, Brought(token, None), ip="")
    ),
    "disabled": lambda lab, _: step(users.set_status(lab.world, lab.stored(), Status.DISABLED)),
    "unverified": lambda lab, _: step(users.set_status(lab.world, lab.stored(), Status.UNVERIFIED)),
    "new password": lambda lab, _: step(users.set_password(lab.world, lab.stored(), "v1:new password")),
    "deleted": lambda lab, _: step(users.delete(lab.world, lab.stored())),
}


def code_after(name: str) -> str:
    """A deleted user's rows are gone, so that his tokens are nobody's."""
    return "invalid_token" if name == "deleted" else "session_ended"


@pytest.mark.parametrize("name", ENDINGS)
def test_an_ended_session_is_never_refreshed(lab: Lab, name: str) -> None:
    """Attacks 44, 45; ASVS 7.4.1–7.4.3."""
    grant = lab.session()
    ENDINGS[name](lab, grant.refresh_token)
    lab.forget_log()
    assert code_of(lambda: lab.refresh(grant.refresh_token)) == code_after(name)
    assert (lab.log, lab.events) == ([], [])
    assert lab.guard(grant) == "session_ended"


@pytest.mark.parametrize("name", ENDINGS)
def test_a_session_that_ends_during_its_refresh_gets_no_token(lab: Lab, name: str) -> None:
    """Attacks 44, 45; I5: ended between the reading and the write."""
    grant = lab.session()
    lab.store.first["swap_session"] = [lambda: ENDINGS[name](lab, grant.refresh_token)]
    assert code_of(lambda: lab.refresh(grant.refresh_token)) == code_after(name)
    assert lab.guard(grant) == "session_ended"


def test_a_disabled_user_gets_no_token_though_his_sessions_were_not_ended(lab: Lab) -> None:
    """Attack 44: the status is judged in the same reading, not inferred from the session."""
    grant = lab.session()
    lab.store._users[lab.stored().id] = replace(lab.stored(), status=Status.DISABLED)
    assert lab.row(grant.session.sid).ended_at is None
    assert code_of(lambda: lab.refresh(grant.refresh_token)) == "session_ended"


def test_a_change_of_roles_during_a_refresh_does_not_survive_it(lab: Lab) -> None:
    """Attacks 21, 45; ASVS 8.3.2: the reply may name the old roles, but then no guard takes it."""
    step(users.set_roles(lab.world, lab.stored(), ["owner"]))
    lab.travel(2)
    grant = lab.session()
    assert lab.principal(grant).roles == ("owner",)

    def demoted() -> None:
        step(users.set_roles(lab.world, lab.stored(), []))
        lab.travel(1.5)  # the answer is slow, and a new second begins

    lab.store.first["swap_session"] = [demoted]
    fresh = lab.refresh(grant.refresh_token)
    with pytest.raises(TokenExpired):
        lab.principal(fresh)
    after = lab.refresh(fresh.refresh_token)
    assert lab.principal(after).roles == ()


@pytest.mark.parametrize(("offset", "code"), [(-1, "ok"), (0, "session_ended"), (1, "session_ended")])
@pytest.mark.parametrize("limit", ["idle", "whole"])
def test_a_session_ends_at_its_limits_to_the_microsecond(
    refresh_format: RefreshFormat, limit: str, offset: int, code: str
) -> None:
    """Attack 43; ASVS 7.3.1, 7.3.2; W15."""
    lab = lab_with_user(
        refresh_ttl="7d", session_max="10d" if limit == "whole" else "30d", refresh_format=refresh_format
    )
    grant = lab.session()
    if limit == "whole":
        lab.travel(6 * DAY)
        grant = lab.refresh(grant.refresh_token)
        lab.clock.micros = NOW + 10 * DAY * SECOND + offset
    else:
        lab.clock.micros = NOW + 7 * DAY * SECOND + offset
    assert code_of(lambda: lab.refresh(grant.refresh_token)) == code
    assert lab.facts == ["signed_in"], "running out is no event"


def test_rotation_moves_the_idle_limit_and_never_the_absolute_one(refresh_format: RefreshFormat) -> None:
    """Attack 43; ASVS 7.3.2, 10.4.8; R19; W15: and no token promises more than the session."""
    lab = lab_with_user(refresh_ttl="7d", session_max="10d", access_ttl="1h", refresh_format=refresh_format)
    grant = lab.session()
    ends_at = grant.session.ends_at
    assert grant.refresh_expires_in == 7 * DAY
    lab.travel(5 * DAY)
    grant = lab.refresh(grant.refresh_token)
    assert (grant.session.idle_until, grant.session.ends_at) == (ends_at, ends_at)
    assert (grant.refresh_expires_in, grant.expires_in) == (5 * DAY, 3600)
    lab.clock.micros = ends_at - 60 * SECOND
    grant = lab.refresh(grant.refresh_token)
    assert (grant.refresh_expires_in, grant.expires_in) == (60, 60)
    assert lab.principal(grant).expires_at == ends_at // SECOND


def test_a_session_replaced_a_moment_ago_is_told_to_try_again_and_later_to_sign_in(lab: Lab) -> None:
    """Attacks 32, 79; DESIGN §4.1: its jar already holds the tokens of the newer sign-in."""
    old = lab.session()
    lab.session(replaces=old.session.sid)
    lab.travel(WINDOW - 0.000001)
    assert code_of(lambda: lab.refresh(old.refresh_token)) == "refresh_superseded"
    lab.travel(0.000001)
    assert code_of(lambda: lab.refresh(old.refresh_token)) == "session_ended"


# --- races and the rest ---------------------------------------------------------------------------------------------


def test_a_lost_swap_is_decided_again_with_what_the_winner_left(lab: Lab) -> None:
    """Attack 36; W7; CVE-2026-1035: two at once are one Rotate and one Repeat."""
    grant = lab.session()
    won: list[str] = []
    lab.store.first["swap_session"] = [lambda: won.append(lab.refresh(grant.refresh_token).refresh_token)]
    assert lab.refresh(grant.refresh_token).refresh_token == won[0]
    assert lab.row(grant.session.sid).lineage.newest == 2


def test_after_sixteen_lost_swaps_a_refresh_gives_up_without_harm(lab: Lab) -> None:
    """F11; ASVS 16.5.2: 503 and Retry-After, the session untouched by it."""
    grant = lab.session()
    row = lab.row(grant.session.sid)

    def meddle() -> None:
        """Somebody else's write, after which this one has to rotate again."""
        current = lab.row(grant.session.sid)
        moved = replace(
            current.lineage, before=current.lineage.before + 1, parent=-current.lineage.parent - 1
        )
        lab.store._sessions[grant.session.sid] = replace(current, lineage=moved)

    lab.store.first["swap_session"] = [meddle] * 100
    with pytest.raises(Overloaded) as caught:
        lab.refresh(grant.refresh_token)
    assert caught.value.retry_after == 1
    assert len(lab.store.first["swap_session"]) == 100 - SWAPS == 84
    lab.store.first.clear()
    lab.store._sessions[grant.session.sid] = row
    assert code_of(lambda: lab.refresh(grant.refresh_token)) == "ok"


def test_what_is_written_is_what_the_client_looked_like(lab: Lab) -> None:
    """R16, R19, R25; W15: address, agent and time of the last use."""
    grant = lab.session()
    lab.travel(60)
    lab.refresh(grant.refresh_token, client=Client(AWAY.ip, "x" * 5000))
    row = lab.row(grant.session.sid)
    assert (row.ip, row.user_agent, row.last_used_at) == (AWAY.ip, "x" * MAX_USER_AGENT, lab.clock.now())
    assert row.lineage.context == Client(AWAY.ip, "x" * 5000).context
    assert (row.created_at, row.auth_time, row.amr) == (NOW, NOW, ("pwd",))


def test_a_repeat_from_elsewhere_is_counted_once_a_generation(lab: Lab) -> None:
    """DESIGN §4.1; ASVS 8.1.3: a crossing, written by a statement of its own."""
    first = lab.session()
    lab.refresh(first.refresh_token)
    lab.forget_log()
    lab.refresh(first.refresh_token, client=AWAY)
    lab.refresh(first.refresh_token, client=AWAY)
    lineage = lab.row(first.session.sid).lineage
    assert (lineage.crossings, lineage.crossed) == (1, 2)
    assert lab.log == ["record_crossing"]


def test_tokens_of_the_old_secret_are_rotated_onto_the_new_one(refresh_format: RefreshFormat) -> None:
    """F17; ASVS 13.3.4: rotating the secret signs nobody out, and in the end the old one can go."""
    old_secret, new_secret = "kX3vQz8LmN1pR6tYw0aBcDeFgHiJk-old", "Zq9-a-newer-secret-7uYtReWqAsDfGhJkL"
    old = lab_with_user(secret=old_secret, refresh_format=refresh_format)
    grant = old.session()
    for secret in (f"{old_secret},{new_secret}", f"{new_secret},{old_secret}", new_secret):
        lab = Lab(secret=secret, refresh_format=refresh_format)
        lab.clock.micros = old.clock.micros = old.clock.micros + 600 * SECOND
        lab.world = replace(lab.world, store=old.store)
        assert lab.principal(grant).sid == grant.session.sid
        grant = lab.refresh(grant.refresh_token)
    assert old.row(grant.session.sid).lineage.newest == 4


def test_an_apps_own_claims_are_asked_for_at_every_refresh(lab: Lab) -> None:
    """R2, R18; ASVS 8.3.2."""
    asked: list[str] = []

    def claims(user: object) -> dict[str, object]:
        asked.append(repr(user))
        return {"plan": len(asked)}

    lab.world = replace(lab.world, claims=claims)
    grant = lab.session()
    assert lab.principal(grant).claims == {"plan": 1}
    assert lab.principal(lab.refresh(grant.refresh_token)).claims == {"plan": 2}
    assert asked == [repr(lab.stored())] * 2


def test_a_grant_shows_no_token_in_its_repr(lab: Lab) -> None:
    """Attack 96; ASVS 16.2.5."""
    grant = lab.session()
    assert grant.access_token not in repr(grant)
    assert grant.refresh_token not in repr(grant)
    assert PASSWORD not in repr(grant)
    assert EMAIL not in repr(grant)


# --- proving again who one is ---------------------------------------------------------------------------------------


def test_reauthenticating_keeps_the_session_renews_auth_time_and_mints(lab: Lab) -> None:
    """ASVS 7.2.4, 7.5.1; DESIGN §4.1: mints as Branch does."""
    grant = lab.session()
    lab.travel(600)
    loaded = step(lab.store.load_session(grant.session.sid))
    assert loaded is not None
    lab.forget_log()
    fresh = step(password.reauthenticate(lab.world, loaded, PASSWORD, client=HOME))
    assert fresh.session.sid == grant.session.sid
    assert generation(fresh) == 2
    assert lab.principal(fresh).auth_time == lab.clock.now() // SECOND
    assert lab.principal(fresh).amr == ("pwd",), "a method is named once"
    assert lab.log == ["swap_session", "event reauthenticated"]
    assert lab.events[0].detail == "pwd"
    assert generation(lab.refresh(fresh.refresh_token)) == 2, "within the window the newest again"


def test_another_method_is_added_to_those_of_the_session(lab: Lab) -> None:
    """RFC 8176; ASVS 7.5.1."""
    loaded = step(lab.store.load_session(lab.session().session.sid))
    assert loaded is not None
    fresh = step(refresh.reauthenticate(lab.world, loaded, method="otp", client=HOME))
    assert lab.principal(fresh).amr == lab.row(fresh.session.sid).amr == ("pwd", "otp")


def test_a_wrong_password_renews_nothing(lab: Lab) -> None:
    """ASVS 6.3.8, 16.3.1: told as an attempt on this session."""
    grant = lab.session()
    loaded = step(lab.store.load_session(grant.session.sid))
    assert loaded is not None
    lab.forget_log()
    rows = lab.store.rows()
    assert code_of(lambda: step(password.reauthenticate(lab.world, loaded, "wrong", client=AWAY))) == (
        "invalid_credentials"
    )
    assert lab.store.rows() == rows
    assert [(event.name, event.sid, event.ip) for event in lab.events] == [
        ("sign_in_failed", grant.session.sid, AWAY.ip)
    ]


def test_a_refresh_token_from_before_a_proof_brings_what_the_newest_one_would(lab: Lab) -> None:
    """Decisions 1 and 11: an honest client whose answer was lost goes on; what this leaves open is said there."""
    old = lab.session()
    lab.travel(600)
    loaded = step(lab.store.load_session(old.session.sid))
    assert loaded is not None
    new = step(password.reauthenticate(lab.world, loaded, PASSWORD, client=HOME))
    again = lab.refresh(old.refresh_token)
    assert again.refresh_token == new.refresh_token
    assert lab.principal(again).auth_time == lab.principal(new).auth_time
    assert lab.principal(old).auth_time < lab.principal(new).auth_time


@pytest.mark.parametrize("name", ENDINGS)
def test_a_session_that_ends_while_it_is_reauthenticated_gets_no_token(lab: Lab, name: str) -> None:
    """Attacks 44, 45; I5."""
    grant = lab.session()
    loaded = step(lab.store.load_session(grant.session.sid))
    assert loaded is not None
    lab.store.first["swap_session"] = [lambda: ENDINGS[name](lab, grant.refresh_token)]
    lab.forget_log()
    assert (
        code_of(lambda: step(password.reauthenticate(lab.world, loaded, PASSWORD, client=HOME)))
        == "session_ended"
    )
    assert "reauthenticated" not in lab.facts


@pytest.mark.parametrize("name", ENDINGS)
def test_a_session_that_ended_while_the_password_was_checked_gets_no_token(lab: Lab, name: str) -> None:
    """Attacks 44, 45; I5: checking takes long enough for anything to happen."""
    grant = lab.session()
    loaded = step(lab.store.load_session(grant.session.sid))
    assert loaded is not None
    ENDINGS[name](lab, grant.refresh_token)
    assert (
        code_of(lambda: step(password.reauthenticate(lab.world, loaded, PASSWORD, client=HOME)))
        == "session_ended"
    )


def test_a_change_of_roles_while_the_password_is_checked_does_not_survive_it(lab: Lab) -> None:
    """Attack 45; ASVS 8.3.2."""
    step(users.set_roles(lab.world, lab.stored(), ["owner"]))
    lab.travel(2)
    loaded = step(lab.store.load_session(lab.session().session.sid))
    assert loaded is not None
    step(users.set_roles(lab.world, lab.stored(), []))
    lab.travel(1.5)
    fresh = step(refresh.reauthenticate(lab.world, loaded, method="otp", client=HOME))
    assert lab.principal(fresh).roles == ()


def test_a_refresh_in_between_only_makes_reauthenticating_try_again(lab: Lab) -> None:
    """Attack 36: two tabs, one of which refreshes."""
    grant = lab.session()
    loaded = step(lab.store.load_session(grant.session.sid))
    assert loaded is not None
    lab.store.first["swap_session"] = [lambda: lab.refresh(grant.refresh_token)]
    fresh = step(password.reauthenticate(lab.world, loaded, PASSWORD, client=HOME))
    assert generation(fresh) == 3
    assert lab.facts.count("reauthenticated") == 1


def test_a_session_that_is_refreshed_all_the_time_makes_reauthenticating_give_up(lab: Lab) -> None:
    """F11; ASVS 16.5.2."""
    grant = lab.session()
    loaded = step(lab.store.load_session(grant.session.sid))
    assert loaded is not None

    def meddle() -> None:
        current = lab.row(grant.session.sid)
        moved = replace(current.lineage, newest=current.lineage.newest + 1)
        lab.store._sessions[grant.session.sid] = replace(current, lineage=moved)

    lab.store.first["swap_session"] = [meddle] * SWAPS
    with pytest.raises(Overloaded):
        step(refresh.reauthenticate(lab.world, loaded, method="pwd", client=HOME))
    assert lab.facts == ["signed_in"]
