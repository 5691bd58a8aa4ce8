"""Sessions in one cookie after a step-up: a copy of the cookie from before has no part in it, and comes to nothing."""

from __future__ import annotations

from tests.flows.stepping import HOME, SECOND, WINDOW, Lab, code_of, lab_with_user, step
from tests.flows.test_kept import both, renewed, step_up, use
from watchword.core.session import Principal
from watchword.flows.grant import Grant
from watchword.flows.kept import look_up
from watchword.flows.live import demand
from watchword.flows.refresh import reauthenticate
from watchword.settings import Mode


def seen(lab: Lab, grant: Grant) -> Principal:
    """Whom a guard sees who looks a cookie up, or renews it."""
    if grant.session.mode is Mode.SESSION:
        return step(look_up(lab.world, grant.access_token.encode(), client=HOME))[0]
    return lab.principal(renewed(lab, grant))


def fresh(lab: Lab, grant: Grant) -> str:
    return code_of(lambda: step(demand(lab.world, seen(lab, grant), fresh=300)))


@both
def test_a_cookie_copied_before_a_step_up_has_no_part_in_it(mode: Mode) -> None:
    """ASVS 7.2.4, 7.5.1: looked up or renewed, before the new one is used and in the window after, again and again."""
    lab = lab_with_user()
    stolen = lab.session(mode=mode)
    signed_in_at = lab.clock.now() // SECOND
    lab.travel(600)
    new = step_up(lab, stolen)
    for use_new in (False, True):
        if use_new:
            assert fresh(lab, new) == "ok"
        copy = stolen
        for _ in range(3):
            lab.travel(1)
            assert fresh(lab, copy) == "reauthentication_required"
            assert seen(lab, copy).auth_time == signed_in_at
            copy = use(lab, copy)
            assert not copy.newest
    assert fresh(lab, use(lab, new)) == "ok"
    assert use(lab, new).newest


@both
def test_a_dead_cookie_stays_dead_at_the_next_step_up(mode: Mode) -> None:
    """ASVS 7.2.4: its generation is told, not guessed."""
    lab = lab_with_user()
    stolen = lab.session(mode=mode)
    lab.travel(600)
    mine = use(lab, step_up(lab, stolen))
    copies = [stolen, use(lab, stolen)]
    lab.travel(WINDOW)
    assert [code_of(lambda: use(lab, copy)) for copy in copies] == ["invalid_token"] * 2  # noqa: B023 - called at once
    mine = step_up(lab, use(lab, mine))
    assert [code_of(lambda: use(lab, copy)) for copy in copies] == ["invalid_token"] * 2  # noqa: B023 - called at once
    assert fresh(lab, mine) == "ok"
    assert [code_of(lambda: use(lab, copy)) for copy in copies] == ["invalid_token"] * 2  # noqa: B023 - called at once


@both
def test_a_second_proof_is_not_for_the_cookie_of_the_first(mode: Mode) -> None:
    """ASVS 7.5.1: while the second one's answer is under way."""
    lab = lab_with_user()
    first = step_up(lab, lab.session(mode=mode))
    assert fresh(lab, first) == "ok"
    lab.travel(600)
    second = step_up(lab, first)
    assert fresh(lab, first) == "reauthentication_required"
    assert fresh(lab, second) == "ok"


def test_a_jwt_from_before_a_step_up_does_not_gain_its_method() -> None:
    """ASVS 6.8.4: `amr` says what its holder has shown."""
    lab = lab_with_user()
    old = lab.session(mode=Mode.JWT_COOKIE)
    loaded = step(lab.store.load_session(old.session.sid))
    assert loaded is not None
    new = step(reauthenticate(lab.world, loaded, method="otp", client=HOME))
    assert seen(lab, old).amr == ("pwd",)
    assert seen(lab, new).amr == ("pwd", "otp")


def test_only_a_jwt_that_renews_itself_tells_its_generation() -> None:
    """R45: to any other a generation means nothing, as its refresh token is what renews it."""
    lab = lab_with_user()
    told = {
        mode: lab.principal(lab.session(mode=mode)).generation for mode in Mode if mode is not Mode.SESSION
    }
    assert told == {Mode.COOKIES: None, Mode.HYBRID: None, Mode.BEARER: None, Mode.JWT_COOKIE: 1}
