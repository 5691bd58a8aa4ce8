"""Sessions in one cookie, stepped: which token renews or opens what, what a use writes, and what ends them."""

from __future__ import annotations

from base64 import urlsafe_b64encode
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
    WINDOW,
    Lab,
    code_of,
    lab_with_user,
    step,
)
from watchword.core.session import End, Principal
from watchword.core.session_token import read
from watchword.errors import Unavailable
from watchword.features.password.flow import reauthenticate
from watchword.flows import users
from watchword.flows.end import Brought, holder, log_out, log_out_everywhere
from watchword.flows.grant import Grant
from watchword.flows.kept import SWAPS, look_up, renew
from watchword.settings import Mode
from watchword.storage.memory import MemoryStore

DAY = 86_400
both = pytest.mark.parametrize("mode", [Mode.JWT_COOKIE, Mode.SESSION])


def known(lab: Lab, grant: Grant) -> Principal:
    """What a rightly signed JWT says, expired or not."""
    return lab.world.access_tokens.verify(grant.access_token.encode(), lab.clock.now())


def renewed(lab: Lab, grant: Grant) -> Grant:
    return step(renew(lab.world, known(lab, grant), client=HOME))


def use(lab: Lab, grant: Grant) -> Grant:
    """A use of the cookie as the guard makes it when nothing is cached."""
    if grant.session.mode is Mode.SESSION:
        return step(look_up(lab.world, grant.access_token.encode(), client=HOME))[1]
    return renewed(lab, grant)


def step_up(lab: Lab, grant: Grant) -> Grant:
    loaded = step(lab.store.load_session(grant.session.sid))
    assert loaded is not None
    return step(reauthenticate(lab.world, loaded, PASSWORD, client=HOME))


def brought(grant: Grant) -> Brought:
    raw = grant.access_token.encode()
    return Brought(session=raw) if grant.session.mode is Mode.SESSION else Brought(jwt=raw)


@both
def test_a_session_in_one_cookie_has_no_refresh_token(mode: Mode) -> None:
    """R45, R46: one token, and its life is told."""
    lab = lab_with_user()
    grant = lab.session(mode=mode)
    assert grant.refresh_token == ""
    assert grant.refresh_expires_in == 7 * DAY
    assert grant.expires_in == (900 if mode is Mode.JWT_COOKIE else 7 * DAY)


@both
def test_no_repr_of_a_grant_shows_its_token(mode: Mode) -> None:
    """Attack 96; ASVS 16.2.5: nor does that of what a request brings."""
    lab = lab_with_user()
    grant = lab.session(mode=mode)
    for shown in (grant, use(lab, grant), brought(grant), grant.session):
        assert grant.access_token not in repr(shown)
        assert grant.access_token.rpartition(".")[2] not in repr(shown)
        assert repr(grant.session.seed) not in repr(shown)


def test_an_expired_jwt_of_a_live_session_is_renewed_with_what_the_row_says() -> None:
    """R10, R45: days later; new life, new roles, same session."""
    lab = lab_with_user()
    grant = lab.session(mode=Mode.JWT_COOKIE)
    lab.travel(6 * DAY)
    step(users.set_roles(lab.world, lab.stored(), ["owner"]))
    again = renewed(lab, grant)
    principal = lab.principal(again)
    assert (principal.sid, principal.roles) == (grant.session.sid, ("owner",))
    assert (again.expires_in, again.refresh_expires_in) == (900, 7 * DAY)
    assert principal.auth_time == NOW // SECOND


def test_an_opaque_token_speaks_for_its_user_as_a_jwt_would() -> None:
    """R46: the two principals differ in nothing but their instants."""
    lab = lab_with_user(access_claims="email")
    step(users.set_roles(lab.world, lab.stored(), ["owner", "team:7"]))
    jwt = lab.principal(lab.session(mode=Mode.JWT_COOKIE))
    grant = lab.session(mode=Mode.SESSION)
    principal, again, extended = step(look_up(lab.world, grant.access_token.encode(), client=HOME))
    instants = {"issued_at": 0, "expires_at": 0, "sid": ""}
    assert replace(principal, **instants) == replace(jwt, **instants)  # type: ignore[arg-type]
    assert (again.access_token, extended) == (grant.access_token, False)


@both
def test_past_its_idle_time_a_session_has_ended(mode: Mode) -> None:
    """ASVS 7.3.1: to the microsecond, and nothing is written."""
    for seconds, code in ((7 * DAY - 0.000001, "ok"), (7 * DAY, "session_ended")):
        lab = lab_with_user()
        grant = lab.session(mode=mode)
        lab.travel(seconds)
        before = lab.store.rows()
        assert code_of(lambda: use(lab, grant)) == code  # noqa: B023 - called at once
        assert (lab.store.rows() == before) is (code != "ok")


@both
def test_use_slides_the_idle_time_but_never_past_the_absolute_end(mode: Mode) -> None:
    """ASVS 7.1.1, 7.3.1, 7.3.2; W15: used every six days it ends after thirty all the same."""
    lab = lab_with_user()
    grant = lab.session(mode=mode)
    for day in (6, 12, 18, 24):
        lab.travel(6 * DAY)
        grant = use(lab, grant)
        assert grant.refresh_expires_in == min(7, 30 - day) * DAY
    lab.travel(6 * DAY - 0.000001)
    last = use(lab, grant)
    assert last.refresh_expires_in == 0
    assert lab.row(grant.session.sid).idle_until == lab.row(grant.session.sid).ends_at
    lab.travel(0.000001)
    assert code_of(lambda: use(lab, last)) == "session_ended"


@both
def test_a_use_is_noted_at_most_once_a_minute(mode: Mode) -> None:
    """R46: ten hours of a request a second would be 36,000 writes otherwise."""
    lab = lab_with_user()
    grant = lab.session(mode=mode)
    lab.forget_log()
    for _ in range(600):
        lab.travel(1)
        use(lab, grant)
    assert lab.log == ["swap_session"] * 10
    assert lab.row(grant.session.sid).last_used_at == lab.clock.now()


@both
def test_a_short_idle_time_is_noted_more_often(mode: Mode) -> None:
    """ASVS 7.3.1: who is at work is not signed out because his use was not written down."""
    lab = lab_with_user(access_ttl="30s", refresh_ttl="1m", rotation_window="0s")
    grant = lab.session(mode=mode)
    for _ in range(30):
        lab.travel(10)
        grant = use(lab, grant)
    assert lab.row(grant.session.sid).idle_until == lab.clock.now() + 60 * SECOND


@both
def test_a_note_says_from_where_the_session_was_used(mode: Mode) -> None:
    """ASVS 7.5.2, W15: what the list of devices shows."""
    lab = lab_with_user()
    grant = lab.session(mode=mode)
    lab.travel(61)
    if mode is Mode.SESSION:
        step(look_up(lab.world, grant.access_token.encode(), client=AWAY))
    else:
        step(renew(lab.world, known(lab, grant), client=AWAY))
    row = lab.row(grant.session.sid)
    assert (row.ip, row.user_agent) == (AWAY.ip, AWAY.user_agent)


ENDINGS: dict[str, tuple[Callable[[Lab, Grant], object], str]] = {
    "revoked": (lambda lab, grant: step(lab.auth.sessions.revoke(grant.session.sid)), "session_ended"),
    "all revoked": (lambda lab, grant: step(lab.auth.sessions.revoke_all(EMAIL)), "session_ended"),
    "disabled": (lambda lab, grant: step(lab.auth.users.disable(EMAIL)), "session_ended"),
    "deleted": (lambda lab, grant: step(lab.auth.users.delete(EMAIL)), "invalid_token"),
}


@both
@pytest.mark.parametrize("how", ENDINGS)
def test_nothing_of_an_ended_session_is_renewed(mode: Mode, how: str) -> None:
    """ASVS 7.4.1, 7.4.2: a JWT is rightly signed even if the row is gone, so its session has ended."""
    lab = lab_with_user()
    grant = lab.session(mode=mode)
    end, code = ENDINGS[how]
    end(lab, grant)
    lab.travel(61)
    lab.forget_log()
    assert code_of(lambda: use(lab, grant)) == ("session_ended" if mode is Mode.JWT_COOKIE else code)
    assert lab.log == []


@both
def test_a_session_that_ends_while_its_use_is_noted_has_ended(mode: Mode) -> None:
    """ASVS 7.4.1: the compare-and-swap demands a live session."""
    lab = lab_with_user()
    grant = lab.session(mode=mode)
    lab.travel(61)
    lab.store.first["swap_session"] = [lambda: step(lab.auth.sessions.revoke(grant.session.sid))]
    assert code_of(lambda: use(lab, grant)) == "session_ended"


@both
def test_a_use_that_meets_a_step_up_does_not_undo_it(mode: Mode) -> None:
    """ASVS 7.5.1: the lost swap reads again."""
    lab = lab_with_user()
    grant = lab.session(mode=mode)
    lab.travel(600)
    lab.store.first["swap_session"] = [lambda: step_up(lab, grant)]
    assert use(lab, grant).session.auth_time == lab.clock.now()
    assert lab.row(grant.session.sid).auth_time == lab.clock.now()


@both
def test_a_row_that_never_stands_still_is_an_overload(mode: Mode) -> None:
    """ASVS 16.5.2: no endless loop."""
    lab = lab_with_user()
    grant = lab.session(mode=mode)

    def another() -> None:
        row = lab.row(grant.session.sid)
        after = replace(row, lineage=replace(row.lineage, newest=row.lineage.newest + 1))
        assert step(MemoryStore.swap_session(lab.store, row, after))

    lab.travel(61)
    lab.store.first["swap_session"] = [another] * SWAPS
    assert code_of(lambda: use(lab, grant)) == "overloaded"


@pytest.mark.parametrize("mode", [Mode.COOKIES, Mode.HYBRID, Mode.BEARER])
def test_a_jwt_of_a_session_that_rotates_is_never_renewed_without_its_refresh_token(mode: Mode) -> None:
    """DESIGN §5: a session that begins in a mode ends in it; and its use is not noted."""
    lab = lab_with_user()
    grant = lab.session(mode=mode)
    lab.travel(DAY)
    before = lab.store.rows()
    assert code_of(lambda: renewed(lab, grant)) == "token_expired"
    assert lab.store.rows() == before


@pytest.mark.parametrize("mode", [mode for mode in Mode if mode is not Mode.SESSION])
def test_no_other_sessions_tag_opens_in_mode_session(mode: Mode) -> None:
    """DESIGN §5, attack 19: not even a token that would be right, had its session begun in that mode."""
    lab = lab_with_user()
    session = lab.session(mode=mode).session
    token = lab.world.session_tokens.mint(session.sid, 1, session.seed).encode()
    assert code_of(lambda: step(look_up(lab.world, token, client=HOME))) == "invalid_token"


def test_a_stranger_who_knows_a_sid_can_do_nothing() -> None:
    """Attacks 39, 40: a tag of another session, another row, another installation; no row is touched."""
    lab, other = lab_with_user(), lab_with_user(secret="Zq9-another-environment-7uYtReWqAsDfGhJkL")
    mine, second = lab.session(mode=Mode.SESSION), lab.session(mode=Mode.SESSION)
    before = lab.store.rows()
    lab.travel(61)
    sid, seed = mine.session.sid, mine.session.seed
    for token in (
        lab.world.session_tokens.mint(sid, 1, second.session.seed),
        lab.world.session_tokens.mint(second.session.sid, 1, seed),
        lab.world.session_tokens.mint(sid, 1, bytes(32)),
        other.world.session_tokens.mint(sid, 1, seed),
        other.session(mode=Mode.SESSION).access_token,
        sid,
        "",
    ):
        assert code_of(lambda: step(look_up(lab.world, token.encode(), client=HOME))) == "invalid_token"  # noqa: B023 - called at once
    assert lab.store.rows() == before


def test_a_jwt_of_one_user_does_not_renew_the_session_of_another() -> None:
    """Attack 15: sub and sid must belong together, whoever signed them."""
    lab = lab_with_user()
    lab.user("eve@example.com")
    grant, eve = lab.session(mode=Mode.JWT_COOKIE), lab.session("eve@example.com", mode=Mode.JWT_COOKIE)
    mixed = replace(known(lab, eve), sid=grant.session.sid)
    assert code_of(lambda: step(renew(lab.world, mixed, client=HOME))) == "session_ended"


# Stepping up


def test_a_step_up_brings_a_new_opaque_token_and_the_old_one_dies_once_it_is_used() -> None:
    """ASVS 7.2.4: whoever copied the cookie before does not share in the proof; requests under way are served."""
    lab = lab_with_user()
    old = lab.session(mode=Mode.SESSION)
    lab.travel(600)
    new = step_up(lab, old)
    assert new.session.sid == old.session.sid
    assert new.access_token != old.access_token
    assert use(lab, old).access_token == old.access_token, (
        "the answer may be lost, and nobody is given the new one"
    )
    assert use(lab, new).access_token == new.access_token
    lab.travel(WINDOW - 1)
    assert use(lab, old).access_token == old.access_token
    lab.travel(1)
    before = lab.store.rows()
    lab.travel(61)
    assert code_of(lambda: use(lab, old)) == "invalid_token"
    assert lab.store.rows() == before
    assert code_of(lambda: use(lab, new)) == "ok"


def test_a_jwt_from_before_a_step_up_is_renewed_until_one_from_after_it_was() -> None:
    """ASVS 7.2.4: the same, the generation being a claim."""
    lab = lab_with_user()
    old = lab.session(mode=Mode.JWT_COOKIE)
    lab.travel(600)
    new = step_up(lab, old)
    assert code_of(lambda: renewed(lab, old)) == "ok"
    assert code_of(lambda: renewed(lab, new)) == "ok"
    lab.travel(WINDOW)
    assert code_of(lambda: renewed(lab, old)) == "invalid_token"
    assert code_of(lambda: renewed(lab, new)) == "ok"


def test_two_first_uses_of_a_new_token_at_once_both_succeed() -> None:
    """W16: whoever loses the swap reads that the token was taken up already."""
    lab = lab_with_user()
    new = step_up(lab, lab.session(mode=Mode.SESSION))
    lab.store.first["swap_session"] = [lambda: use(lab, new)]
    lab.forget_log()
    assert use(lab, new).access_token == new.access_token
    assert lab.log == ["swap_session"] * 2
    assert lab.row(new.session.sid).lineage.parent == 1


@both
def test_a_step_up_whose_answer_is_lost_signs_nobody_out(mode: Mode) -> None:
    """Promise 1: the cookie in the jar stays good, however late."""
    lab = lab_with_user()
    grant = lab.session(mode=mode)
    step_up(lab, grant)
    step_up(lab, grant)
    for _ in range(20):
        lab.travel(DAY)
        grant = use(lab, grant)


def test_a_token_is_set_again_under_the_key_of_today() -> None:
    """ASVS 13.3.4, F17: so the old secret can be taken away once every cookie was noted."""
    lab = lab_with_user()
    grant = lab.session(mode=Mode.SESSION)
    secrets = f"Nq7-tomorrows-secret-4bVcXzLkJhGfDsApOiU,{lab.auth.settings.secret[0]}"
    world = replace(Lab(secret=secrets).world, store=lab.store, clock=lab.clock)
    lab.travel(61)
    _, again, extended = step(look_up(world, grant.access_token.encode(), client=HOME))
    assert extended
    assert again.access_token != grant.access_token
    before, after = read(grant.access_token.encode()), read(again.access_token.encode())
    assert before is not None
    assert after is not None
    assert (before.sid, before.generation) == (after.sid, after.generation)
    assert code_of(lambda: step(look_up(world, again.access_token.encode(), client=HOME))) == "ok"


# Ending


@both
def test_logging_out_ends_the_session_of_the_cookie_expired_or_not(mode: Mode) -> None:
    """R7, R47, ASVS 7.4.1: W15, logout does not leave the server's half alive."""
    lab = lab_with_user()
    grant = lab.session(mode=mode)
    lab.travel(3 * DAY)
    assert step(log_out(lab.world, brought(grant), ip=HOME.ip))
    assert lab.row(grant.session.sid).end is End.LOGOUT
    assert code_of(lambda: use(lab, grant)) == "session_ended"
    assert not step(log_out(lab.world, brought(grant), ip=HOME.ip)), "nothing is left to end"


@both
def test_logging_out_everywhere_takes_a_cookie_that_could_still_renew(mode: Mode) -> None:
    """ASVS 7.4.1: an expired JWT can; a token of an ended session, or from before a step-up, ends its own at most."""
    lab = lab_with_user()
    grant, other = lab.session(mode=mode), lab.session(mode=mode)
    lab.travel(3 * DAY)
    assert step(log_out_everywhere(lab.world, brought(grant), ip=HOME.ip)) == 2
    assert lab.row(other.session.sid).end is End.LOGOUT
    third = lab.session(mode=mode)
    assert step(log_out_everywhere(lab.world, brought(grant), ip=HOME.ip)) == 0
    assert lab.row(third.session.sid).end is None


@both
@pytest.mark.parametrize("seconds", [0, WINDOW, DAY])
def test_a_token_from_before_a_step_up_logs_out_its_own_session_alone(mode: Mode, seconds: int) -> None:
    """Attack 66 in spirit, ASVS 7.5.1: who copied it once does not sign its owner out of everything."""
    lab = lab_with_user()
    old, other = lab.session(mode=mode), lab.session(mode=mode)
    new = step_up(lab, old)
    use(lab, new)
    lab.travel(seconds)
    assert step(log_out_everywhere(lab.world, brought(old), ip=HOME.ip)) == 1
    assert lab.row(other.session.sid).end is None
    third = lab.session(mode=mode)
    newer = step_up(lab, third)
    use(lab, newer)
    assert step(log_out_everywhere(lab.world, brought(newer), ip=HOME.ip)) == 2


def test_a_forged_session_token_gains_another_token_of_its_session_nothing() -> None:
    """ASVS 7.5.1, attack 39: whatever a session was found by, each token must be genuine by itself."""
    lab = lab_with_user()
    grant, other = lab.session(mode=Mode.SESSION), lab.session(mode=Mode.SESSION)
    sid, now = grant.session.sid, lab.clock.now() // SECOND
    signed = lab.world.access_tokens.issue(
        user_id=grant.user.id,
        sid=sid,
        jti="n0nce",
        roles=(),
        amr=("pwd",),
        auth_time=now,
        issued_at=now,
        ends_at=now + 1,
    )
    lab.travel(60)
    forged = lab.world.session_tokens.mint(sid, 7, bytes(32)).encode()
    mixed = Brought(session=forged, access=signed.encode())
    assert step(log_out_everywhere(lab.world, mixed, ip=HOME.ip)) == 1
    assert lab.row(other.session.sid).end is None


@pytest.mark.parametrize("prefix", ["wws_", "wwr_"])
def test_a_token_under_a_key_that_is_not_ours_costs_no_look_at_the_database(prefix: str) -> None:
    """Attacks 38, 39: anybody can write one for every request."""
    lab = lab_with_user()
    made_up = prefix + urlsafe_b64encode(b"\x01" + bytes(3) + bytes(range(56))).decode()

    async def load(sid: str) -> None:
        raise AssertionError(sid)

    lab.store.load_session = load  # type: ignore[method-assign]
    assert code_of(lambda: step(look_up(lab.world, made_up.encode(), client=HOME))) == "invalid_token"
    assert code_of(lambda: lab.refresh(made_up)) == "invalid_token"
    assert step(holder(lab.world, Brought(refresh=made_up, session=made_up.encode()))) is None


def test_a_planted_jwt_does_not_keep_a_session_alive() -> None:
    """Attack 25: garbage, or somebody's token of another mode, in the cookie beside a good access token."""
    lab = lab_with_user()
    lab.user("eve@example.com")
    eve = lab.session("eve@example.com", mode=Mode.BEARER)
    for planted in (b"garbage", eve.access_token.encode()):
        grant = lab.session(mode=Mode.COOKIES)
        both_cookies = Brought(access=grant.access_token.encode(), jwt=planted)
        assert step(log_out(lab.world, both_cookies, ip=HOME.ip))
        assert lab.row(grant.session.sid).end is End.LOGOUT
    assert lab.row(eve.session.sid).end is None


def test_an_access_token_in_the_cookie_of_mode_jwt_cookie_names_no_session_to_replace() -> None:
    """Attack 40: it could renew nothing there, so a sign-in with it in the jar ends nobody's session."""
    lab = lab_with_user()
    for mode in (Mode.COOKIES, Mode.HYBRID, Mode.BEARER):
        grant = lab.session(mode=mode)
        assert step(holder(lab.world, Brought(jwt=grant.access_token.encode()))) is None


@both
def test_without_a_database_nothing_is_renewed_and_nothing_else_is_said(mode: Mode) -> None:
    """ASVS 16.5.3: Unavailable goes through as it is."""
    lab = lab_with_user()
    grant = lab.session(mode=mode)

    def away() -> None:
        raise Unavailable

    lab.store.first["load_session"] = [away]
    assert code_of(lambda: use(lab, grant)) == "unavailable"
    lab.travel(61)
    lab.store.first["swap_session"] = [away]
    assert code_of(lambda: use(lab, grant)) == "unavailable"
