"""Deleting an account and moving it to another address: what ends, who is told, and what nobody learns."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.flows.stepping import AWAY, EMAIL, HOME, PASSWORD, SECOND, Lab, code_of, lab_with_user, step
from watchword.core.challenge import LINK_LIFE, LINKS_AN_HOUR
from watchword.core.factor import Factor, Method
from watchword.core.session import Client, End
from watchword.core.user import Status
from watchword.errors import Unavailable
from watchword.features.account import flow
from watchword.features.email_code import flow as email_code
from watchword.features.email_verification import flow as verification
from watchword.features.password import flow as password
from watchword.flows import users
from watchword.flows.end import end_all, end_one
from watchword.flows.grant import Grant
from watchword.ports import LoadedSession
from watchword.settings import Mode

NEW, OTHER = "augusta@example.com", "eve@example.com"
PHONE = Client("198.51.100.9", "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0")


def loaded(lab: Lab, grant: Grant) -> LoadedSession:
    found = step(lab.store.load_session(grant.session.sid))
    assert found is not None
    return found


def delete(lab: Lab, grant: Grant, client: Client = HOME) -> None:
    step(flow.delete(lab.world, loaded(lab, grant), client=client))


def ask(lab: Lab, grant: Grant, email: str = NEW, client: Client = HOME) -> None:
    step(flow.ask_change(lab.world, loaded(lab, grant), email, client=client))


def link(lab: Lab) -> str:
    """The token of the link that was sent last."""
    text = next(payload["token"] for mail, payload in lab.mails if mail.kind == "address")
    assert isinstance(text, str)
    return text


def confirm(lab: Lab, token: str | None, client: Client = AWAY) -> None:
    step(verification.verify(lab.world, token, None, client=client))


def kinds(lab: Lab) -> list[str]:
    return [mail.kind for mail, _ in lab.mails]


def revoke(lab: Lab, grant: Grant) -> Callable[[], object]:
    """As its owner does from another device."""
    user_id = lab.stored().id
    return lambda: step(end_one(lab.world, grant.session.sid, End.REVOKED, user_id=user_id))


def away() -> None:
    """The database does not answer any more."""
    raise Unavailable(retry_after=1)


# --- who acts


ACTS: dict[str, Callable[[Lab, LoadedSession], object]] = {
    "change_own_password": lambda lab, found: step(
        password.change(lab.world, found, PASSWORD, "an entirely new engine", client=HOME)
    ),
    "delete_own_user": lambda lab, found: step(flow.delete(lab.world, found, client=HOME)),
    "issue_change": lambda lab, found: step(flow.ask_change(lab.world, found, NEW, client=HOME)),
    "add_factor": lambda lab, found: step(email_code.turn_on(lab.world, found, Method.EMAIL, client=HOME)),
    "remove_factor": lambda lab, found: step(email_code.turn_off(lab.world, found, "f", client=HOME)),
}


@pytest.mark.parametrize("verb", ACTS)
def test_a_session_that_was_revoked_in_between_changes_nothing(verb: str) -> None:
    """Attack 45: between its look-up and the write; and that is what its client is told."""
    lab = lab_with_user(two_factor="optional")
    here = lab.session()
    found = loaded(lab, here)
    if verb == "remove_factor":
        factor = Factor("f", lab.stored().id, Method.EMAIL, lab.clock.now())
        step(lab.store.add_factor(factor, now=lab.clock.now(), keep=here.session.sid))
    before = lab.stored()
    lab.store.first[verb] = [revoke(lab, here)]
    assert code_of(lambda: ACTS[verb](lab, found)) == "session_ended"
    assert lab.stored() == before
    assert lab.mails == []
    assert lab.facts[-1] == "session_ended"


# --- a password, as one


def test_a_changed_password_is_never_answered_by_a_failure(lab: Lab) -> None:
    """ASVS 6.2.2: the proof is part of the write, so that nothing can fail behind it."""
    here = lab.session()
    found = loaded(lab, here)
    lab.store.first["swap_session"] = [away]
    lab.store.first["change_own_password"] = [lambda: lab.store.first.update({"load_session": [away]})]
    grant = ACTS["change_own_password"](lab, found)
    assert isinstance(grant, Grant)
    assert grant.session.auth_time == lab.clock.now()
    lab.store.first.clear()
    lab.session(password="an entirely new engine")


def test_a_refresh_in_between_is_not_lost_by_a_change(lab: Lab) -> None:
    """DESIGN §4.1: the password is hashed once, and the write decided again over what the session is then."""
    here = lab.session()
    found = loaded(lab, here)
    renewed: list[Grant] = []
    lab.store.first["change_own_password"] = [lambda: renewed.append(lab.refresh(here.refresh_token))]
    lab.forget_log()
    grant = ACTS["change_own_password"](lab, found)
    assert isinstance(grant, Grant)
    assert lab.hasher.calls == ["verify", "hash"]
    assert grant.session.lineage.newest == renewed[0].session.lineage.newest + 1


# --- an end


@pytest.mark.parametrize("mode", list(Mode))
def test_who_deletes_themselves_is_gone_everywhere(lab: Lab, mode: Mode) -> None:
    """DESIGN §5, ASVS 7.4.2: sessions are refused at once, nobody signs in, and the owner is told with the write."""
    here, there = lab.session(mode=mode), lab.session(client=AWAY)
    user = lab.stored()
    lab.forget_log()
    delete(lab, here, PHONE)
    assert [line for line in lab.log if line != "end_session"] == [
        "delete_own_user",
        "event session_ended",
        "event session_ended",
        "event user_deleted",
    ]
    told = lab.events[-1]
    assert (told.user_id, told.sid, told.ip) == (user.id, here.session.sid, PHONE.ip)
    assert lab.guard(there) == "session_ended"
    if mode is not Mode.SESSION:
        assert lab.guard(here) == "session_ended"
    assert step(lab.store.load_user(user.id)) is None
    assert code_of(lab.log_in) == "invalid_credentials"
    assert code_of(lambda: lab.refresh(there.refresh_token)) == "invalid_token"
    (mail, payload), *_ = lab.mails
    assert (mail.to, mail.kind) == (EMAIL, "account_deleted")
    assert payload == {"device": "Firefox on Linux", "ip": PHONE.ip}
    assert len(step(lab.store.read_revocations(since=0)).ended) == 2


def test_nobody_is_deleted_twice(lab: Lab) -> None:
    here = lab.session()
    found = loaded(lab, here)
    delete(lab, here)
    assert code_of(lambda: step(flow.delete(lab.world, found, client=HOME))) == "session_ended"
    assert kinds(lab) == ["account_deleted"]


# --- another address


def test_a_followed_link_moves_the_account(lab: Lab) -> None:
    """Attack 76, ASVS 7.4.3: proved at the new address; every other session ends, the old address is told."""
    here, there = lab.session(), lab.session(client=AWAY)
    user = lab.stored()
    ask(lab, here)
    (mail, payload), *_ = lab.mails
    assert (mail.to, mail.kind, payload["minutes"]) == (NEW, "address", 30)
    assert mail.expires_at - mail.created_at == LINK_LIFE, "as long as the link, and before any notice"
    assert payload["account"] == "a…@example.com", "who it is, for its owner alone"
    assert EMAIL not in lab.world.letters.write(mail, payload).text
    assert lab.stored() == user, "nothing has changed yet"
    lab.forget_log()
    confirm(lab, link(lab), PHONE)
    assert [line for line in lab.log if line != "end_session"] == [
        "redeem_change",
        "event address_changed",
        "event session_ended",
    ]
    moved = step(lab.store.load_user(user.id))
    assert moved is not None
    assert (moved.email, moved.email_verified) == (NEW, True)
    assert lab.guard(here) == "ok"
    assert lab.row(there.session.sid).end is End.ADDRESS
    assert code_of(lab.log_in) == "invalid_credentials"
    lab.session(NEW)
    old, told = lab.mails[0]
    assert (old.to, old.kind) == (EMAIL, "address_changed")
    assert told == {"device": "Firefox on Linux", "ip": PHONE.ip}


@pytest.mark.parametrize("spelt", ["AUGUSTA@example.com", "augusta@EXAMPLE.com", " augusta@example.com"])
def test_an_address_has_one_form(lab: Lab, spelt: str) -> None:
    """Attack 69: it is judged and stored in the form that sign-ins look up, and mail goes there."""
    here = lab.session()
    outcome = code_of(lambda: ask(lab, here, spelt))
    if spelt.strip() != spelt:
        assert outcome == "invalid_request"
        return
    confirm(lab, link(lab))
    assert lab.stored(NEW).email == NEW
    assert lab.mails[1][0].to == NEW


@pytest.mark.parametrize("email", ["", "nobody", "a@b@example.com", "ada@localhost..", "a" * 321])
def test_what_is_no_address_is_refused(lab: Lab, email: str) -> None:
    """Attack 69."""
    here = lab.session()
    assert code_of(lambda: ask(lab, here, email)) == "invalid_request"
    assert lab.mails == []


def test_ones_own_address_is_no_change(lab: Lab) -> None:
    here = lab.session()
    assert code_of(lambda: ask(lab, here, EMAIL.upper())) == "invalid_request"
    assert lab.mails == []


def test_an_address_that_is_somebodys_costs_the_same_and_opens_nothing(lab: Lab) -> None:
    """Attack 65: the same writes and the same facts; its owner is told, and there is no link."""
    lab.user(OTHER)
    here = lab.session()
    lab.forget_log()
    ask(lab, here)
    free = list(lab.log)
    lab.forget_log()
    ask(lab, here, OTHER)
    assert lab.log == free
    (mail, payload), *_ = lab.mails
    assert (mail.to, mail.kind, set(payload)) == (OTHER, "address_taken", {"device", "ip"})
    assert code_of(lambda: confirm(lab, link(lab))) == "challenge_expired", "the later request counts"
    assert lab.stored().email == EMAIL


def test_an_address_that_somebody_takes_meanwhile_stays_theirs(lab: Lab) -> None:
    """Attack 69: and whoever asked is told what everybody is told whose link is over."""
    here = lab.session()
    ask(lab, here)
    lab.user(NEW)
    before = lab.store.rows()
    assert code_of(lambda: confirm(lab, link(lab))) == "challenge_expired"
    assert lab.store.rows() == before


def test_a_registration_that_nobody_has_confirmed_keeps_nobody_from_an_address(lab: Lab) -> None:
    """Attack 75: it is treated as nobody's, and goes when the address is proved."""
    lab.user(NEW)
    step(users.set_status(lab.world, lab.stored(NEW), Status.UNVERIFIED))
    here = lab.session()
    user_id, squatter = lab.stored().id, lab.stored(NEW).id
    ask(lab, here)
    confirm(lab, link(lab))
    assert lab.stored(NEW).id == user_id
    told = [(event.user_id, event.detail) for event in lab.events if event.name == "user_deleted"]
    assert told == [(squatter, "unverified")]


def test_a_link_is_good_once(lab: Lab) -> None:
    """Attack 77. ASVS 6.4.1."""
    here = lab.session()
    ask(lab, here)
    token = link(lab)
    confirm(lab, token)
    before = lab.store.rows()
    assert code_of(lambda: confirm(lab, token)) == "challenge_expired"
    assert lab.store.rows() == before


@pytest.mark.parametrize("token", [None, "", "wwc_", "wwc_" + "A" * 43])
def test_what_is_no_link_moves_nothing(lab: Lab, token: str | None) -> None:
    """Attack 62: like a used or an expired one."""
    ask(lab, lab.session())
    assert code_of(lambda: confirm(lab, token)) == "challenge_expired"


@pytest.mark.parametrize("late", [LINK_LIFE // SECOND, -120])
def test_a_link_is_over_after_half_an_hour_and_no_clock_revives_it(lab: Lab, late: int) -> None:
    """Attacks 63, 77. ASVS 6.4.1."""
    ask(lab, lab.session())
    lab.travel(late)
    assert code_of(lambda: confirm(lab, link(lab))) == "challenge_expired"


@pytest.mark.parametrize("by", ["changed", "reset", "admin", "disabled"])
def test_a_pending_change_dies_with_the_password_and_the_status(lab: Lab, by: str) -> None:
    """Attack 76: what a thief has begun ends with the password that keeps them out."""
    here = lab.session()
    ask(lab, here)
    token, user = link(lab), lab.stored()
    match by:
        case "changed":
            ACTS["change_own_password"](lab, loaded(lab, here))
        case "reset":
            lab.forgot()
            lab.reset(lab.link, "an entirely new engine")
        case "admin":
            step(users.set_password(lab.world, user, "v1:new"))
        case _:
            step(users.set_status(lab.world, user, Status.DISABLED))
            step(users.set_status(lab.world, user, Status.ACTIVE))
    assert code_of(lambda: confirm(lab, token)) == "challenge_expired"
    assert lab.stored().email == EMAIL


@pytest.mark.parametrize("everything", [False, True])
def test_a_pending_change_dies_with_the_session_that_asked_for_it(lab: Lab, everything: bool) -> None:
    """Attack 76: the owner who throws a thief out keeps the account."""
    here = lab.session()
    ask(lab, here)
    if everything:
        step(end_all(lab.world, lab.stored().id, End.LOGOUT))
    else:
        revoke(lab, here)()
    assert code_of(lambda: confirm(lab, link(lab))) == "challenge_expired"
    assert lab.stored().email == EMAIL


def test_a_change_ends_the_links_and_codes_of_before() -> None:
    """Attack 77: a reset link in the old mailbox, and a login that waits for its code."""
    lab = lab_with_user(two_factor="optional")
    here = lab.session()
    lab.forgot()
    reset = lab.link
    factor = Factor("f", lab.stored().id, Method.EMAIL, lab.clock.now())
    step(lab.store.add_factor(factor, now=lab.clock.now(), keep=here.session.sid))
    begun = lab.waiting(client=AWAY)
    code = lab.code
    ask(lab, here)
    confirm(lab, link(lab))
    assert code_of(lambda: lab.reset(reset, "an entirely new engine")) == "challenge_expired"
    assert code_of(lambda: lab.try_code(begun.token, code, client=AWAY)) == "challenge_expired"


def test_five_changes_an_hour(lab: Lab) -> None:
    """Attack 55: a session that was stolen floods no mailbox."""
    here = lab.session()
    for number in range(LINKS_AN_HOUR):
        ask(lab, here, f"someone{number}@example.com")
    assert code_of(lambda: ask(lab, here)) == "rate_limited"
    assert len(lab.mails) == LINKS_AN_HOUR


def test_five_an_hour_to_one_mailbox_whoever_asks() -> None:
    """Attack 55: nor do many accounts together."""
    lab = lab_with_user(limits="email_change=5/h")
    for number in range(6):
        lab.user(f"user{number}@example.com")
        here = lab.session(f"user{number}@example.com", client=Client(f"192.0.2.{number}", ""))
        outcome = code_of(lambda: ask(lab, here))  # noqa: B023
        assert outcome == ("ok" if number < 5 else "rate_limited")


def test_one_account_leaves_an_address_something_for_its_owner() -> None:
    """Attacks 55, 68: a refused asker spends nothing of it, however often they ask."""
    lab = lab_with_user(limits="on")
    here = lab.session()
    outcomes = [code_of(lambda: ask(lab, here)) for _ in range(20)]
    assert outcomes == ["ok"] * 3 + ["rate_limited"] * 17
    lab.user(OTHER)
    owner = lab.session(OTHER, client=PHONE)
    assert [code_of(lambda: ask(lab, owner)) for _ in range(3)] == ["ok", "ok", "rate_limited"]


def test_no_message_of_these_opens_anything_but_the_link(lab: Lab) -> None:
    """Attacks 61, 78: they say from where, and only the link's has one, made from settings alone."""
    lab.user(OTHER)
    here = lab.session()
    ask(lab, here, OTHER, PHONE)
    ask(lab, here, NEW, PHONE)
    confirm(lab, link(lab), PHONE)
    delete(lab, here, PHONE)
    assert sorted(kinds(lab)) == ["account_deleted", "address", "address_changed", "address_taken"]
    for mail, payload in lab.mails:
        letter = lab.world.letters.write(mail, payload)
        for text in (letter.text, letter.html):
            assert "Firefox on Linux, from 198.51.100.9" in text
            links = [word for word in text.split() if "://" in word]
            assert len(links) == (1 if mail.kind == "address" else 0)
            assert all("http://testserver/auth/address#wwc_" in word for word in links)
