"""What an administrator does with users, and what becomes of their sessions."""

from __future__ import annotations

import pytest

from tests.flows.stepping import EMAIL, NOW, PASSWORD, SECOND, Lab, code_of, step
from watchword.core.revocation import ROLES_MARGIN
from watchword.core.session import End
from watchword.core.user import Status
from watchword.errors import AlreadyExists, InvalidRequest, NotFound
from watchword.flows import users
from watchword.flows.grant import Grant


def test_a_new_user_is_active_and_verified_and_told_after_the_write() -> None:
    """R15; DESIGN §4.5; ASVS 16.3.1."""
    lab = Lab()
    user = step(
        users.create(lab.world, "Ada@Example.com", "v1:x", username="Ada", roles=["owner", "admin", "owner"])
    )
    assert (user.email, user.username, user.roles) == ("ada@example.com", "ada", ("admin", "owner"))
    assert (user.status, user.email_verified, user.tokens_from) == (Status.ACTIVE, True, 0)
    assert user.created_at == NOW
    assert lab.log == ["create_user", "event user_created"]
    assert step(users.find(lab.world, user.id)) == user


def test_an_unverified_user_is_not_verified() -> None:
    """DESIGN §4.5."""
    user = step(users.create(Lab().world, EMAIL, None, status=Status.UNVERIFIED))
    assert (user.status, user.email_verified, user.username) == (Status.UNVERIFIED, False, None)


@pytest.mark.parametrize(
    ("email", "username"),
    [
        (EMAIL, None),
        ("ADA@EXAMPLE.COM", None),
        ("eve@example.com", "ADA"),
        ("\uff41da@example.com", "\u212aate"),
    ],
)
def test_an_address_or_a_name_in_any_spelling_is_taken_once(email: str, username: str | None) -> None:
    """Attacks 69, 70, 73: told by nothing but the refusal."""
    lab = Lab()
    step(users.create(lab.world, EMAIL, None, username="ada"))
    step(users.create(lab.world, "kate@example.com", None, username="kate"))
    lab.forget_log()
    rows = lab.store.rows()
    with pytest.raises(AlreadyExists):
        step(users.create(lab.world, email, None, username=username))
    assert lab.store.rows() == rows
    assert lab.facts == []


@pytest.mark.parametrize(
    ("email", "username", "roles"),
    [("no address", None, []), (EMAIL, "no name!", []), (EMAIL, None, ["No Role"]), ("", None, [])],
)
def test_a_user_with_a_wrong_field_is_not_made(email: str, username: str | None, roles: list[str]) -> None:
    """ASVS 2.2.1."""
    lab = Lab()
    with pytest.raises(InvalidRequest):
        step(users.create(lab.world, email, None, username=username, roles=roles))
    assert (lab.log, lab.events) == ([], [])


def test_a_user_is_found_by_address_name_and_id_in_any_spelling(lab: Lab) -> None:
    """DESIGN §7."""
    made = step(users.create(lab.world, "eve@bücher.example", None, username="eve"))
    for text in ("eve@bücher.example", "EVE@xn--bcher-kva.example", "Eve", "eve", made.id):
        assert step(users.find(lab.world, text)) == made


@pytest.mark.parametrize(
    "text", ["", "nobody", "nobody@example.com", "0190a0b0-0000-7000-8000-000000000000", "\x00", "%"]
)
def test_nobody_is_found_by_anything_else(lab: Lab, text: str) -> None:
    """Attack 94."""
    with pytest.raises(NotFound, match="no such user"):
        step(users.find(lab.world, text))


def test_a_name_that_is_somebody_elses_id_does_not_stand_in_for_him(lab: Lab) -> None:
    """Attack 93: a script that disables or promotes by id shall never meet who took that id for a name."""
    victim = lab.stored()
    mallory = step(users.create(lab.world, "mallory@example.com", None, username=victim.id))
    assert mallory.username == victim.id
    assert step(users.find(lab.world, victim.id)) == victim


def test_a_new_password_ends_every_session_but_the_one_to_keep(lab: Lab) -> None:
    """R25; ASVS 7.4.3; attack 45."""
    kept, other, third = (lab.session() for _ in range(3))
    lab.forget_log()
    step(users.set_password(lab.world, lab.stored(), "v1:new password", keep=kept.session.sid))
    assert lab.log == [
        "change_password",
        *["end_session"] * 2,
        "event password_changed",
        *["event session_ended"] * 2,
    ]
    assert {(event.sid, event.detail) for event in lab.events[1:]} == {
        (other.session.sid, "password"),
        (third.session.sid, "password"),
    }
    assert [lab.guard(grant) for grant in (kept, other, third)] == [
        "ok",
        "session_ended",
        "session_ended",
    ]
    assert code_of(lambda: lab.log_in(password=PASSWORD)) == "invalid_credentials"
    assert code_of(lambda: lab.log_in(password="new password")) == "ok"


def renewed(lab: Lab, grant: Grant) -> str:
    return code_of(lambda: lab.refresh(grant.refresh_token))


def test_disabling_ends_all_sessions_and_enabling_brings_none_back(lab: Lab) -> None:
    """Attacks 21, 44; ASVS 7.4.2."""
    grants = [lab.session() for _ in range(2)]
    lab.forget_log()
    step(users.set_status(lab.world, lab.stored(), Status.DISABLED))
    assert lab.facts == ["status_changed", "session_ended", "session_ended"]
    assert lab.events[0].detail == "disabled"
    assert lab.row(grants[0].session.sid).end is End.DISABLED
    step(users.set_status(lab.world, lab.stored(), Status.ACTIVE))
    for grant in grants:
        assert lab.guard(grant) == "session_ended"
        assert renewed(lab, grant) == "session_ended"
    assert code_of(lab.log_in) == "ok"


def test_a_change_of_roles_sends_clients_to_refresh_and_ends_nothing(lab: Lab) -> None:
    """Attack 21; ASVS 8.3.2; W13: within this process at once."""
    grant = lab.session()
    lab.forget_log()
    step(users.set_roles(lab.world, lab.stored(), ["owner", "admin"]))
    assert [(event.name, event.detail) for event in lab.events] == [("roles_changed", "admin,owner")]
    assert lab.stored().tokens_from == NOW // SECOND + ROLES_MARGIN
    assert lab.guard(grant) == "token_expired"
    assert lab.principal(lab.refresh(grant.refresh_token)).roles == ("admin", "owner")


def test_a_wrong_role_changes_nothing(lab: Lab) -> None:
    """ASVS 2.2.1."""
    with pytest.raises(InvalidRequest):
        step(users.set_roles(lab.world, lab.stored(), ["owner", "No Role"]))
    assert (lab.stored().roles, lab.stored().tokens_from) == ((), 0)
    assert lab.events == []


def test_a_deleted_user_leaves_no_session_that_opens_anything(lab: Lab) -> None:
    """ASVS 7.4.2; GHSA-2vg6-77g8-24mp."""
    grant = lab.session()
    lab.forget_log()
    step(users.delete(lab.world, lab.stored()))
    assert lab.facts == ["session_ended", "user_deleted"]
    assert lab.guard(grant) == "session_ended"
    assert code_of(lambda: lab.refresh(grant.refresh_token)) == "invalid_token"
    assert code_of(lab.log_in) == "invalid_credentials"


@pytest.mark.parametrize("verb", ["set_password", "set_status", "set_roles", "delete"])
def test_a_user_who_is_gone_meanwhile_is_not_found(lab: Lab, verb: str) -> None:
    """ASVS 16.5.3: and nothing is told that did not happen."""
    user = lab.stored()
    step(users.delete(lab.world, user))
    lab.forget_log()
    flows = {
        "set_password": lambda: users.set_password(lab.world, user, "v1:x"),
        "set_status": lambda: users.set_status(lab.world, user, Status.DISABLED),
        "set_roles": lambda: users.set_roles(lab.world, user, ["owner"]),
        "delete": lambda: users.delete(lab.world, user),
    }
    with pytest.raises(NotFound):
        step(flows[verb]())
    assert lab.events == []
