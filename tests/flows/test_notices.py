"""What owners are told by mail: of sign-ins from elsewhere, of sessions that end, of changes to their second step."""

from __future__ import annotations

import secrets
from typing import Any

import pytest

from tests.flows.stepping import AWAY, EMAIL, HOME, NOW, PASSWORD, Lab, code_of, lab_with_user, minted, step
from watchword.core.factor import Method
from watchword.core.known_device import NONCE
from watchword.core.session import Client, End
from watchword.events import Event
from watchword.features.email_code import flow as email_code
from watchword.features.password import flow as password
from watchword.flows import end, users
from watchword.flows.grant import Grant
from watchword.flows.outbox import opened
from watchword.flows.second_step import SecondStep
from watchword.ports import LoadedSession
from watchword.settings import Mode

DAY = 86_400


def told(lab: Lab) -> list[str]:
    """The kinds of all mail, the first that was queued first."""
    return [mail.kind for mail, _ in reversed(lab.mails)]


def loaded(lab: Lab, grant: Grant) -> LoadedSession:
    found = step(lab.store.load_session(grant.session.sid))
    assert found is not None
    return found


def device(lab: Lab) -> str:
    """The cookie of a browser on which the user has signed in."""
    return lab.world.devices.mint(lab.stored(), secrets.token_bytes(NONCE), lab.clock.now())


def by_device(lab: Lab, token: str | None, **options: Any) -> Grant | SecondStep:
    given: dict[str, Any] = {
        "client": AWAY,
        "mode": Mode.COOKIES,
        "replaces": None,
        "device": token,
    } | options
    outcome = step(password.log_in(lab.world, EMAIL, PASSWORD, **given))
    assert isinstance(outcome, Grant | SecondStep)
    return outcome


# --- a new device


def test_the_first_sign_in_of_a_new_account_is_no_news(lab: Lab) -> None:
    lab.session()
    assert told(lab) == []


def test_a_sign_in_from_a_browser_that_nobody_knows_is_told(lab: Lab) -> None:
    """ASVS 6.3.5, 8.2.4: with device, address and time, in the write of the session."""
    lab.session()
    lab.forget_log()
    lab.session(client=AWAY)
    assert lab.log == ["insert_session", "event signed_in"]
    [(mail, says)] = lab.mails
    assert (mail.kind, mail.to) == ("new_device", EMAIL)
    assert says == {"device": "Unknown device", "ip": AWAY.ip, "at": "2027-01-15 08:00 UTC"}


@pytest.mark.parametrize(
    ("client", "news"),
    [
        (HOME, False),
        (Client("192.0.2.99", HOME.user_agent), False),
        (Client("192.0.3.7", HOME.user_agent), True),
        (Client(HOME.ip, "Safari"), True),
        (Client("", HOME.user_agent), True),
    ],
)
def test_a_live_session_of_the_same_browser_and_network_vouches_for_it(
    lab: Lab, client: Client, news: bool
) -> None:
    """ASVS 6.3.5: for clients that keep no cookie."""
    lab.session(mode=Mode.BEARER)
    lab.session(mode=Mode.BEARER, client=client)
    assert told(lab) == ["new_device"] * news


def test_a_session_that_has_ended_vouches_for_nothing(lab: Lab) -> None:
    """Nor does one of somebody else."""
    lab.user("eve@example.com")
    lab.session("eve@example.com")
    grant = lab.session()
    lab.travel(DAY)
    step(end.end_one(lab.world, grant.session.sid, End.LOGOUT, user_id=grant.user.id))
    lab.session()
    assert told(lab) == ["new_device"]


def test_an_old_account_without_sessions_is_told_of_its_next_one(lab: Lab) -> None:
    """ASVS 6.3.5: an account that nobody has used for long is worth most to a thief."""
    lab.travel(DAY - 1)
    lab.session()
    lab.travel(40 * DAY)
    lab.session()
    assert told(lab) == ["new_device"]


def test_a_known_device_is_no_news_and_costs_no_look_up(lab: Lab) -> None:
    """Attack 66's cookie: whoever brings it has signed in there before."""
    lab.session()
    asked: list[str] = []
    lab.store.first["list_sessions"] = [lambda: asked.append("list_sessions")] * 2
    by_device(lab, device(lab))
    assert (told(lab), asked) == ([], [])
    by_device(lab, None, client=Client("203.0.113.9", "Safari"))
    assert (told(lab), asked) == (["new_device"], ["list_sessions"])


@pytest.mark.parametrize("forged", [None, "", "x" * 76])
def test_who_brings_no_genuine_token_is_news(lab: Lab, forged: str | None) -> None:
    lab.session()
    by_device(lab, forged)
    assert told(lab) == ["new_device"]


def test_anothers_device_is_news(lab: Lab) -> None:
    lab.user("eve@example.com")
    theirs = lab.world.devices.mint(lab.stored("eve@example.com"), secrets.token_bytes(NONCE), NOW)
    lab.session()
    by_device(lab, theirs)
    assert told(lab) == ["new_device"]


def test_a_device_stays_known_while_its_password_is_hashed_anew(lab: Lab) -> None:
    """Its token is bound to the digest; a change of parameters must not write to everybody."""
    lab.session()
    token = device(lab)
    lab.hasher.parameters = "v2"
    by_device(lab, token)
    assert lab.stored().digest == f"v2:{PASSWORD}"
    assert told(lab) == []


@pytest.mark.parametrize("known", [True, False])
def test_the_second_step_remembers_what_the_first_one_knew(known: bool) -> None:
    """ASVS 6.3.5: told when the session begins, and not when a stranger gets no further than the code."""
    lab = lab_with_user(two_factor="required")
    lab.try_code(lab.waiting().token)
    begun = by_device(lab, device(lab) if known else None)
    assert isinstance(begun, SecondStep)
    assert told(lab) == ["code", "code"]
    lab.try_code(begun.token, client=AWAY)
    assert told(lab) == ["code", "code", *["new_device"] * (not known)]


def test_a_sign_in_that_comes_to_nothing_is_not_told(lab: Lab) -> None:
    lab.session()
    lab.store.first["insert_session"] = [lambda: step(users.set_password(lab.world, lab.stored(), "v1:new"))]
    assert code_of(lambda: lab.log_in(client=AWAY)) == "invalid_credentials"
    assert told(lab) == []


def test_refreshing_from_elsewhere_is_never_told(lab: Lab) -> None:
    """People carry their devices about."""
    grant = lab.session()
    for _ in range(3):
        lab.travel(60)
        grant = lab.refresh(grant.refresh_token, client=AWAY)
    assert told(lab) == []


# --- too many


def test_the_session_not_used_for_longest_makes_room_and_its_owner_is_told() -> None:
    """ASVS 7.1.2, 16.3.1: one message a sign-in, one event a session, refused by this process at once."""
    lab = lab_with_user(max_sessions="2")
    first, second = lab.session(), lab.session()
    lab.travel(60)
    first = lab.refresh(first.refresh_token)
    lab.forget_log()
    third = lab.session()
    assert [lab.guard(grant) for grant in (first, second, third)] == ["ok", "session_ended", "ok"]
    assert lab.log == ["insert_session", "event session_ended", "event signed_in"]
    assert lab.events[0] == Event(
        "session_ended", lab.clock.now(), second.user.id, second.session.sid, HOME.ip, "evicted"
    )
    assert lab.row(second.session.sid).end is End.EVICTED
    assert code_of(lambda: lab.refresh(second.refresh_token)) == "session_ended"
    [(mail, says)] = lab.mails
    assert (mail.kind, says["most"], says["new"]) == ("session_evicted", 2, False)


def test_one_message_tells_of_a_new_device_and_of_what_made_room_for_it() -> None:
    """ASVS 6.3.5, 7.1.2."""
    lab = lab_with_user(max_sessions="1")
    lab.session()
    lab.session(client=AWAY)
    [(mail, says)] = lab.mails
    assert (mail.kind, says["new"]) == ("session_evicted", True)
    letter = opened(lab.world, mail)
    assert "that we had not seen there" in letter.text
    assert "on 1 device at once" in letter.text


def test_signing_in_over_somebody_elses_session_names_whose_it_was(lab: Lab) -> None:
    """Attack 32; ASVS 16.2.1."""
    lab.user("eve@example.com")
    ada = lab.session()
    lab.forget_log()
    lab.session("eve@example.com", replaces=ada.session.sid)
    ended, begun = lab.events
    assert (ended.name, ended.user_id, ended.detail) == ("session_ended", ada.user.id, "replaced")
    assert begun.user_id == lab.stored("eve@example.com").id


# --- reuse


def test_a_reused_token_is_told_once_with_who_came_with_it(lab: Lab) -> None:
    """RFC 9700 §4.14.2; DESIGN §4.1: in the write that ends the session."""
    grant = lab.session()
    token = grant.refresh_token
    for _ in range(3):
        lab.travel(60)
        grant = lab.refresh(grant.refresh_token)
    lab.forget_log()
    for _ in range(2):
        assert code_of(lambda: lab.refresh(token, client=AWAY)) in ("refresh_reused", "session_ended")
    assert lab.log == ["end_session", "event refresh_reused"]
    [(mail, says)] = lab.mails
    assert (mail.kind, mail.to, says["ip"]) == ("refresh_reused", EMAIL, AWAY.ip)


def test_a_token_that_nobody_minted_is_not_told(lab: Lab) -> None:
    """A stranger who knows a session's id sends no mail."""
    grant = lab.session()
    forged = minted(lab, grant.session.sid, 1, seed=bytes(32))
    assert code_of(lambda: lab.refresh(forged)) == "invalid_token"
    assert told(lab) == []


# --- the second step


def test_turning_a_second_step_on_and_off_is_told() -> None:
    """ASVS 6.3.7."""
    lab = lab_with_user(two_factor="optional")
    mine = lab.session()
    factor = step(email_code.turn_on(lab.world, loaded(lab, mine), Method.EMAIL, client=HOME))
    again = email_code.turn_on(lab.world, loaded(lab, mine), Method.EMAIL, client=HOME)
    assert code_of(lambda: step(again)) == "already_exists"
    step(email_code.turn_off(lab.world, loaded(lab, mine), factor.id, client=AWAY))
    assert told(lab) == ["factor_added", "factor_removed"]
    assert [says["ip"] for _, says in reversed(lab.mails)] == [HOME.ip, AWAY.ip]


def test_an_administrator_turns_it_off_for_who_has_lost_it_and_that_is_told_too() -> None:
    """ASVS 6.3.7, 7.4.3, 6.4.4, 6.5.6: every session ends, and the next sign-in takes the password alone."""
    lab = lab_with_user(two_factor="optional")
    mine = lab.session()
    step(email_code.turn_on(lab.world, loaded(lab, mine), Method.EMAIL, client=HOME))
    lab.forget_log()
    assert step(lab.auth.users.turn_off_factors(EMAIL)) == 1
    assert lab.facts == ["factor_removed", "session_ended"]
    assert lab.guard(mine) == "session_ended"
    assert lab.row(mine.session.sid).end is End.FACTOR
    mail, _ = lab.mails[0]
    assert "turned off by an administrator" in opened(lab.world, mail).text
    assert step(lab.auth.users.factors(EMAIL)) == []
    lab.session()
    lab.forget_log()
    assert step(lab.auth.users.turn_off_factors(EMAIL)) == 0
    assert lab.log == []
