"""Signing up, proving the address and asking for another link, stepped over the memory store."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.flows.stepping import AWAY, EMAIL, HOME, NOW, PASSWORD, SECOND, Lab, code_of, lab_with_user, step
from watchword.core.challenge import LINK_LIFE, LINKS_AN_HOUR, REMEMBERED
from watchword.core.factor import Factor, Method
from watchword.core.login import Step
from watchword.core.registration import KEPT
from watchword.core.session import Client
from watchword.core.user import Status
from watchword.features.email_verification import flow as verification
from watchword.features.registration import flow as registration
from watchword.flows import users
from watchword.flows.sweep import sweep

ONE, CHOSEN, OTHER = "one@example.com", "an entirely new engine", "what a stranger chose"
LAPTOP = Client("192.0.2.9", "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0")
STATES = [
    "free",
    "active",
    "without a password",
    "disabled",
    "unverified",
    "over the limit",
    "taken and over",
]
FOREIGN = "wwc_" + "A" * 43


def sign_up(
    lab: Lab,
    email: str = ONE,
    password: str = CHOSEN,
    *,
    username: str | None = None,
    client: Client = HOME,
) -> None:
    step(registration.register(lab.world, email, password, username=username, client=client))


def verify(lab: Lab, token: str | None, password: str | None = None, *, client: Client = HOME) -> None:
    step(verification.verify(lab.world, token, password, client=client))


def resend(lab: Lab, email: str = ONE, *, client: Client = HOME) -> None:
    step(verification.resend(lab.world, email, client=client))


def links(lab: Lab) -> list[str]:
    """The tokens that were sent to prove an address, newest first."""
    return [payload["token"] for mail, payload in lab.mails if mail.kind == "verify"]


def kinds(lab: Lab) -> list[str]:
    return [mail.kind for mail, _ in lab.mails]


def someone(lab: Lab, state: str) -> str:
    """The address of one, or of nobody."""
    if state == "free":
        return ONE
    if state in ("unverified", "over the limit"):
        sign_up(lab, ONE, OTHER, client=AWAY)
    else:
        lab.user(ONE, None if state == "without a password" else PASSWORD)
    if state == "disabled":
        step(users.set_status(lab.world, lab.stored(ONE), Status.DISABLED))
    if state in ("over the limit", "taken and over"):
        for _ in range(LINKS_AN_HOUR):
            sign_up(lab, ONE, OTHER, client=AWAY)
    return ONE


# --- signing up


def test_a_new_user_is_unverified_and_a_link_goes_to_the_address(lab: Lab) -> None:
    """DESIGN §5, §4.5; attack 77: 30 minutes, the digest of the secret alone in the row, the mail written with it."""
    sign_up(lab, "ONE@Example.com", username="One", client=LAPTOP)
    assert lab.log == ["register", "event user_created"]
    assert lab.hasher.calls == ["hash"]
    row = lab.stored(ONE)
    assert (row.status, row.email_verified, row.roles) == (Status.UNVERIFIED, False, ())
    [(mail, payload)] = lab.mails
    assert (mail.to, mail.kind, mail.expires_at) == (ONE, "verify", NOW + LINK_LIFE)
    assert payload == {
        "token": links(lab)[0],
        "minutes": 30,
        "device": "Firefox on Linux",
        "ip": LAPTOP.ip,
    }
    assert links(lab)[0] not in repr(lab.store.rows())
    letter = lab.world.letters.write(mail, payload)
    for text in (letter.text, letter.html):
        assert f"http://testserver/auth/verify#{links(lab)[0]}" in text
        assert "Firefox on Linux" in text
        assert "do nothing" in text
        assert CHOSEN not in text


def test_the_name_is_had_when_the_address_is_proved_and_not_before(lab: Lab) -> None:
    """Attack 73: nobody keeps a name from others by signing up with addresses that are not theirs."""
    sign_up(lab, username="wanted", client=AWAY)
    assert lab.stored(ONE).username is None
    sign_up(lab, "two@example.com", username="Wanted")
    verify(lab, links(lab)[0])
    assert lab.stored("two@example.com").username == "wanted"
    verify(lab, links(lab)[1])
    row = lab.stored(ONE)
    assert (row.status, row.username) == (Status.ACTIVE, None)


@pytest.mark.parametrize("state", STATES)
def test_attack_65_the_work_is_the_same_for_every_address(state: str) -> None:
    """Attack 65; ASVS 6.3.8: one hash, one write, one ring of the bell, one event; and nothing is raised."""
    lab = lab_with_user()
    email = someone(lab, state)
    rung: list[str] = []
    object.__setattr__(lab.world, "mail_queued", lambda: rung.append(""))
    lab.forget_log()
    sign_up(lab, email)
    assert lab.hasher.calls == ["hash"]
    assert lab.log[0] == "register"
    assert len(lab.log) == 2
    assert rung == [""]


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        ("free", "verify"),
        ("unverified", "verify"),
        ("active", "already_registered"),
        ("without a password", "already_registered"),
        ("disabled", "already_registered"),
        ("over the limit", None),
        ("taken and over", None),
    ],
)
def test_who_has_the_address_is_told_by_mail(lab: Lab, state: str, kind: str | None) -> None:
    """DESIGN §5, attack 65: of a taken one its owner, and nothing of it changes; five an hour, then nobody."""
    email = someone(lab, state)
    before, users_before = len(lab.mails), dict(lab.store._users)
    sign_up(lab, email)
    assert kinds(lab)[: len(lab.mails) - before] == ([kind] if kind else [])
    if state != "free":
        assert lab.store._users == users_before


def test_the_owner_of_a_taken_address_learns_who_tried_and_how_to_set_a_password(lab: Lab) -> None:
    """DESIGN §5: and is given nothing that opens anything."""
    sign_up(lab, EMAIL, client=LAPTOP)
    [(mail, payload)] = lab.mails
    assert payload == {"device": "Firefox on Linux", "ip": LAPTOP.ip}
    letter = lab.world.letters.write(mail, payload)
    for text in (letter.text, letter.html):
        assert "http://testserver/auth/forgot" in text
        assert "192.0.2.9" in text
        assert "wwc_" not in text


@pytest.mark.parametrize(
    ("email", "password", "username", "field"),
    [
        ("no address", CHOSEN, None, "email"),
        ("one@two@example.com", CHOSEN, None, "email"),
        ("x" * 320 + "@example.com", CHOSEN, None, "email"),
        (ONE, CHOSEN, "not a name", "username"),
        (ONE, CHOSEN, "one@example.com", "username"),
        (ONE, "short", None, "password"),
        (ONE, "password1", None, "password"),
        (ONE, ONE, None, "password"),
        (ONE, "magnificent", "magnificent", "password"),
        (ONE, "x" * 1025, None, "password"),
        (ONE, "\ud800" * 9, None, "password"),
    ],
)
def test_what_is_not_valid_is_told_before_anything_is_hashed_or_written(
    lab: Lab, email: str, password: str, username: str | None, field: str
) -> None:
    """Attack 71; ASVS 6.2.4, 6.2.11."""
    before = lab.store.rows()
    lab.forget_log()
    refused: list[str] = []
    try:
        sign_up(lab, email, password, username=username)
    except Exception as error:  # noqa: BLE001 - which one is told below
        refused = [one.field for one in vars(error)["errors"]]
    assert refused == [field]
    assert (lab.store.rows(), lab.hasher.calls, lab.log) == (before, [], [])


def test_a_password_of_a_thousand_bytes_is_taken_whole(lab: Lab) -> None:
    """Attack 71: twins that differ in the last byte are two passwords; a NUL is a character like any other."""
    long = "entirely \x00new " * 72
    assert 1000 < len(long.encode()) <= 1024
    sign_up(lab, password=long)
    verify(lab, links(lab)[0])
    lab.session(ONE, password=long)
    assert code_of(lambda: lab.log_in(ONE, long[:-1] + "x")) == "invalid_credentials"


def test_an_address_that_becomes_free_meanwhile_is_signed_up_with_again(lab: Lab) -> None:
    """Attack 73: the store says that nothing was written, and is asked once more."""
    asked: list[str] = []
    real = lab.store.register

    async def first_refused(*of: Any) -> Any:
        asked.append("")
        return None if len(asked) == 1 else await real(*of)

    setattr(lab.store, "register", first_refused)  # noqa: B010 - for once another verb
    sign_up(lab)
    assert (len(asked), lab.stored(ONE).status) == (2, Status.UNVERIFIED)


# --- who signs in before the address is proved


def test_who_signed_up_first_is_told_to_prove_the_address_and_nobody_else_learns_anything(lab: Lab) -> None:
    """DESIGN §4.5: `verify_email` only with the password that is in the row."""
    sign_up(lab, username="one")
    assert lab.log_in(ONE, CHOSEN) is Step.VERIFY_EMAIL
    sign_up(lab, password=OTHER, client=AWAY)
    assert lab.log_in(ONE, CHOSEN) is Step.VERIFY_EMAIL
    for password in (OTHER, "neither of them"):
        lab.forget_log()
        assert code_of(lambda: lab.log_in(ONE, password)) == "invalid_credentials"  # noqa: B023
        assert lab.hasher.calls == ["verify"]
    assert lab.store._sessions == {}


# --- proving it


@pytest.mark.parametrize("password", [None, CHOSEN])
def test_a_link_makes_the_user_active_and_signs_nobody_in(lab: Lab, password: str | None) -> None:
    """DESIGN §5: token → 200; then they sign in as usual."""
    sign_up(lab, username="one")
    lab.forget_log()
    verify(lab, links(lab)[0], password)
    assert lab.log == ["redeem_registration", "event status_changed"]
    assert lab.hasher.calls == ([] if password is None else ["verify"])
    row = lab.stored(ONE)
    assert (row.status, row.email_verified, row.username) == (Status.ACTIVE, True, "one")
    assert lab.store._sessions == {}
    lab.session("one", password=CHOSEN)
    lab.session(ONE, password=CHOSEN)


@pytest.mark.parametrize("victim_first", [True, False])
def test_attack_75_whose_link_is_followed_has_the_account_alone(lab: Lab, victim_first: bool) -> None:
    """Attack 75: whatever a stranger signed up with, before or after; their link is over, and so is their password."""
    passwords = [CHOSEN, OTHER] if victim_first else [OTHER, CHOSEN]
    for password in passwords:
        sign_up(lab, password=password, username=f"name-of-{password[:2]}", client=AWAY)
    own, strangers = links(lab)[:: -1 if victim_first else 1]
    user = lab.stored(ONE)
    step(lab.store.add_factor(Factor("f", user.id, Method.EMAIL, NOW), now=NOW, keep=None))
    verify(lab, own)
    lab.session(ONE, password=CHOSEN)
    assert code_of(lambda: lab.log_in(ONE, OTHER)) == "invalid_credentials"
    assert code_of(lambda: verify(lab, strangers)) == "challenge_expired"
    row = lab.stored(ONE)
    assert (row.username, row.two_factor) == ("name-of-an", False)
    assert step(lab.store.list_factors(row.id)) == []


def test_attack_75_who_opens_a_strangers_link_with_their_own_password_confirms_nothing(lab: Lab) -> None:
    """Attack 75: the link stays as good as it was, for whom it is of; nothing is written."""
    sign_up(lab, password=OTHER, client=AWAY)
    before = lab.store.rows()
    lab.forget_log()
    assert code_of(lambda: verify(lab, links(lab)[0], CHOSEN)) == "invalid_credentials"
    assert (lab.store.rows(), lab.hasher.calls, lab.facts) == (before, ["verify"], ["verify_refused"])
    verify(lab, links(lab)[0], OTHER)


def test_attack_75_a_reset_drops_what_every_stranger_chose(lab: Lab) -> None:
    """Attack 75: the owner of the mailbox who never signed up, or has forgotten with what."""
    sign_up(lab, password=OTHER, username="stranger", client=AWAY)
    stranger = links(lab)[0]
    lab.forgot(ONE)
    lab.reset(lab.link, CHOSEN)
    assert code_of(lambda: verify(lab, stranger)) == "challenge_expired"
    row = lab.stored(ONE)
    assert (row.status, row.username) == (Status.ACTIVE, None)
    lab.session(ONE, password=CHOSEN)
    assert code_of(lambda: lab.log_in(ONE, OTHER)) == "invalid_credentials"


def test_a_name_that_somebody_took_meanwhile_is_not_had_and_the_address_is_proved(lab: Lab) -> None:
    """Attack 73: between the look and the write, too."""
    sign_up(lab, username="wanted")
    lab.store.first["redeem_registration"] = [
        lambda: step(users.create(lab.world, "two@example.com", None, username="wanted"))
    ]
    verify(lab, links(lab)[0])
    row = lab.stored(ONE)
    assert (row.status, row.username) == (Status.ACTIVE, None)


@pytest.mark.parametrize("token", [None, "", FOREIGN, "wwc_x", "wwc_" + "A" * 42 + "B", "é" * 40])
@pytest.mark.parametrize("password", [None, CHOSEN, "x" * 5000])
def test_no_token_is_as_good_as_none(lab: Lab, token: str | None, password: str | None) -> None:
    """Attack 77: and a password is not looked at."""
    sign_up(lab)
    before = lab.store.rows()
    lab.forget_log()
    assert code_of(lambda: verify(lab, token, password)) == "challenge_expired"
    assert (lab.store.rows(), lab.hasher.calls, lab.facts) == (before, [], ["verify_refused"])


def used(lab: Lab) -> None:
    verify(lab, links(lab)[0])


def another_used(lab: Lab) -> None:
    sign_up(lab, password=OTHER, client=AWAY)
    verify(lab, links(lab)[0])


def expired(lab: Lab) -> None:
    lab.travel(1800)


def password_set(lab: Lab) -> None:
    step(users.set_password(lab.world, lab.stored(ONE), "v1:set by somebody"))


def disabled(lab: Lab) -> None:
    step(users.set_status(lab.world, lab.stored(ONE), Status.DISABLED))


def enabled(lab: Lab) -> None:
    step(users.set_status(lab.world, lab.stored(ONE), Status.ACTIVE))


def deleted(lab: Lab) -> None:
    step(users.delete(lab.world, lab.stored(ONE)))


OVER = [used, another_used, expired, password_set, disabled, enabled, deleted]


@pytest.mark.parametrize("happened", OVER)
@pytest.mark.parametrize("password", [None, CHOSEN])
def test_a_link_is_over_when_anything_has_happened(
    lab: Lab, happened: Callable[[Lab], None], password: str | None
) -> None:
    """Attack 77: one answer for all, before a password is looked at."""
    sign_up(lab)
    token = links(lab)[0]
    happened(lab)
    before = lab.store.rows()
    lab.forget_log()
    assert code_of(lambda: verify(lab, token, password)) == "challenge_expired"
    assert (lab.store.rows(), lab.hasher.calls) == (before, [])


@pytest.mark.parametrize("happened", [happened for happened in OVER if happened is not deleted])
def test_a_link_is_over_when_it_happens_while_the_password_is_compared(
    lab: Lab, happened: Callable[[Lab], None]
) -> None:
    """Attack 77: the last word is the store's."""
    sign_up(lab)
    token = links(lab)[0]
    rows: list[object] = []

    def meanwhile() -> None:
        happened(lab)
        rows.append(lab.store.rows())

    lab.hasher.meanwhile = [meanwhile]
    assert code_of(lambda: verify(lab, token, CHOSEN)) == "challenge_expired"
    assert rows == [lab.store.rows()]


def test_attack_59_a_link_is_of_one_kind(lab: Lab) -> None:
    """Attacks 19, 59: none that sets a password proves an address, nor the other way round."""
    sign_up(lab)
    lab.forgot(ONE)
    assert code_of(lambda: verify(lab, lab.link)) == "challenge_expired"
    assert code_of(lambda: lab.reset(links(lab)[0], CHOSEN)) == "challenge_expired"
    assert lab.stored(ONE).status is Status.UNVERIFIED


# --- another link


def test_another_link_is_of_the_same_registration_and_leaves_the_first(lab: Lab) -> None:
    """Decision 17: another secret, the same password; the mail names who signed up, not who asked."""
    sign_up(lab, username="one", client=LAPTOP)
    lab.forget_log()
    resend(lab, "One@Example.com", client=LAPTOP)
    assert lab.log == ["issue_link", "event verify_requested"]
    assert lab.hasher.calls == []
    (again, payload), (first, said) = lab.mails
    assert again.to == first.to == ONE
    assert payload | {"token": ""} == said | {"token": ""}
    assert len(set(links(lab))) == 2
    verify(lab, links(lab)[0], CHOSEN)
    assert lab.stored(ONE).username == "one"
    assert code_of(lambda: verify(lab, links(lab)[1])) == "challenge_expired"


@pytest.mark.parametrize("how", ["a new password", "disabled and enabled", "enabled"])
def test_whom_an_administrator_has_touched_can_still_prove_the_address(lab: Lab, how: str) -> None:
    """Attack 75: enabling is no proof, and no dead end; the password is the one that was set last."""
    sign_up(lab)
    password = CHOSEN
    if how == "a new password":
        password = OTHER
        digest = step(lab.world.hasher.hash(OTHER))
        step(users.set_password(lab.world, lab.stored(ONE), digest))
    if how == "disabled and enabled":
        disabled(lab)
    if how != "a new password":
        assert step(users.enable(lab.world, lab.stored(ONE))) is Status.UNVERIFIED
        assert (lab.events[-1].name, lab.events[-1].detail) == ("status_changed", "unverified")
    resend(lab)
    verify(lab, links(lab)[0], password)
    assert lab.stored(ONE).status is Status.ACTIVE
    lab.session(ONE, password=password)
    assert step(users.enable(lab.world, lab.stored(ONE))) is Status.ACTIVE


def test_who_has_no_password_is_sent_no_link(lab: Lab) -> None:
    step(users.create(lab.world, ONE, None, status=Status.UNVERIFIED))
    resend(lab)
    assert lab.mails == []


def test_another_link_is_that_of_who_asks_else_the_newest(lab: Lab) -> None:
    """Decision 17, attack 75: a stranger who signs up later does not take the place of what its owner waits for."""
    sign_up(lab, client=HOME)
    lab.travel(1)
    sign_up(lab, password=OTHER, client=AWAY)
    for asking, ip in ((HOME, HOME.ip), (AWAY, AWAY.ip), (LAPTOP, AWAY.ip)):
        lab.travel(1)
        resend(lab, client=asking)
        assert lab.mails[0][1]["ip"] == ip


def test_another_link_is_sent_a_week_later_too(lab: Lab) -> None:
    """Decision 17: whoever signed up is remembered until they are forgotten altogether."""
    sign_up(lab)
    lab.travel((KEPT + LINK_LIFE) / SECOND - 1)
    step(sweep(lab.world))
    resend(lab)
    verify(lab, links(lab)[0], CHOSEN)
    lab.session(ONE, password=CHOSEN)


def test_who_never_proves_an_address_is_forgotten(lab: Lab) -> None:
    """ASVS 14.2.7: after a week, and the address is free."""
    sign_up(lab)
    lab.travel((REMEMBERED + LINK_LIFE) / SECOND + 1)
    step(sweep(lab.world))
    assert lab.stored(ONE).status is Status.UNVERIFIED
    user_id = lab.stored(ONE).id
    lab.travel((KEPT - REMEMBERED) / SECOND)
    step(sweep(lab.world))
    assert step(lab.store.find_user(ONE)) is None
    told = next(event for event in lab.events if event.name == "user_deleted")
    assert (told.user_id, told.detail) == (user_id, "unverified")
    assert lab.stored(EMAIL).status is Status.ACTIVE
    sign_up(lab, password=OTHER)
    verify(lab, links(lab)[0], OTHER)


@pytest.mark.parametrize("state", [*STATES, "no address", "a name"])
def test_attack_65_asking_for_another_link_is_the_same_work_for_every_address(lab: Lab, state: str) -> None:
    """Attack 65; ASVS 6.3.8: one look-up of each kind, one write, no hash, one ring of the bell; nothing is raised."""
    odd = {"no address": "\x00not an address@", "a name": "one"}
    email = odd[state] if state in odd else someone(lab, state)
    looked: list[str] = []
    rung: list[str] = []
    lab.store.first["find_user"] = [lambda: looked.append("")]
    object.__setattr__(lab.world, "mail_queued", lambda: rung.append(""))
    before = len(lab.mails)
    lab.forget_log()
    resend(lab, email)
    assert lab.log == ["issue_link", "event verify_requested"]
    assert (lab.hasher.calls, looked, rung) == ([], [""], [""])
    assert len(lab.mails) - before == int(state == "unverified")


def test_no_other_link_brings_back_what_a_set_password_ended(lab: Lab) -> None:
    """Attack 77: what an administrator sets holds until its owner proves the address by a registration of their own."""
    sign_up(lab, client=AWAY)
    password_set(lab)
    resend(lab)
    assert lab.mails[0][1]["ip"] == "", "it is nobody's registration"
    assert code_of(lambda: verify(lab, links(lab)[0], CHOSEN)) == "invalid_credentials"
    verify(lab, links(lab)[0])
    assert lab.stored(ONE).digest == "v1:set by somebody"


def test_registrations_and_other_links_share_five_an_hour(lab: Lab) -> None:
    """DESIGN §4.5: then there is silence, and an hour later there are others."""
    sign_up(lab)
    for _ in range(LINKS_AN_HOUR + 3):
        resend(lab)
    assert len(lab.mails) == LINKS_AN_HOUR
    lab.travel(3601)
    resend(lab)
    assert len(lab.mails) == LINKS_AN_HOUR + 1
