"""Signing in with a password: one refusal for all that is wrong, the same work for it, and no race to slip through."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.flows.stepping import AWAY, EMAIL, HOME, PASSWORD, Lab, code_of, lab_with_user, step
from watchword.core.login import Step
from watchword.core.user import Status
from watchword.errors import InvalidCredentials, InvalidRequest
from watchword.features.password import flow
from watchword.flows import users
from watchword.flows.grant import Grant
from watchword.settings import Mode


@pytest.fixture
def lab() -> Lab:
    return lab_with_user()


def test_the_right_password_starts_a_session(lab: Lab) -> None:
    """R1, R2, R21, R36; ASVS 2.3.1."""
    grant = lab.log_in()
    assert isinstance(grant, Grant)
    assert grant.session.amr == ("pwd",)
    assert lab.hasher.calls == ["verify"]
    assert lab.facts == ["signed_in"]


def test_a_password_is_good_for_as_long_as_nobody_changes_it(lab: Lab) -> None:
    """ASVS 6.2.10."""
    lab.travel(10 * 365 * 24 * 3600)
    assert isinstance(lab.log_in(), Grant)


@pytest.mark.parametrize("login", ["ADA@example.com", "Ada@Example.COM", "countess", "COUNTESS"])
def test_a_login_is_an_address_or_a_name_in_any_spelling(login: str) -> None:
    """R2, R21; attack 70."""
    lab = Lab()
    step(users.create(lab.world, EMAIL, f"v1:{PASSWORD}", username="Countess"))
    assert isinstance(lab.log_in(login), Grant)


def signed_in(lab: Lab, password: str) -> str:
    return code_of(lambda: lab.log_in("eve@example.com", password))


def test_the_password_counts_in_any_spelling_of_unicode_and_no_other(lab: Lab) -> None:
    """Attack 71; ASVS 6.2.8."""
    lab.user("eve@example.com", "caf\u00e9 au lait")
    assert code_of(lambda: lab.log_in("eve@example.com", "cafe\u0301 au lait")) == "ok"
    for wrong in (
        "cafe au lait",
        "Caf\u00e9 au lait",
        "caf\u00e9 au lait ",
        "caf\u00e9 au lai",
        "caf\u00e9 au lait\x00",
    ):
        assert signed_in(lab, wrong) == "invalid_credentials"


def people(lab: Lab) -> None:
    lab.user("disabled@example.com", status=Status.DISABLED)
    lab.user("unverified@example.com", status=Status.UNVERIFIED)
    lab.user("nopassword@example.com", None)
    lab.user("legacy@example.com")
    row = lab.stored("legacy@example.com")
    step(lab.store.replace_digest(row.id, old=str(row.digest), new=f"v0:{PASSWORD}"))
    lab.forget_log()


REFUSED = {
    "known, wrong password": (EMAIL, "wrong"),
    "unknown": ("nobody@example.com", PASSWORD),
    "unknown name": ("nobody", PASSWORD),
    "malformed address": ("nobody@", PASSWORD),
    "malformed name": ("no body!", PASSWORD),
    "empty login": ("", PASSWORD),
    "huge login": ("x" * 100_000, PASSWORD),
    "huge address": ("x" * 100_000 + "@example.com", PASSWORD),
    "surrogates": ("\ud800@example.com", PASSWORD),
    "injection": ("' OR 1=1 --", "' OR 1=1 --"),
    "like": ("%@example.com", "%"),
    "disabled, right password": ("disabled@example.com", PASSWORD),
    "disabled, wrong password": ("disabled@example.com", "wrong"),
    "unverified, wrong password": ("unverified@example.com", "wrong"),
    "without a password": ("nopassword@example.com", PASSWORD),
    "without a password, empty one": ("nopassword@example.com", ""),
    "old digest, wrong password": ("legacy@example.com", "wrong"),
    "empty password": (EMAIL, ""),
    "the digest itself": (EMAIL, f"v1:{PASSWORD}"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_whatever_is_wrong_is_one_answer_for_one_verification(lab: Lab, name: str) -> None:
    """Attacks 44, 65, 94; ASVS 6.3.8, 16.3.1; W11: same problem, same hash calls, same event, no write."""
    people(lab)
    login, password = REFUSED[name]
    rows = lab.store.rows()
    with pytest.raises(InvalidCredentials) as caught:
        lab.log_in(login, password, client=AWAY)
    assert str(caught.value) == InvalidCredentials.title
    assert (caught.value.errors, caught.value.retry_after, caught.value.headers) == ((), None, ())
    assert lab.hasher.calls == ["verify"]
    assert [(event.name, event.ip, event.sid, event.detail) for event in lab.events] == [
        ("sign_in_failed", AWAY.ip, None, None)
    ]
    assert lab.store.rows() == rows


def test_a_failed_sign_in_is_told_with_the_user_where_there_is_one(lab: Lab) -> None:
    """ASVS 16.2.1: in the log, never in the answer; and never what was typed."""
    code_of(lambda: lab.log_in(EMAIL, "canary"))
    code_of(lambda: lab.log_in("canary@example.com", "canary"))
    assert [event.user_id for event in lab.events] == [lab.stored().id, None]
    assert "canary" not in repr(lab.events)


def test_who_knows_the_password_of_an_unverified_account_is_told_the_next_step(lab: Lab) -> None:
    """DESIGN §4.5; attack 65; ASVS 16.3.1: for the same one verification, and without a session."""
    people(lab)
    rows = lab.store.rows()
    assert lab.log_in("unverified@example.com") is Step.VERIFY_EMAIL
    assert lab.hasher.calls == ["verify"]
    assert lab.store.rows() == rows
    assert [(event.name, event.detail) for event in lab.events] == [("sign_in_failed", "unverified")]


@pytest.mark.parametrize("password", ["x" * 1025, "x" * 1_000_000, "\ud800" * 8], ids=len)
def test_a_password_that_cannot_be_one_is_refused_before_any_work(lab: Lab, password: str) -> None:
    """Attacks 71, 72: for known and unknown alike."""
    for login in (EMAIL, "nobody@example.com"):
        with pytest.raises(InvalidRequest):
            lab.log_in(login, password)
    assert lab.hasher.calls == []
    assert lab.events == []


def test_a_digest_of_old_parameters_is_made_anew_at_sign_in(lab: Lab) -> None:
    """ASVS 11.2.2, 11.4.2; DESIGN §4.5."""
    lab.hasher.parameters = "v2"
    assert code_of(lab.log_in) == "ok"
    assert lab.stored().digest == f"v2:{PASSWORD}"
    assert lab.hasher.calls == ["verify", "hash"]
    assert lab.log == ["replace_digest", "insert_session", "event signed_in"]
    lab.forget_log()
    assert code_of(lab.log_in) == "ok"
    assert lab.hasher.calls == ["verify"], "once"


def test_a_wrong_password_makes_no_digest_anew(lab: Lab) -> None:
    """Attack 65; ASVS 11.2.2."""
    lab.hasher.parameters = "v2"
    code_of(lambda: lab.log_in(password="wrong"))
    assert lab.stored().digest == f"v1:{PASSWORD}"
    assert lab.hasher.calls == ["verify"]


def test_two_sign_ins_that_both_make_the_digest_anew_both_succeed(lab: Lab) -> None:
    """ASVS 15.4.2: the one that comes second decides again with the digest of the first."""
    lab.hasher.parameters = "v2"
    lab.store.first["replace_digest"] = [lambda: code_of(lab.log_in)]
    assert code_of(lab.log_in) == "ok"
    assert lab.facts == ["signed_in", "signed_in"]
    assert lab.stored().digest == f"v2:{PASSWORD}"


def new_password(lab: Lab) -> None:
    step(users.set_password(lab.world, lab.stored(), "v1:another password"))


def test_a_sign_in_that_races_a_change_of_password_is_decided_again(lab: Lab) -> None:
    """Attacks 44, 45; DESIGN §4.4: the verified digest is no longer the stored one, so nothing was written."""
    lab.store.first["insert_session"] = [lambda: new_password(lab)]
    with pytest.raises(InvalidCredentials):
        lab.log_in()
    assert lab.hasher.calls == ["verify", "verify"]
    assert "signed_in" not in lab.facts
    assert step(lab.store.list_sessions(lab.stored().id, now=lab.clock.now())) == []


def test_a_sign_in_that_races_being_disabled_is_decided_again(lab: Lab) -> None:
    """Attack 44."""
    lab.store.first["insert_session"] = [
        lambda: step(users.set_status(lab.world, lab.stored(), Status.DISABLED))
    ]
    with pytest.raises(InvalidCredentials):
        lab.log_in()
    assert "signed_in" not in lab.facts


def test_a_change_that_leaves_the_password_right_only_makes_it_try_again(lab: Lab) -> None:
    """ASVS 15.4.2: another sign-in made the digest anew meanwhile."""
    row = lab.stored()
    lab.store.first["insert_session"] = [
        lambda: step(lab.store.replace_digest(row.id, old=str(row.digest), new=f"v0:{PASSWORD}"))
    ]
    assert code_of(lab.log_in) == "ok"
    assert lab.hasher.calls == ["verify", "verify", "hash"]
    assert lab.facts == ["signed_in"]


def test_a_user_who_changes_all_the_time_is_refused_in_the_end(lab: Lab) -> None:
    """ASVS 16.5.2: after three rounds; each costs a verification."""
    versions = iter(range(100))

    def another_digest() -> None:
        row = lab.stored()
        lab.store._users[row.id] = replace(row, digest=f"v1-{next(versions)}:{PASSWORD}")

    lab.hasher.outdated = lambda digest: False  # type: ignore[method-assign]  # not what this is about
    lab.store.first["insert_session"] = [another_digest] * 10
    with pytest.raises(InvalidCredentials):
        lab.log_in()
    assert lab.hasher.calls == ["verify"] * flow.ROUNDS
    assert len(lab.store.first["insert_session"]) == 10 - flow.ROUNDS


def test_a_session_of_the_same_browser_is_replaced(lab: Lab) -> None:
    """Attacks 32, 79; ASVS 7.2.4."""
    old = lab.session()
    new = step(
        flow.log_in(lab.world, EMAIL, PASSWORD, client=HOME, mode=Mode.COOKIES, replaces=old.session.sid)
    )
    assert isinstance(new, Grant)
    assert lab.guard(old) == "session_ended"
    assert code_of(lambda: lab.refresh(new.refresh_token)) == "ok"


def test_a_failed_sign_in_replaces_nothing(lab: Lab) -> None:
    """Attack 82: who can make a browser send a wrong password signs nobody out."""
    old = lab.session()
    assert code_of(lambda: lab.log_in(password="wrong", replaces=old.session.sid)) == "invalid_credentials"
    assert lab.guard(old) == "ok"
