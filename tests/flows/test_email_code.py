"""A login with a second step by email: what is written when, what a code is good for, and how often."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.flows.stepping import AWAY, EMAIL, HOME, NOW, PASSWORD, SECOND, Lab, code_of, lab_with_user, step
from watchword.auth import Watchword
from watchword.core.challenge import LIFE, REMEMBERED, TRIES, Codes, Kind, digest_of
from watchword.core.factor import Factor, Method
from watchword.core.keys import KeyRing
from watchword.core.mail import Seals
from watchword.core.session import Client, End
from watchword.core.user import Status
from watchword.errors import Problem
from watchword.features.email_code import flow
from watchword.flows import users
from watchword.flows.end import Brought, log_out, log_out_everywhere
from watchword.flows.grant import Grant
from watchword.flows.sweep import sweep
from watchword.ports import LoadedSession
from watchword.settings import Mode

FIREFOX = Client("192.0.2.7", "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0 <b>evil.example</b>")
FOREIGN = "wwc_" + "A" * 43


@pytest.fixture
def lab() -> Lab:
    return lab_with_user(two_factor="required")


def other_than(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06d}"


def refusal(call: Callable[[], object]) -> Problem:
    with pytest.raises(Problem) as caught:
        call()
    return caught.value


def row(lab: Lab, token: str) -> Any:
    digest = digest_of(token)
    assert digest is not None
    found = step(lab.store.load_challenge(digest, Kind.LOGIN))
    assert found is not None
    return found.challenge


def resend(lab: Lab, token: str | None, *, in_cookie: bool = True) -> int:
    return step(flow.resend(lab.world, token, in_cookie=in_cookie, client=HOME))


def loaded(lab: Lab, grant: Grant) -> LoadedSession:
    found = step(lab.store.load_session(grant.session.sid))
    assert found is not None
    return found


# --- the first step


def test_a_right_password_sends_a_code_and_opens_nothing(lab: Lab) -> None:
    """R35, attack 58: one write, one event, and no session, access token or refresh token anywhere."""
    begun = lab.waiting(client=FIREFOX, mode=Mode.HYBRID)
    assert lab.log == ["issue_challenge", "event code_sent"]
    assert (begun.mode, begun.methods, begun.expires_in) == (Mode.HYBRID, (Method.EMAIL,), 600)
    assert step(lab.store.list_sessions(lab.stored().id, now=NOW)) == []
    [(mail, payload)] = lab.mails
    assert (mail.to, mail.kind, mail.expires_at) == (EMAIL, "code", NOW + 600 * SECOND)
    assert payload.pop("code") == lab.code
    assert payload == {"device": "Firefox on Linux", "ip": FIREFOX.ip, "minutes": 10}


def test_the_row_holds_neither_secret_nor_code(lab: Lab) -> None:
    """W12; ASVS 6.5.2: a leaked database completes no login, not even by trying all million codes."""
    begun = lab.waiting()
    challenge = row(lab, begun.token)
    stored = repr(replace(challenge, payload={})).encode() + challenge.digest + challenge.code
    assert begun.token.encode() not in stored
    assert lab.code.encode() not in challenge.code
    for guess in (lab.code, challenge.id + lab.code, lab.code + challenge.id):
        assert hashlib.sha256(guess.encode()).digest() not in challenge.code
    other = KeyRing([b"another secret, of the same length as the first"])
    [(mail, _)] = lab.mails
    assert Seals(other).open(mail.sealed, mail_id=mail.id) is None
    assert digest_of("wwc_" + challenge.digest.hex()[:43]) != challenge.digest


def test_codes_are_six_digits_each_as_likely_as_the_next(lab: Lab) -> None:
    """ASVS 6.5.3, 6.5.4: from the CSPRNG, leading zeros included; secrets differ always."""
    codes, tokens = [], set()
    for number in range(300):
        if number % 10 == 0:
            lab.travel(3601)
        tokens.add(lab.waiting().token)
        codes.append(lab.code)
    assert all(re.fullmatch(r"[0-9]{6}", code) for code in codes)
    assert len(tokens) == 300
    assert len(set(codes)) > 290
    assert {code[0] for code in codes} == set("0123456789")


@pytest.mark.parametrize("email", [EMAIL, "nobody@example.com"])
def test_a_wrong_password_sends_nothing_and_is_answered_as_before(lab: Lab, email: str) -> None:
    """R35; attack 65: whether a second step would follow is told to nobody else."""
    before = lab.store.rows()
    assert code_of(lambda: lab.log_in(email, "wrong")) == "invalid_credentials"
    assert lab.store.rows() == before
    assert lab.hasher.calls == ["verify"]
    assert lab.facts == ["sign_in_failed"]


@pytest.mark.parametrize(
    ("setting", "enrolled", "waits"),
    [
        ("off", False, False),
        ("off", True, False),
        ("optional", False, False),
        ("optional", True, True),
        ("required", False, True),
        ("required", True, True),
    ],
)
def test_whose_sign_in_takes_it(setting: str, enrolled: bool, waits: bool) -> None:
    """DESIGN §6; ASVS 6.3.3: nobody's, that of who turned it on, everybody's."""
    lab = lab_with_user(two_factor=setting)
    if enrolled:
        step(lab.store.add_factor(_factor(lab), now=NOW, keep=None))
    assert isinstance(lab.log_in(), Grant) is not waits


def _factor(lab: Lab) -> Factor:
    return Factor("f", lab.stored().id, Method.EMAIL, NOW)


def test_who_turns_it_on_during_a_sign_in_is_asked_for_it() -> None:
    """Attack 45's sibling: the session that saw no second step is not written, and the login begins anew."""
    lab = lab_with_user(two_factor="optional")
    lab.store.first["insert_session"] = [lambda: step(lab.store.add_factor(_factor(lab), now=NOW, keep=None))]
    lab.waiting()
    assert step(lab.store.list_sessions(lab.stored().id, now=NOW)) == []


@pytest.mark.parametrize("status", [Status.DISABLED, Status.UNVERIFIED])
def test_who_may_not_sign_in_is_sent_nothing(lab: Lab, status: Status) -> None:
    """R35: the status is checked before anything is sent."""
    step(users.set_status(lab.world, lab.stored(), status))
    outcome = code_of(lab.log_in)
    assert outcome == {Status.DISABLED: "invalid_credentials", Status.UNVERIFIED: "ok"}[status]
    assert lab.mails == []


def test_a_password_that_changes_while_it_is_verified_sends_no_code(lab: Lab) -> None:
    """Attack 45: nothing is written; the right answer is that of the new one."""
    lab.store.first["issue_challenge"] = [
        lambda: step(users.set_password(lab.world, lab.stored(), "v1:new password"))
    ]
    assert code_of(lab.log_in) == "invalid_credentials"
    assert lab.mails == []


def test_the_eleventh_code_of_an_hour_is_refused(lab: Lab) -> None:
    """Attack 55: 429 with the time after which there is one again; no mail."""
    for _ in range(10):
        lab.waiting()
        lab.travel(60)
    problem = refusal(lab.log_in)
    assert (problem.code, problem.status, problem.retry_after) == ("rate_limited", 429, 3000)
    assert len(lab.mails) == 10
    assert lab.facts[-1] == "code_refused"
    lab.travel(3000)
    lab.waiting()


# --- the second step


def test_the_right_code_opens_the_session_of_the_mode_that_was_chosen(lab: Lab) -> None:
    """R36: one write, then the tokens; `amr` says otp and never mfa."""
    begun = lab.waiting(mode=Mode.HYBRID)
    lab.forget_log()
    grant = lab.try_code(begun.token)
    assert lab.log == ["attempt_challenge", "redeem_challenge", "event signed_in"]
    assert (grant.session.mode, grant.session.amr) == (Mode.HYBRID, ("pwd", "otp"))
    assert lab.guard(grant) == "ok"
    assert lab.principal(grant).amr == ("pwd", "otp")
    assert (grant.session.ip, lab.events[0].detail) == (HOME.ip, "pwd+otp")


def test_it_replaces_the_session_of_the_same_browser_only_then(lab: Lab) -> None:
    """Attacks 32, 58: half a login ends nothing."""
    old = lab.try_code(lab.waiting().token)
    begun = lab.waiting(replaces=old.session.sid)
    assert lab.guard(old) == "ok"
    new = lab.try_code(begun.token, replaces=old.session.sid)
    assert lab.row(old.session.sid).end is End.REPLACED
    assert lab.guard(new) == "ok"


def test_five_wrong_codes_and_the_right_one_comes_too_late(lab: Lab) -> None:
    """ASVS 6.6.3; attacks 51, 52: counted before it is looked at."""
    begun = lab.waiting()
    wrong = other_than(lab.code)
    lab.forget_log()
    for _ in range(TRIES):
        assert code_of(lambda: lab.try_code(begun.token, wrong)) == "code_invalid"
    assert lab.log == ["attempt_challenge", "event code_failed"] * TRIES
    problem = refusal(lambda: lab.try_code(begun.token))
    assert (problem.code, problem.status, problem.retry_after) == ("too_many_attempts", 429, 600)
    lab.travel(600)
    assert code_of(lambda: lab.try_code(begun.token)) == "challenge_expired"


def test_twenty_wrong_codes_a_day_over_all_logins(lab: Lab) -> None:
    """Attacks 51, 56: a new login brings no new tries, a code cannot be had any more, and tomorrow all is well."""
    lab.user("eve@example.com")
    for _ in range(4):
        begun = lab.waiting()
        for _ in range(TRIES):
            assert code_of(lambda: lab.try_code(begun.token, other_than(lab.code))) == "code_invalid"  # noqa: B023
        lab.try_code(lab.waiting("eve@example.com").token)  # success on another account clears nothing
    problem = refusal(lab.log_in)
    assert (problem.code, problem.retry_after) == ("too_many_attempts", 86_400 + 600)
    assert code_of(lambda: lab.log_in(password="wrong")) == "invalid_credentials"
    lab.travel(86_400 + 600)
    lab.try_code(lab.waiting().token)


def test_a_right_code_is_no_guess(lab: Lab) -> None:
    """A person who signs in thirty times a day is not locked out."""
    for _ in range(30):
        lab.travel(400)
        lab.try_code(lab.waiting().token)
    begun = lab.waiting()
    assert row(lab, begun.token).tries == 0


def test_a_code_works_once(lab: Lab) -> None:
    """Attack 54; ASVS 6.5.1."""
    begun = lab.waiting()
    lab.try_code(begun.token)
    assert code_of(lambda: lab.try_code(begun.token)) == "challenge_expired"
    assert code_of(lambda: resend(lab, begun.token)) == "challenge_expired"


def test_of_two_right_codes_at_once_one_opens_a_session(lab: Lab) -> None:
    """Attack 53: the other one was compared and is too late."""
    begun = lab.waiting()
    lab.store.first["redeem_challenge"] = [lambda: lab.try_code(begun.token)]
    assert code_of(lambda: lab.try_code(begun.token)) == "challenge_expired"
    assert len(step(lab.store.list_sessions(lab.stored().id, now=NOW))) == 1


def test_a_code_is_of_one_login_and_no_other(lab: Lab) -> None:
    """Attack 54; ASVS 6.6.2: not of an older one, not of another user's, not of another browser's."""
    lab.user("eve@example.com")
    first = lab.waiting()
    code = lab.code
    second = lab.waiting()
    eve = lab.waiting("eve@example.com")
    for begun in (second, eve):
        assert lab.code != code
        assert code_of(lambda: lab.try_code(begun.token, code)) == "code_invalid"  # noqa: B023
    for token in (None, "", FOREIGN):
        assert code_of(lambda: lab.try_code(token, code)) == "challenge_expired"  # noqa: B023
    lab.try_code(first.token, code)


def test_absent_foreign_used_expired_and_ended_are_all_alike(lab: Lab) -> None:
    """Attack 62: code, status, words and headers; only a live one answers otherwise."""
    used, expired, ended, live = (lab.waiting() for _ in range(4))
    code = lab.code
    lab.try_code(live.token)
    used = live
    step(log_out(lab.world, Brought(challenge=ended.token), ip=""))
    lab.travel(600)
    answers = set()
    for token in (None, FOREIGN, used.token, expired.token, ended.token, "x" * 5000, "wwc_" + "Ä" * 43):
        problem = refusal(lambda: lab.try_code(token, code))  # noqa: B023
        answers.add((problem.code, problem.status, problem.detail, problem.retry_after, problem.headers))
        again = refusal(lambda: resend(lab, token))  # noqa: B023
        answers.add((again.code, again.status, again.detail, again.retry_after, again.headers))
    assert len(answers) == 1
    assert next(iter(answers))[0] == "challenge_expired"
    assert code_of(lambda: lab.try_code(lab.waiting().token, other_than(lab.code))) == "code_invalid"


FULL_WIDTH = "".join(chr(0xFEE0 + ord(digit)) for digit in "123456")
ARABIC = "".join(chr(0x660 + digit) for digit in range(6))


@pytest.mark.parametrize(
    "text",
    [FULL_WIDTH, ARABIC, "+12345", " 123456", "123456 ", "123456\n", "1e5", "12345", "1234567", "", "12 456"],
)
def test_what_is_no_code_counts_as_no_try(lab: Lab, text: str) -> None:
    """Attack 57."""
    begun = lab.waiting()
    assert code_of(lambda: lab.try_code(begun.token, text)) == "invalid_request"
    assert row(lab, begun.token).tries == 0


def test_a_secret_counts_only_the_way_that_it_was_handed_out(lab: Lab) -> None:
    """DESIGN §5: no script turns a login in cookies into tokens in a body, nor the other way round."""
    for mode in Mode:
        begun = lab.waiting(mode=mode)
        wrong_way = not mode.in_cookies
        assert code_of(lambda: lab.try_code(begun.token, in_cookie=wrong_way)) == "challenge_expired"  # noqa: B023
        assert code_of(lambda: resend(lab, begun.token, in_cookie=wrong_way)) == "challenge_expired"  # noqa: B023
        assert lab.try_code(begun.token, in_cookie=mode.in_cookies).session.mode is mode


@pytest.mark.parametrize(
    "token_of", [lambda lab, grant: grant.refresh_token, lambda lab, grant: grant.access_token]
)
def test_no_other_token_completes_a_login_and_this_one_authenticates_nothing(
    lab: Lab, token_of: Callable[[Lab, Grant], str]
) -> None:
    """Attack 58."""
    grant = lab.try_code(lab.waiting().token)
    begun = lab.waiting()
    assert code_of(lambda: lab.try_code(token_of(lab, grant))) == "challenge_expired"
    assert code_of(lambda: lab.refresh(begun.token)) == "invalid_token"
    assert code_of(lambda: lab.world.verifier.verify(begun.token.encode(), NOW)) == "invalid_token"
    assert not step(log_out(lab.world, Brought(refresh=begun.token, session=begun.token.encode()), ip=""))


@pytest.mark.parametrize("step_back", [120, 599])
def test_a_clock_that_goes_back_revives_no_code_and_lengthens_none(lab: Lab, step_back: int) -> None:
    """Attack 63; ASVS 6.5.5, 6.5.8."""
    begun, young = lab.waiting(), lab.waiting()
    code = lab.code
    lab.travel(600)
    assert code_of(lambda: lab.try_code(begun.token)) == "challenge_expired"
    lab.travel(-step_back)
    assert code_of(lambda: lab.try_code(begun.token)) == "challenge_expired"
    lab.travel(step_back - 600 - 3600)  # an hour before it was sent
    assert code_of(lambda: lab.try_code(young.token, code)) == "challenge_expired"
    lab.travel(3600)
    assert code_of(lambda: lab.try_code(young.token, code)) == "challenge_expired"


def test_a_code_that_says_when_it_ends_ends_then(lab: Lab) -> None:
    """ASVS 6.5.5: `code_ttl`, to the microsecond."""
    begun = lab.waiting()
    lab.clock.micros += 600 * SECOND - 1
    lab.try_code(begun.token)
    short = lab_with_user(two_factor="required", code_ttl="2m")
    begun = short.waiting()
    assert begun.expires_in == 120
    short.travel(120)
    assert code_of(lambda: short.try_code(begun.token)) == "challenge_expired"


def test_both_root_secrets_know_a_code_that_one_of_them_has_made() -> None:
    """ASVS 11.2.2: a rotation of keys interrupts nobody's login."""
    lab = lab_with_user(two_factor="required")
    begun = lab.waiting()
    code = lab.code
    both = KeyRing([b"a newer secret that is long enough to be one", lab.auth.settings.secret[0].encode()])
    assert Codes(both).right(code, row(lab, begun.token))
    assert not Codes(KeyRing([b"a newer secret that is long enough to be one"])).right(
        code, row(lab, begun.token)
    )


# --- changes meanwhile


@pytest.mark.parametrize(
    "change",
    [
        lambda lab: users.set_password(lab.world, lab.stored(), "v1:new password"),
        lambda lab: users.set_status(lab.world, lab.stored(), Status.DISABLED),
        lambda lab: users.set_status(lab.world, lab.stored(), Status.UNVERIFIED),
        lambda lab: users.delete(lab.world, lab.stored()),
    ],
    ids=["password", "disabled", "unverified", "deleted"],
)
@pytest.mark.parametrize("moment", ["before", "attempt_challenge", "redeem_challenge"])
def test_a_login_is_not_completed_for_a_user_who_has_changed(
    lab: Lab, change: Callable[[Lab], Any], moment: str
) -> None:
    """Attacks 44, 45, 77: whenever it happens, there is no session, and enabling again revives none."""
    begun, code, user = lab.waiting(), lab.code, lab.stored()
    if moment == "before":
        step(change(lab))
    else:
        lab.store.first[moment] = [lambda: step(change(lab))]
    assert code_of(lambda: lab.try_code(begun.token, code)) == "challenge_expired"
    assert "signed_in" not in lab.facts
    step(lab.store.change_status(user.id, Status.ACTIVE, now=NOW))
    assert code_of(lambda: lab.try_code(begun.token, code)) == "challenge_expired"


@pytest.mark.parametrize("way", [log_out, log_out_everywhere])
def test_signing_out_in_the_middle_of_a_login_ends_it(lab: Lab, way: Callable[..., Any]) -> None:
    """Attack 60."""
    begun = lab.waiting()
    step(way(lab.world, Brought(challenge=begun.token), ip=""))
    assert code_of(lambda: lab.try_code(begun.token)) == "challenge_expired"


# --- another code


def test_another_code_makes_the_old_one_worthless(lab: Lab) -> None:
    """Attack 55: same login, same tries left, a life of its own."""
    begun = lab.waiting()
    old = lab.code
    assert code_of(lambda: lab.try_code(begun.token, other_than(old))) == "code_invalid"
    lab.travel(30)
    lab.forget_log()
    assert resend(lab, begun.token) == 600
    assert lab.log == ["resend_challenge", "event code_sent"]
    new = lab.code
    if new != old:
        assert code_of(lambda: lab.try_code(begun.token, old)) == "code_invalid"
        assert row(lab, begun.token).tries == 2
    lab.travel(599)
    lab.try_code(begun.token, new)


@pytest.mark.parametrize("seconds", [0, 29])
def test_another_code_has_to_be_waited_for(lab: Lab, seconds: int) -> None:
    """Attack 55."""
    begun = lab.waiting()
    lab.travel(seconds)
    problem = refusal(lambda: resend(lab, begun.token))
    assert (problem.code, problem.status, problem.retry_after) == ("rate_limited", 429, 30 - seconds)
    assert len(lab.mails) == 1


def test_five_more_codes_an_hour(lab: Lab) -> None:
    """Attack 55."""
    begun = lab.waiting()
    for _ in range(5):
        lab.travel(30)
        resend(lab, begun.token)
    lab.travel(30)
    problem = refusal(lambda: resend(lab, begun.token))
    assert (problem.code, problem.retry_after) == ("rate_limited", 3570)
    lab.try_code(begun.token)


def test_codes_sent_again_count_among_the_ten(lab: Lab) -> None:
    """Attack 55: whoever knows a password floods no mailbox."""
    sent = 0
    for _ in range(20):
        lab.travel(31)
        try:
            begun = lab.waiting()
            sent += 1
            lab.travel(31)
            resend(lab, begun.token)
            sent += 1
        except Problem as problem:
            assert problem.code == "rate_limited"  # noqa: PT017 - which of the two is refused is not the point
    assert sent == 10 == len(lab.mails)


def test_no_code_outlives_the_cookie_of_its_login(lab: Lab) -> None:
    """R39: fifteen minutes in all."""
    begun = lab.waiting()
    lab.travel(599)
    assert resend(lab, begun.token) == 301
    assert lab.mails[0][0].expires_at == NOW + LIFE
    lab.travel(301)
    assert code_of(lambda: lab.try_code(begun.token)) == "challenge_expired"


def test_of_two_who_ask_for_another_code_at_once_one_is_sent_it(lab: Lab) -> None:
    begun = lab.waiting()
    lab.travel(31)
    lab.store.first["resend_challenge"] = [lambda: resend(lab, begun.token)]
    problem = refusal(lambda: resend(lab, begun.token))
    assert (problem.code, problem.retry_after) == ("rate_limited", 30)
    assert len(lab.mails) == 2
    lab.try_code(begun.token)


def test_a_spent_login_is_sent_no_more_codes(lab: Lab) -> None:
    """Attack 55: the same budget."""
    begun = lab.waiting()
    for _ in range(TRIES):
        assert code_of(lambda: lab.try_code(begun.token, other_than(lab.code))) == "code_invalid"
    lab.travel(31)
    assert code_of(lambda: resend(lab, begun.token)) == "too_many_attempts"


def test_old_challenges_are_swept(lab: Lab) -> None:
    """R41: but not while they are the memory of the budgets."""
    begun = lab.waiting()
    digest = digest_of(begun.token)
    assert digest is not None
    lab.clock.micros += REMEMBERED
    step(sweep(lab.world))
    assert step(lab.store.load_challenge(digest, Kind.LOGIN)) is not None
    lab.travel(601)
    step(sweep(lab.world))
    assert step(lab.store.load_challenge(digest, Kind.LOGIN)) is None


# --- turning it on and off


def test_turning_it_on_ends_every_other_session_and_the_next_login_takes_it() -> None:
    """ASVS 7.4.3."""
    lab = lab_with_user(two_factor="optional")
    here, there = lab.session(), lab.session(client=AWAY)
    lab.forget_log()
    factor = step(flow.turn_on(lab.world, loaded(lab, here), Method.EMAIL, client=HOME))
    assert lab.facts == ["factor_added", "session_ended"]
    assert (lab.guard(here), lab.guard(there)) == ("ok", "session_ended")
    assert lab.row(there.session.sid).end is End.FACTOR
    assert lab.stored().two_factor
    begun = lab.waiting()
    step(flow.turn_off(lab.world, loaded(lab, here), factor.id, client=HOME))
    assert lab.facts[-1] == "factor_removed"
    assert not lab.stored().two_factor
    lab.session()
    lab.try_code(begun.token)  # what began with it may be completed


@pytest.mark.parametrize("shown", [False, True])
@pytest.mark.parametrize("smtp_url", ["", "smtp://127.0.0.1:25"])
def test_nobody_turns_on_a_step_whose_codes_would_not_arrive(shown: bool, smtp_url: str) -> None:
    """Nobody could sign in any more: without a mail server it takes a place where mail is read, as in `dev`."""
    lab = lab_with_user(two_factor="optional")
    settings = replace(lab.auth.settings, smtp_url=smtp_url)
    auth = Watchword(
        settings, store=lab.store, hasher=lab.hasher, clock=lab.clock, on_event=lab._note, mail_shown=shown
    )
    mine = loaded(lab, lab.session())
    before = lab.store.rows()
    outcome = code_of(lambda: step(flow.turn_on(auth.world, mine, Method.EMAIL, client=HOME)))
    assert outcome == ("ok" if shown or smtp_url else "forbidden")
    assert (lab.store.rows() == before) == (outcome == "forbidden")


def test_it_is_turned_on_once_and_off_once() -> None:
    lab = lab_with_user(two_factor="optional")
    mine = loaded(lab, lab.session())
    factor = step(flow.turn_on(lab.world, mine, Method.EMAIL, client=HOME))

    def off() -> None:
        step(flow.turn_off(lab.world, mine, factor.id, client=HOME))

    again = code_of(lambda: step(flow.turn_on(lab.world, mine, Method.EMAIL, client=HOME)))
    assert again == "already_exists"
    off()
    assert code_of(off) == "not_found"


def test_nobody_turns_off_anothers() -> None:
    """Attack 93."""
    lab = lab_with_user(two_factor="optional")
    lab.user("eve@example.com")
    factor = step(flow.turn_on(lab.world, loaded(lab, lab.session()), Method.EMAIL, client=HOME))
    eve = loaded(lab, lab.session("eve@example.com"))
    assert code_of(lambda: step(flow.turn_off(lab.world, eve, factor.id, client=HOME))) == "not_found"
    assert lab.stored().two_factor


def test_it_is_not_turned_on_where_it_would_not_be_asked_for_or_could_not_arrive() -> None:
    lab = lab_with_user(two_factor="off")
    mine = loaded(lab, lab.session())
    assert code_of(lambda: step(flow.turn_on(lab.world, mine, Method.EMAIL, client=HOME))) == "forbidden"
    lab = lab_with_user(two_factor="optional")
    mine = loaded(lab, lab.session())
    mine = replace(mine, user=replace(mine.user, email_verified=False))
    assert code_of(lambda: step(flow.turn_on(lab.world, mine, Method.EMAIL, client=HOME))) == "forbidden"


def test_no_secret_shows_in_a_repr(lab: Lab) -> None:
    """Attack 96."""
    begun = lab.waiting()
    challenge = row(lab, begun.token)
    shown = (
        f"{begun!r} {challenge!r} {lab.mails[0][0]!r} {lab.world.codes!r} {Brought(challenge=begun.token)!r}"
    )
    for secret in (begun.token, lab.code, repr(challenge.digest), repr(challenge.code), EMAIL, PASSWORD):
        assert secret not in shown
