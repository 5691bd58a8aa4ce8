"""A password changed by who knows it, and one set by a link: what is written, what ends, and what nobody learns."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest

from tests.flows.stepping import (
    AWAY,
    EMAIL,
    HOME,
    NOW,
    PASSWORD,
    SECOND,
    Lab,
    code_of,
    lab_with_user,
    step,
)
from watchword.core.challenge import LINK_LIFE, LINKS_AN_HOUR, REMEMBERED, Kind, digest_of
from watchword.core.factor import Factor, Method
from watchword.core.session import Client, End
from watchword.core.user import Status
from watchword.features.password import flow
from watchword.flows import users
from watchword.flows.grant import Grant
from watchword.flows.second_step import SecondStep
from watchword.flows.sweep import sweep
from watchword.ports import LoadedLink
from watchword.settings import Mode

NEW, NEWER = "an entirely new engine", "one more engine, of brass"
FOREIGN = "wwc_" + "A" * 43
MODES = list(Mode)
STATES = ["known", "unknown", "disabled", "unverified", "without a password", "over the limit", "no address"]


def change(lab: Lab, grant: Grant, current: str = PASSWORD, new: str = NEW, client: Client = HOME) -> Grant:
    found = step(lab.store.load_session(grant.session.sid))
    assert found is not None
    return step(flow.change(lab.world, found, current, new, client=client))


def kinds(lab: Lab) -> list[str]:
    """Of the messages that were queued, newest first."""
    return [mail.kind for mail, _ in lab.mails]


def written(lab: Lab) -> list[str]:
    """The log, without the verbs that the reference store's own verbs are made of."""
    return [line for line in lab.log if line != "end_session"]


def loaded(lab: Lab, token: str) -> LoadedLink:
    digest = digest_of(token)
    assert digest is not None
    found = step(lab.store.load_link(digest, Kind.RESET))
    assert found is not None
    return found


# --- changing it


@pytest.mark.parametrize("mode", MODES)
def test_a_change_ends_every_other_session_and_renews_this_one(lab: Lab, mode: Mode) -> None:
    """ASVS 6.2.2, 6.2.3, 7.4.3: one write for all of it, the proof included; the old password signs nobody in."""
    here, there = lab.session(mode=mode), lab.session(client=AWAY)
    lab.travel(90)
    lab.forget_log()
    again = change(lab, here)
    assert written(lab) == [
        "change_own_password",
        "event password_changed",
        "event session_ended",
        "event reauthenticated",
    ]
    assert lab.hasher.calls == ["verify", "hash"]
    row = lab.row(here.session.sid)
    assert (row.ended_at, row.auth_time, row.amr) == (None, lab.clock.now(), ("pwd",))
    assert again.session.sid == here.session.sid
    assert again.access_token != here.access_token
    assert lab.row(there.session.sid).end is End.PASSWORD
    assert lab.guard(there) == "session_ended"
    assert code_of(lab.log_in) == "invalid_credentials"
    lab.session(password=NEW)


def test_the_owner_is_told_of_a_change_and_given_nothing_to_sign_in_with(lab: Lab) -> None:
    """ASVS 6.3.7; SECURITY-TARGET attack 61: from what and from where, in the transaction of the change."""
    change(lab, lab.session(), client=Client("198.51.100.9", "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"))
    [(mail, payload)] = lab.mails
    assert (mail.to, mail.kind) == (EMAIL, "password_changed")
    assert payload == {"device": "Firefox on Linux", "ip": "198.51.100.9"}
    letter = lab.world.letters.write(mail, payload)
    for text in (letter.text, letter.html):
        assert "://" not in text
        assert "reset" not in text


@pytest.mark.parametrize("current", ["wrong wrong", PASSWORD.upper(), PASSWORD + " ", NEW])
@pytest.mark.parametrize("new", [NEW, "short"])
def test_a_wrong_current_password_changes_nothing_and_learns_nothing(
    lab: Lab, current: str, new: str
) -> None:
    """ASVS 6.2.3: one verification, whatever the new one would have been judged."""
    here = lab.session()
    before = lab.store.rows()
    lab.forget_log()
    assert code_of(lambda: change(lab, here, current, new)) == "invalid_credentials"
    assert lab.store.rows() == before
    assert lab.hasher.calls == ["verify"]
    assert lab.facts == ["sign_in_failed"]


def test_who_has_no_password_cannot_change_it_and_it_costs_the_same() -> None:
    """ASVS 6.2.3: a session alone sets none."""
    lab = lab_with_user()
    here = lab.session()
    user = lab.stored()
    lab.store._users[user.id] = type(user)(
        **{name: getattr(user, name) for name in user.__slots__} | {"digest": None}
    )
    lab.forget_log()
    assert code_of(lambda: change(lab, here)) == "invalid_credentials"
    assert lab.hasher.calls == ["verify"]


@pytest.mark.parametrize("new", ["short", "password1", EMAIL, "testserver", "x" * 1025, "\ud800" * 9])
def test_a_new_password_is_judged_and_nothing_is_written(lab: Lab, new: str) -> None:
    """ASVS 6.2.4, 6.2.11: by the rules of every new password, the owner's words included."""
    here = lab.session()
    before = lab.store.rows()
    assert code_of(lambda: change(lab, here, new=new)) == "invalid_request"
    assert lab.store.rows() == before


def test_of_two_changes_at_once_the_later_one_is_decided_again(lab: Lab) -> None:
    """ASVS 6.2.3: its current password is no longer the current one, and its session has ended with the other's."""
    here, there = lab.session(), lab.session()
    lab.store.first["change_own_password"] = [lambda: change(lab, there, new=NEWER)]
    assert code_of(lambda: change(lab, here)) == "session_ended"
    lab.session(password=NEWER)
    assert code_of(lambda: lab.log_in(password=NEW)) == "invalid_credentials"
    assert kinds(lab) == ["password_changed"]


def test_of_two_changes_from_one_session_the_later_one_is_told_that_the_password_is_wrong(lab: Lab) -> None:
    """ASVS 6.2.3."""
    here = lab.session()
    lab.store.first["change_own_password"] = [lambda: change(lab, here, new=NEWER)]
    assert code_of(lambda: change(lab, here)) == "invalid_credentials"
    lab.session(password=NEWER)


def test_a_digest_that_was_only_hashed_anew_meanwhile_is_no_other_password(lab: Lab) -> None:
    """DESIGN §4.5: a sign-in that upgrades the digest does not refuse the change beside it."""
    here = lab.session()

    def upgraded() -> None:
        lab.hasher.parameters = "v2"
        lab.session()

    lab.store.first["change_own_password"] = [upgraded]
    change(lab, here)
    lab.session(password=NEW)


def test_a_user_disabled_meanwhile_changes_nothing(lab: Lab) -> None:
    """ASVS 7.4.2."""
    here = lab.session()
    lab.store.first["change_own_password"] = [
        lambda: step(users.set_status(lab.world, lab.stored(), Status.DISABLED))
    ]
    assert code_of(lambda: change(lab, here)) == "session_ended"
    assert lab.stored().digest == f"v1:{PASSWORD}"
    assert kinds(lab) == []


def test_a_change_ends_what_was_begun_before() -> None:
    """Attacks 45, 77: a login that waits for its code, and a link on its way."""
    lab = lab_with_user(two_factor="optional")
    here = lab.session()
    lab.forgot()
    user = lab.stored()
    step(lab.store.add_factor(Factor("f", user.id, Method.EMAIL, NOW), now=NOW, keep=here.session.sid))
    begun = lab.waiting(client=AWAY)
    code = lab.code
    change(lab, here)
    assert code_of(lambda: lab.try_code(begun.token, code, client=AWAY)) == "challenge_expired"
    assert code_of(lambda: lab.reset(lab.link, NEWER)) == "challenge_expired"


# --- asking for a link


def someone(lab: Lab, state: str) -> str:
    """The address of one."""
    status = {"disabled": Status.DISABLED, "unverified": Status.UNVERIFIED}.get(state, Status.ACTIVE)
    if state == "no address":
        return "\x00not an address@"
    if state == "unknown":
        return "nobody@example.com"
    lab.user("one@example.com", None if state == "without a password" else PASSWORD, status=status)
    if state == "over the limit":
        for _ in range(LINKS_AN_HOUR):
            lab.forgot("one@example.com")
    return "one@example.com"


def test_a_link_goes_to_the_address_and_the_row_holds_its_digest_alone(lab: Lab) -> None:
    """Attack 77: 32 random bytes, 30 minutes; DESIGN §4.8: the mail in the transaction of the challenge."""
    lab.forgot(EMAIL.upper(), client=HOME)
    assert lab.log == ["issue_link", "event reset_requested"]
    [(mail, payload)] = lab.mails
    assert (mail.to, mail.kind, mail.expires_at) == (EMAIL, "reset", NOW + LINK_LIFE)
    assert payload == {"token": lab.link, "minutes": 30, "device": "Unknown device", "ip": HOME.ip}
    challenge = loaded(lab, lab.link).challenge
    assert challenge.expires_at - challenge.created_at == 1800 * SECOND
    assert len(challenge.digest) == hashlib.sha256().digest_size
    assert lab.link not in repr(lab.store.rows())
    assert lab.store.rows() != lab_with_user().store.rows()


def test_no_two_links_are_the_same(lab: Lab) -> None:
    """Attack 77."""
    links = set()
    for _ in range(50):
        lab.forgot()
        lab.travel(800)
        links.add(lab.link)
    assert len(links) == 50


@pytest.mark.parametrize("state", STATES)
def test_the_work_is_the_same_for_every_address(lab: Lab, state: str) -> None:
    """Attack 65; ASVS 6.3.8: one look-up, one write, no hash, one ring of the bell; and nothing is raised."""
    email = someone(lab, state)
    looked: list[str] = []
    rung: list[str] = []
    lab.store.first["find_user"] = [lambda: looked.append("")]
    object.__setattr__(lab.world, "mail_queued", lambda: rung.append(""))
    lab.forget_log()
    lab.forgot(email)
    assert lab.log == ["issue_link", "event reset_requested"]
    assert (lab.hasher.calls, looked, rung) == ([], [""], [""])


@pytest.mark.parametrize(
    ("state", "mails"),
    [(state, int(state in ("known", "unverified", "without a password"))) for state in STATES],
)
def test_a_mail_goes_only_to_who_can_use_it(lab: Lab, state: str, mails: int) -> None:
    """Attack 65: none to an address that nobody has, none to who is disabled, none to who has had five."""
    email = someone(lab, state)
    before = len(lab.mails)
    lab.forgot(email)
    assert len(lab.mails) - before == mails


def test_five_links_an_hour_and_then_silence(lab: Lab) -> None:
    """DESIGN §4.5: asked for a sixth, nothing is said and nothing is sent; an hour later there are others."""
    for _ in range(LINKS_AN_HOUR + 3):
        lab.forgot()
    assert len(lab.mails) == LINKS_AN_HOUR
    lab.travel(3601)
    lab.forgot()
    assert len(lab.mails) == LINKS_AN_HOUR + 1


def test_links_asked_for_by_a_stranger_use_up_nobodys_codes() -> None:
    """Attack 55."""
    lab = lab_with_user(two_factor="required")
    for _ in range(9):
        lab.forgot(client=AWAY)
    for _ in range(10):
        lab.waiting()


def test_a_username_gets_no_link(lab: Lab) -> None:
    """DESIGN §5: the address is the proof."""
    step(users.create(lab.world, "bob@example.com", None, username="bob"))
    lab.forgot("bob")
    assert lab.mails == []


# --- using it


def test_a_link_sets_a_password_and_ends_everything_else(lab: Lab) -> None:
    """ASVS 7.4.3, 6.3.7; attacks 76, 77: all sessions, all siblings, one mail to the owner; no session begins."""
    here, there = lab.session(), lab.session(client=AWAY)
    lab.forgot()
    sibling = lab.link
    lab.forgot()
    link = lab.link
    lab.forget_log()
    lab.reset(link, NEW)
    assert written(lab) == [
        "redeem_reset",
        "event password_changed",
        "event session_ended",
        "event session_ended",
    ]
    assert lab.hasher.calls == ["hash"]
    assert kinds(lab)[0] == "password_changed"
    for grant in (here, there):
        assert lab.row(grant.session.sid).end is End.PASSWORD
        assert lab.guard(grant) == "session_ended"
        assert code_of(lambda: lab.refresh(grant.refresh_token)) == "session_ended"  # noqa: B023
    for token in (sibling, link):
        assert code_of(lambda: lab.reset(token, NEWER)) == "challenge_expired"  # noqa: B023
    assert code_of(lab.log_in) == "invalid_credentials"
    lab.session(password=NEW)


@pytest.mark.parametrize("token", [None, "", FOREIGN, "wwc_x", "wwc_" + "A" * 42 + "B", "é" * 40])
def test_no_token_is_as_good_as_none(lab: Lab, token: str | None) -> None:
    """Attack 77: and the new password is not looked at."""
    before = lab.store.rows()
    for new in (NEW, "short", "x" * 5000):
        assert code_of(lambda: lab.reset(token, new)) == "challenge_expired"  # noqa: B023
    assert lab.hasher.calls == []
    assert lab.store.rows() == before
    assert set(lab.facts) == {"reset_refused"}


def used(lab: Lab) -> None:
    lab.reset(lab.link, NEW)


def expired(lab: Lab) -> None:
    lab.travel(1800)


def password_set(lab: Lab) -> None:
    step(users.set_password(lab.world, lab.stored(), "v1:set by somebody"))


def address_changed(lab: Lab) -> None:
    user = lab.stored()
    fields = {name: getattr(user, name) for name in user.__slots__} | {"email": "new@example.com"}
    lab.store._users[user.id] = type(user)(**fields)


def disabled(lab: Lab) -> None:
    step(users.set_status(lab.world, lab.stored(), Status.DISABLED))


def disabled_for_a_while(lab: Lab) -> None:
    disabled(lab)
    step(users.set_status(lab.world, lab.stored(), Status.ACTIVE))


def deleted(lab: Lab) -> None:
    step(users.delete(lab.world, lab.stored()))


def swept(lab: Lab) -> None:
    lab.travel((REMEMBERED + LINK_LIFE) / SECOND + 1)
    step(sweep(lab.world))


OVER = [used, expired, password_set, address_changed, disabled, disabled_for_a_while, deleted, swept]


@pytest.mark.parametrize("happened", OVER)
def test_a_link_is_over_when_anything_has_happened(lab: Lab, happened: Callable[[Lab], None]) -> None:
    """Attack 77: one answer for all, before the new password is judged."""
    lab.forgot()
    link = lab.link
    happened(lab)
    before = lab.store.rows()
    lab.forget_log()
    for new in (NEWER, "short"):
        assert code_of(lambda: lab.reset(link, new)) == "challenge_expired"  # noqa: B023
    assert (lab.store.rows(), lab.hasher.calls) == (before, [])


@pytest.mark.parametrize("happened", OVER[:-2])
def test_a_link_is_over_when_it_happens_while_the_password_is_hashed(
    lab: Lab, happened: Callable[[Lab], None]
) -> None:
    """Attack 77: two uses at once are one, and the last word is the store's."""
    lab.forgot()
    link = lab.link
    rows: list[object] = []

    def meanwhile() -> None:
        happened(lab)
        rows.append(lab.store.rows())

    lab.store.first["redeem_reset"] = [meanwhile]
    assert code_of(lambda: lab.reset(link, NEWER)) == "challenge_expired"
    assert rows == [lab.store.rows()]


def test_a_link_is_good_until_its_last_moment_and_after_a_password_that_was_refused(lab: Lab) -> None:
    """DESIGN §4.7: who chose badly chooses again."""
    lab.forgot()
    link = lab.link
    before = lab.store.rows()
    for new in ("short", "password1", EMAIL):
        assert code_of(lambda: lab.reset(link, new)) == "invalid_request"  # noqa: B023
    assert lab.store.rows() == before
    lab.travel(1799)
    lab.reset(link, NEW)


def test_attack_59_a_reset_by_mail_and_a_code_by_mail_are_not_two_factors() -> None:
    """Attack 59; ASVS 6.4.3: the second step is asked for as ever, and `amr` never says mfa."""
    lab = lab_with_user(two_factor="required")
    lab.forgot()
    lab.reset(lab.link, NEW)
    assert step(lab.store.list_sessions(lab.stored().id, now=NOW)) == []
    begun = lab.log_in(password=NEW)
    assert isinstance(begun, SecondStep)
    grant = lab.try_code(begun.token)
    assert grant.session.amr == ("pwd", "otp")


def test_attack_59_a_link_is_no_second_step_and_a_second_step_is_no_link() -> None:
    """Attack 59: what was mailed for one thing opens nothing else."""
    lab = lab_with_user(two_factor="required")
    begun = lab.waiting()
    lab.forgot()
    assert code_of(lambda: lab.try_code(lab.link, "012345")) == "challenge_expired"
    assert code_of(lambda: lab.reset(begun.token, NEW)) == "challenge_expired"


def test_attack_75_who_resets_the_account_that_a_stranger_made_has_it_alone(lab: Lab) -> None:
    """Attack 75: the address is proved, so the user signs in; the stranger's password does not."""
    lab.user("victim@example.com", "what the stranger chose", status=Status.UNVERIFIED)
    lab.forgot("victim@example.com")
    lab.forget_log()
    lab.reset(lab.link, NEW)
    assert lab.facts == ["password_changed", "status_changed"]
    row = lab.stored("victim@example.com")
    assert (row.status, row.email_verified, row.two_factor) == (Status.ACTIVE, True, False)
    lab.session("victim@example.com", password=NEW)
    assert (
        code_of(lambda: lab.log_in("victim@example.com", "what the stranger chose")) == "invalid_credentials"
    )


def test_who_never_had_a_password_sets_one(lab: Lab) -> None:
    """DESIGN §4.5."""
    lab.user("new@example.com", None)
    lab.forgot("new@example.com")
    lab.reset(lab.link, NEW)
    lab.session("new@example.com", password=NEW)


def test_a_login_that_waited_for_its_code_ends_with_the_reset() -> None:
    """Attacks 45, 76."""
    lab = lab_with_user(two_factor="required")
    begun = lab.waiting()
    code = lab.code
    lab.forgot()
    lab.reset(lab.link, NEW)
    assert code_of(lambda: lab.try_code(begun.token, code)) == "challenge_expired"
