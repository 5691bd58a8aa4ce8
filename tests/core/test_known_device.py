"""The token of a known device: for its user alone, for half a year, in one spelling."""

from __future__ import annotations

from dataclasses import replace

import pytest

from watchword.core.keys import KeyRing
from watchword.core.known_device import LIFE_SECONDS, NEWCOMER, NONCE, KnownDevices, unfamiliar
from watchword.core.session import Client, Lifetimes, Session, start
from watchword.core.user import Status, User
from watchword.settings import Mode

NOW = 1_800_000_000_000_000
OLD, NEW = b"kX3vQz8LmN1pR6tYw0aBcDeFgHiJk-old", b"Zq9uYtReWqAsDfGhJkLmNbVcXz012-new"
DEVICES = KnownDevices(KeyRing([OLD]))
ADA = User(
    id="ada",
    email="ada@example.com",
    email_verified=True,
    username=None,
    digest="$argon2id$of-today",
    status=Status.ACTIVE,
    roles=(),
    tokens_from=0,
    created_at=0,
)
TOKEN = DEVICES.mint(ADA, bytes(NONCE), NOW)


def known(token: str = TOKEN, user: User = ADA, *, after: int = 0, by: KnownDevices = DEVICES) -> bool:
    return by.genuine(token, user, NOW + after * 1_000_000)


def test_it_is_known_to_its_user_and_to_nobody_else() -> None:
    """Attack 66: a device of one's own is none of somebody else's."""
    assert known()
    assert not known(user=replace(ADA, id="eve"))


def test_a_new_password_makes_every_device_a_stranger() -> None:
    """Attack 66: who was signed in before it was set has no budget of their own to guess it with."""
    assert not known(user=replace(ADA, digest="$argon2id$of-tomorrow"))
    assert not known(user=replace(ADA, digest=None))


def test_it_is_known_for_half_a_year() -> None:
    assert known(after=LIFE_SECONDS - 1)
    assert not known(after=LIFE_SECONDS)
    assert known(after=-60)
    assert not known(after=-61)


def test_another_secret_knows_it_while_the_old_one_is_in_the_ring() -> None:
    assert known(by=KnownDevices(KeyRing([NEW, OLD])))
    assert not known(by=KnownDevices(KeyRing([NEW])))


def test_no_other_character_anywhere_opens() -> None:
    """One token is one budget: each spelling of it would be another."""
    for place, character in enumerate(TOKEN):
        for other in {"A", "B", "_"} - {character}:
            assert not known(TOKEN[:place] + other + TOKEN[place + 1 :]), place


@pytest.mark.parametrize(
    "token",
    [
        "",
        "A",
        TOKEN + "=",
        TOKEN + "==",
        TOKEN + "A",
        TOKEN[:-1],
        " " + TOKEN,
        TOKEN + "\n",
        "é" * 40,
        "\ud800",
    ],
    ids=repr,
)
def test_what_is_no_token_is_refused_without_a_word(token: str) -> None:
    assert not known(token)


# --- what is news to an owner


def live(*clients: Client) -> list[Session]:
    lives = Lifetimes(access=1, idle=NOW, whole=NOW, window=1)
    return [
        start(
            sid=str(number),
            seed=bytes(32),
            user_id=ADA.id,
            mode=Mode.BEARER,
            amr=("pwd",),
            client=client,
            now=NOW,
            lives=lives,
        )
        for number, client in enumerate(clients)
    ]


@pytest.mark.parametrize(
    ("client", "news"),
    [
        (Client("192.0.2.7", "Firefox"), False),
        (Client("192.0.2.250", "Firefox"), False),
        (Client("2001:db8::1", "Safari"), False),
        (Client("2001:db8:0:ffff::9", "Safari"), False),
        (Client("192.0.2.7", "Safari"), True),
        (Client("192.0.3.7", "Firefox"), True),
        (Client("2001:db8:1::1", "Safari"), True),
        (Client("", ""), True),
    ],
)
def test_a_sign_in_is_news_unless_a_live_session_is_of_its_browser_and_network(
    client: Client, news: bool
) -> None:
    """ASVS 6.3.5."""
    theirs = live(Client("192.0.2.7", "Firefox"), Client("2001:db8::1", "Safari"))
    assert unfamiliar(client, ADA, theirs, NOW) is news


@pytest.mark.parametrize(("age", "news"), [(-1, False), (0, False), (NEWCOMER - 1, False), (NEWCOMER, True)])
def test_without_any_session_the_age_of_the_account_decides(age: int, news: bool) -> None:
    """ASVS 6.3.5: whoever has just made it knows of its first sign-in."""
    assert unfamiliar(Client("192.0.2.7", "Firefox"), replace(ADA, created_at=NOW - age), [], NOW) is news
