"""Proving by a code that it is still the user who is signed in: what it is bound to, its budgets, and for whom it
proves nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.flows.stepping import AWAY, EMAIL, HOME, NOW, PASSWORD, SECOND, Lab, code_of, lab_with_user, step
from watchword.core.challenge import CODES_AN_HOUR, LIFE, TRIES, TRIES_A_DAY
from watchword.core.factor import Factor, Method
from watchword.core.session import Client, End
from watchword.core.user import Status
from watchword.features.password import flow as password
from watchword.flows import proof, users
from watchword.flows.end import end_one
from watchword.flows.grant import Grant
from watchword.flows.live import check_fresh, load_live
from watchword.ports import LoadedSession
from watchword.settings import Mode

OTHER = "eve@example.com"
FULL_WIDTH = "".join(chr(0xFEE0 + ord(digit)) for digit in "123456")


def loaded(lab: Lab, grant: Grant) -> LoadedSession:
    found = step(lab.store.load_session(grant.session.sid))
    assert found is not None
    return found


def ask(lab: Lab, grant: Grant, client: Client = HOME) -> int:
    return step(proof.ask(lab.world, loaded(lab, grant), client=client))


def prove(lab: Lab, grant: Grant, code: str | None = None, client: Client = HOME) -> Grant:
    found = loaded(lab, grant)
    return step(proof.prove(lab.world, found, lab.code if code is None else code, client=client))


def other_than(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06d}"


def wrong(lab: Lab, grant: Grant) -> str:
    return code_of(lambda: prove(lab, grant, other_than(lab.code)))


@pytest.mark.parametrize("mode", list(Mode))
def test_a_right_code_renews_the_proof_of_the_same_session(lab: Lab, mode: Mode) -> None:
    """DESIGN §5: auth_time, and `otp` beside what was proved at sign-in; old tokens go on as they were."""
    here = lab.session(mode=mode)
    lab.travel(600)
    assert ask(lab, here) == 600
    [(mail, payload)] = lab.mails
    assert (mail.to, mail.kind) == (EMAIL, "proof")
    assert payload == {"code": lab.code, "device": "Unknown device", "ip": HOME.ip, "minutes": 10}
    lab.forget_log()
    again = prove(lab, here)
    row = lab.row(here.session.sid)
    assert again.session.sid == here.session.sid
    assert (row.auth_time, row.amr, row.ended_at) == (lab.clock.now(), ("pwd", "otp"), None)
    assert lab.log == ["attempt_challenge", "redeem_proof", "event reauthenticated"]
    assert lab.hasher.calls == []
    if mode is not Mode.SESSION:
        principal = lab.principal(again)
        check_fresh(principal, step(load_live(lab.world, principal)), 300)
    assert lab.guard(here) == lab.guard(again)


def test_a_code_is_good_once(lab: Lab) -> None:
    """Attack 54; ASVS 6.5.1."""
    here = lab.session()
    ask(lab, here)
    prove(lab, here)
    before = lab.store.rows()
    assert code_of(lambda: prove(lab, here)) == "challenge_expired"
    assert lab.store.rows() == before


@pytest.mark.parametrize("whose", ["another session", "another user", "nobody asked"])
def test_a_code_is_worth_nothing_in_another_session(lab: Lab, whose: str) -> None:
    """Attack 54: bound to the session that asked, as a sign-in's is to its browser."""
    here = lab.session()
    ask(lab, here)
    code = lab.code
    if whose == "another user":
        lab.user(OTHER)
        there = lab.session(OTHER, client=AWAY)
    else:
        there = lab.session(client=AWAY)
    if whose != "nobody asked":
        ask(lab, there)
        assert code_of(lambda: prove(lab, there, code)) == "code_invalid"
    else:
        assert code_of(lambda: prove(lab, there, code)) == "challenge_expired"
    assert lab.row(there.session.sid).amr == ("pwd",)
    assert prove(lab, here, code).session.sid == here.session.sid


def test_a_login_code_proves_nothing_and_a_proof_signs_nobody_in() -> None:
    """Attack 54: each kind is good for itself."""
    lab = lab_with_user(two_factor="optional")
    here = lab.session()
    ask(lab, here)
    proved = lab.code
    step(
        lab.store.add_factor(Factor("f", lab.stored().id, Method.EMAIL, NOW), now=NOW, keep=here.session.sid)
    )
    begun = lab.waiting(client=AWAY)
    code = lab.code
    assert code_of(lambda: lab.try_code(begun.token, other_than(code) if proved == code else proved)) != "ok"
    assert code_of(lambda: prove(lab, here, code)) == "forbidden"


def test_five_tries_and_asking_again_gives_no_more(lab: Lab) -> None:
    """Attacks 55, 56."""
    here = lab.session()
    ask(lab, here)
    for _ in range(TRIES - 1):
        assert wrong(lab, here) == "code_invalid"
    lab.travel(30)
    ask(lab, here)
    assert wrong(lab, here) == "code_invalid"
    assert code_of(lambda: prove(lab, here)) == "too_many_attempts"
    lab.travel(30)
    assert code_of(lambda: ask(lab, here)) == "too_many_attempts"
    assert lab.row(here.session.sid).amr == ("pwd",)


def test_twenty_tries_a_day_of_all_sessions(lab: Lab) -> None:
    """Attack 51: then no code is sent either."""
    for _ in range(TRIES_A_DAY // TRIES):
        here = lab.session()
        ask(lab, here)
        for _ in range(TRIES):
            assert wrong(lab, here) == "code_invalid"
    there = lab.session()
    sent = len(lab.mails)
    assert code_of(lambda: ask(lab, there)) == "too_many_attempts"
    assert len(lab.mails) == sent


def test_another_code_after_half_a_minute_and_the_old_one_is_dead(lab: Lab) -> None:
    """Attacks 54, 55."""
    here = lab.session()
    ask(lab, here)
    first = lab.code
    lab.travel(29)
    assert code_of(lambda: ask(lab, here)) == "rate_limited"
    lab.travel(1)
    ask(lab, here)
    if first != lab.code:
        assert code_of(lambda: prove(lab, here, first)) == "code_invalid"
    prove(lab, here)


def test_ten_codes_an_hour_whatever_they_are_for(lab: Lab) -> None:
    """Attack 55: no mailbox is flooded."""
    for _ in range(CODES_AN_HOUR):
        ask(lab, lab.session())
    assert code_of(lambda: ask(lab, lab.session())) == "rate_limited"
    assert len(lab.mails) == CODES_AN_HOUR


@pytest.mark.parametrize("late", [600, -120])
def test_a_code_outlives_no_ten_minutes_and_no_clock_revives_it(lab: Lab, late: int) -> None:
    """Attack 63: nor does one that was sent in what is now the future count."""
    here = lab.session()
    ask(lab, here)
    lab.travel(late)
    assert code_of(lambda: prove(lab, here)) == "challenge_expired"
    if late > 0:
        lab.travel(-late // 2)
        ask(lab, here)


def test_asked_for_again_it_lives_no_longer_than_a_login(lab: Lab) -> None:
    """DESIGN §4.5: fifteen minutes from the first, as R39's cookie."""
    here = lab.session()
    ask(lab, here)
    lab.travel(590)
    assert ask(lab, here) == LIFE // SECOND - 590
    lab.travel(LIFE // SECOND - 591)
    prove(lab, here)


@pytest.mark.parametrize("code", ["12345", "1234567", " 123456", "+12345", FULL_WIDTH, "1e5", ""])
def test_what_is_no_code_is_no_try(lab: Lab, code: str) -> None:
    """Attack 57."""
    here = lab.session()
    ask(lab, here)
    before = lab.store.rows()
    assert code_of(lambda: prove(lab, here, code)) == "invalid_request"
    assert lab.store.rows() == before


@pytest.mark.parametrize("setting", ["optional", "required", "off"])
def test_a_code_proves_nothing_for_whose_sign_in_takes_one(setting: str) -> None:
    """Attack 59: a stolen session and the mailbox do not turn off the step through that mailbox. The password does."""
    lab = lab_with_user(two_factor="optional" if setting == "off" else setting)
    if setting == "required":
        here = lab.try_code(lab.waiting().token)
    else:
        here = lab.session()
        factor = Factor("f", lab.stored().id, Method.EMAIL, NOW)
        step(lab.store.add_factor(factor, now=NOW, keep=here.session.sid))
    sent = len(lab.mails)
    assert code_of(lambda: ask(lab, here)) == "forbidden"
    assert code_of(lambda: prove(lab, here, "123456")) == "forbidden"
    assert len(lab.mails) == sent
    step(password.reauthenticate(lab.world, loaded(lab, here), PASSWORD, client=HOME))


def test_turned_on_in_between_the_code_on_its_way_is_worth_nothing() -> None:
    """Attack 59: at the last instant, too."""
    lab = lab_with_user(two_factor="optional")
    here = lab.session()
    ask(lab, here)

    def turned_on() -> None:
        factor = Factor("f", lab.stored().id, Method.EMAIL, NOW)
        step(lab.store.add_factor(factor, now=NOW, keep=here.session.sid))

    lab.store.first["redeem_proof"] = [turned_on]
    assert code_of(lambda: prove(lab, here)) == "forbidden"
    assert lab.row(here.session.sid).amr == ("pwd",)


def test_who_has_not_verified_the_address_is_sent_no_code(lab: Lab) -> None:
    here = lab.session()
    user = lab.stored()
    values = {name: getattr(user, name) for name in user.__slots__} | {"email_verified": False}
    lab.store._users[user.id] = type(user)(**values)
    assert code_of(lambda: ask(lab, here)) == "forbidden"
    assert lab.mails == []


@pytest.mark.parametrize("what", ["password", "disabled"])
def test_no_code_outlives_a_new_password_or_status(lab: Lab, what: str) -> None:
    """Attack 77."""
    here = lab.session()
    found = loaded(lab, here)
    ask(lab, here)
    code, user = lab.code, lab.stored()
    meanwhile: dict[str, Callable[[], object]] = {
        "password": lambda: step(password.change(lab.world, found, PASSWORD, "another engine", client=HOME)),
        "disabled": lambda: step(users.set_status(lab.world, user, Status.DISABLED)),
    }
    meanwhile[what]()
    assert code_of(lambda: step(proof.prove(lab.world, found, code, client=HOME))) == "challenge_expired"


def test_a_session_that_has_ended_in_between_proves_nothing(lab: Lab) -> None:
    """Attack 45: revoked between the right code and the write."""
    here = lab.session()
    ask(lab, here)
    user_id = lab.stored().id
    lab.store.first["redeem_proof"] = [
        lambda: step(end_one(lab.world, here.session.sid, End.REVOKED, user_id=user_id))
    ]
    assert code_of(lambda: prove(lab, here)) == "session_ended"
    assert lab.row(here.session.sid).auth_time == here.session.auth_time


def test_a_refresh_in_between_does_not_cost_the_code(lab: Lab) -> None:
    """The write is tried again with the session as it is then."""
    here = lab.session()
    ask(lab, here)
    lab.store.first["redeem_proof"] = [lambda: lab.refresh(here.refresh_token)]
    assert prove(lab, here).session.amr == ("pwd", "otp")


def test_of_two_right_codes_at_once_one_counts(lab: Lab) -> None:
    """Attack 53."""
    here = lab.session()
    ask(lab, here)
    code = lab.code
    lab.store.first["redeem_proof"] = [lambda: prove(lab, here, code)]
    assert code_of(lambda: prove(lab, here, code)) == "challenge_expired"
    assert lab.facts.count("reauthenticated") == 1


def test_the_message_says_what_the_code_is_for(lab: Lab) -> None:
    """Attack 61: somebody who is signed in already, and from where; no link that leads anywhere."""
    ask(lab, lab.session(), client=Client("198.51.100.9", "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"))
    mail, payload = lab.mails[0]
    letter = lab.world.letters.write(mail, payload)
    for text in (letter.text, letter.html):
        assert lab.code in text
        assert "signed in" in text
        assert "Firefox on Linux, from 198.51.100.9" in text
        assert "://" not in text
