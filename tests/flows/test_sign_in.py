"""Starting a session: what is written, what it replaces, and what changes meanwhile."""

from __future__ import annotations

from uuid import UUID

import pytest

from tests.flows.stepping import AWAY, EMAIL, HOME, NOW, PASSWORD, SECOND, Lab, code_of, generation, step
from watchword.core.revocation import ROLES_MARGIN, Revoked
from watchword.core.session import End
from watchword.core.user import Status
from watchword.flows import users
from watchword.flows.grant import Grant
from watchword.flows.sign_in import start_session
from watchword.settings import Mode


def started(lab: Lab, *, replaces: str | None = None, email: str = EMAIL) -> Grant | None:
    return step(
        start_session(
            lab.world,
            lab.stored(email),
            read_at=NOW,
            amr=("pwd",),
            client=HOME,
            mode=Mode.COOKIES,
            replaces=replaces,
        )
    )


def test_a_session_starts_with_its_tokens_and_one_event_after_the_write(lab: Lab) -> None:
    """R1, R18, R21, R36; ASVS 7.2.1–7.2.3, 16.3.1."""
    grant = lab.session(mode=Mode.HYBRID)
    assert lab.log == ["insert_session", "event signed_in"]
    (event,) = lab.events
    assert (event.user_id, event.sid, event.ip, event.detail) == (
        lab.stored().id,
        grant.session.sid,
        HOME.ip,
        "pwd",
    )
    assert lab.row(grant.session.sid) == grant.session
    assert (grant.session.mode, grant.session.amr) == (Mode.HYBRID, ("pwd",))
    assert (grant.expires_in, grant.refresh_expires_in) == (900, 7 * 86_400)
    principal = lab.principal(grant)
    assert (principal.id, principal.sid, principal.amr) == (lab.stored().id, grant.session.sid, ("pwd",))
    assert principal.auth_time == principal.issued_at == NOW // SECOND


def test_no_two_sessions_share_anything(lab: Lab) -> None:
    """ASVS 7.2.3, 7.2.4, 11.5.1: ids, seeds, tokens and their ids are new each time."""
    grants = [lab.session() for _ in range(50)]
    for values in (
        {grant.session.sid for grant in grants},
        {grant.session.seed for grant in grants},
        {grant.refresh_token for grant in grants},
        {grant.access_token for grant in grants},
    ):
        assert len(values) == 50
    assert all(len(grant.session.seed) == 32 and UUID(grant.session.sid).version == 7 for grant in grants)


def test_signing_in_again_from_the_same_browser_replaces_its_session(lab: Lab) -> None:
    """Attacks 32, 79; ASVS 7.2.4: a new sid, and the old one ends in the same write."""
    old = lab.session()
    new = lab.session(replaces=old.session.sid)
    assert new.session.sid != old.session.sid
    assert lab.row(old.session.sid).end is End.REPLACED
    assert lab.row(old.session.sid).replaced_at == NOW
    assert lab.guard(old) == "session_ended"
    assert lab.guard(new) == "ok"
    assert generation(lab.refresh(new.refresh_token)) == 2


def test_signing_in_as_somebody_else_ends_the_session_before(lab: Lab) -> None:
    """Attack 32: never two people in one jar."""
    lab.user("eve@example.com")
    ada = lab.session()
    eve = lab.session("eve@example.com", replaces=ada.session.sid)
    assert lab.guard(ada) == "session_ended"
    assert lab.principal(eve).id == lab.stored("eve@example.com").id


@pytest.mark.parametrize("replaces", [None, "", "0190a0b0-0000-7000-8000-000000000000", "no sid"])
def test_there_need_be_nothing_to_replace(lab: Lab, replaces: str | None) -> None:
    """Attack 32."""
    other = lab.session()
    lab.session(replaces=replaces)
    assert lab.guard(other) == "ok", "other browsers stay signed in"


def test_a_session_replaced_before_is_not_ended_twice(lab: Lab) -> None:
    """ASVS 16.2.1."""
    old = lab.session()
    lab.session(replaces=old.session.sid)
    lab.travel(5)
    lab.session(replaces=old.session.sid)
    assert lab.row(old.session.sid).ended_at == NOW
    assert step(lab.store.read_revocations(since=0)).ended == [Revoked(old.session.sid, NOW)]


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
def test_a_session_is_not_started_for_a_user_who_has_changed(lab: Lab, change: object) -> None:
    """Attacks 44, 45; DESIGN §4.4: nothing is written, nothing replaced, nothing told."""
    assert callable(change)
    old = lab.session()
    lab.forget_log()
    lab.store.first["insert_session"] = [lambda: step(change(lab))]
    assert started(lab, replaces=old.session.sid) is None
    assert "signed_in" not in lab.facts
    page = step(lab.store.list_sessions(old.user.id, now=NOW))
    assert page == []


def test_a_user_deleted_before_the_session_starts_gets_none(lab: Lab) -> None:
    """Attack 44."""
    user = lab.stored()
    step(users.delete(lab.world, user))
    outcome = start_session(
        lab.world, user, read_at=NOW, amr=("pwd",), client=AWAY, mode=Mode.BEARER, replaces=None
    )
    assert step(outcome) is None


def test_roles_taken_away_while_the_password_was_checked_make_the_token_an_old_one(lab: Lab) -> None:
    """Attack 45; ASVS 8.3.2: it is as old as the reading of its user, however long the hash took."""
    step(users.set_roles(lab.world, lab.stored(), ["owner"]))
    lab.travel(ROLES_MARGIN + 1)

    def demoted() -> None:
        step(users.set_roles(lab.world, lab.stored(), []))
        lab.travel(ROLES_MARGIN + 1)

    lab.hasher.meanwhile = [demoted]
    grant = lab.session()
    assert lab.guard(grant) == "token_expired"
    assert lab.principal(lab.refresh(grant.refresh_token)).roles == ()


def test_roles_taken_away_during_the_last_write_make_the_token_an_old_one(lab: Lab) -> None:
    """Attack 45; ASVS 8.3.2."""
    step(users.set_roles(lab.world, lab.stored(), ["owner"]))
    lab.travel(2)

    def demoted() -> None:
        step(users.set_roles(lab.world, lab.stored(), []))
        lab.travel(1.5)

    lab.store.first["insert_session"] = [demoted]
    grant = lab.session()
    assert lab.guard(grant) == "token_expired"
    assert lab.principal(lab.refresh(grant.refresh_token)).roles == ()


def test_a_token_minted_in_the_second_of_a_change_of_roles_is_not_called_expired(lab: Lab) -> None:
    """DESIGN §4.3: iat = max(now, tokens_from), ahead by less than a verifier forgives."""
    step(users.set_roles(lab.world, lab.stored(), ["owner"]))
    grant = lab.session()
    assert lab.principal(grant).roles == ("owner",)
    assert lab.principal(grant).issued_at == NOW // SECOND + ROLES_MARGIN
    assert grant.expires_in == 900


def test_a_user_without_a_password_can_be_signed_in_by_other_proof(lab: Lab) -> None:
    """DESIGN §3: starting a session knows nothing of passwords."""
    lab.user("eve@example.com", password=None)
    assert started(lab, email="eve@example.com") is not None
    assert code_of(lambda: lab.log_in("eve@example.com", PASSWORD)) == "invalid_credentials"
