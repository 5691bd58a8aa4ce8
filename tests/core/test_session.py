"""The session record: how long it lives, what it may do and how its client is recognised."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchword.core.rotation import NEVER, Lineage
from watchword.core.session import MAX_USER_AGENT, Client, End, Lifetimes, Principal, Session, start
from watchword.core.user import Status, User
from watchword.settings import Mode

SECOND = 1_000_000
DAY = 86_400 * SECOND
NOW = 1_800_000_000 * SECOND
LIVES = Lifetimes(access=900 * SECOND, idle=7 * DAY, whole=30 * DAY, window=20 * SECOND)
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def session(*, lives: Lifetimes = LIVES, client: Client | None = None) -> Session:
    return start(
        sid="sid",
        seed=b"s" * 32,
        user_id="user",
        mode=Mode.COOKIES,
        amr=("pwd",),
        client=client or Client("192.0.2.7", FIREFOX),
        now=NOW,
        lives=lives,
    )


def user(status: Status = Status.ACTIVE) -> User:
    return User(
        id="user",
        email="ada@example.com",
        email_verified=True,
        username=None,
        digest="$argon2id$canary",
        status=status,
        roles=(),
        tokens_from=0,
        created_at=NOW,
    )


def test_a_new_session_has_one_token_out_and_none_used() -> None:
    """DESIGN §4.1; ASVS 7.2.4: so the first refresh rotates."""
    new = session()
    assert new.lineage == Lineage(context=Client("192.0.2.7", FIREFOX).context)
    assert (new.lineage.parent, new.lineage.floor, new.lineage.before, new.lineage.newest) == (0, 0, 0, 1)
    assert (new.lineage.minted_at, new.lineage.rotated_at) == (NEVER, NEVER)
    assert (new.created_at, new.auth_time, new.last_used_at) == (NOW, NOW, NOW)
    assert (new.idle_until, new.ends_at) == (NOW + LIVES.idle, NOW + LIVES.whole)
    assert (new.ended_at, new.end, new.replaced_at) == (None, None, None)
    assert new.live(user(), NOW)


def test_a_session_never_idles_past_its_whole_life() -> None:
    """Attack 43; ASVS 7.1.1, 7.3.2; W15."""
    short = replace(LIVES, idle=30 * DAY, whole=DAY)
    new = session(lives=short)
    assert new.idle_until == new.ends_at == NOW + DAY


@pytest.mark.parametrize("limit", ["idle_until", "ends_at"])
@pytest.mark.parametrize(
    ("offset", "expired"), [(-SECOND, False), (-1, False), (0, True), (1, True), (SECOND, True)]
)
def test_a_session_expires_at_the_microsecond(limit: str, offset: int, expired: bool) -> None:
    """Attack 43; ASVS 7.3.1, 7.3.2."""
    far = NOW + 1000 * DAY
    ends = {"idle_until": far, "ends_at": far} | {limit: NOW + DAY}
    limited = replace(session(), **ends)  # type: ignore[arg-type]  # a mapping of its own fields
    assert limited.expired(NOW + DAY + offset) is expired
    assert limited.live(user(), NOW + DAY + offset) is not expired


@pytest.mark.parametrize("status", list(Status))
def test_a_session_lives_while_its_user_is_active(status: Status) -> None:
    """Attack 44; ASVS 7.4.2."""
    assert session().live(user(status), NOW) is (status is Status.ACTIVE)


@pytest.mark.parametrize("end", list(End))
def test_an_ended_session_is_not_live_whatever_ended_it_and_whatever_the_clock_says(end: End) -> None:
    """Attack 21, F8; ASVS 7.4.1."""
    ended = replace(session(), ended_at=NOW + DAY, end=end)
    for now in (NOW, NOW + DAY - 1, NOW + DAY, NOW + 2 * DAY):
        assert not ended.live(user(), now)
    assert ended.replaced_at == (NOW + DAY if end is End.REPLACED else None)


def test_a_session_shows_no_seed_and_a_user_neither_address_nor_digest() -> None:
    """Attack 96; ASVS 13.3.1, 16.2.5."""
    text = repr(replace(session(), seed=b"canary-seed-canary"))
    assert "canary" not in text
    assert repr(user()) == "User(id='user', status='active')"


def test_what_a_client_says_of_itself_is_cut_to_512_characters() -> None:
    """Attack 95."""
    long = Client("192.0.2.7", "x" * 1_000_000)
    assert len(session(client=long).user_agent) == MAX_USER_AGENT == 512
    assert long.context == Client("192.0.2.7", "x" * 512).context
    assert long.context != Client("192.0.2.7", "x" * 511).context


SAME = [
    ("192.0.2.7", "192.0.2.7"),
    ("192.0.2.0", "192.0.2.255"),
    ("2001:db8:1::1", "2001:db8:1:ffff:ffff:ffff:ffff:ffff"),
    ("2001:db8:1::1", "2001:DB8:1:0:0:0:0:2"),
    ("2001:db8:1::1", "2001:0db8:0001::0001"),
    ("::ffff:192.0.2.7", "192.0.2.200"),
    ("::ffff:c000:207", "192.0.2.7"),
    ("fe80::1%eth0", "fe80::2%eth1"),
    ("fe80::1%eth0", "fe80::1"),
    ("", "unknown"),
    ("", "999.1.1.1"),
    ("garbage", "192.0.2.7:443"),
    ("", "%"),
    ("", "192.0.2"),
    ("", "٣.٣.٣.٣"),
    ("", "1.2.3.4/24"),
    ("", "\ud800"),
    ("", "0300.0.2.7"),
]
DIFFERENT = [
    ("192.0.2.7", "192.0.3.7"),
    ("192.0.2.255", "192.0.3.0"),
    ("2001:db8:1::1", "2001:db8:2::1"),
    ("2001:db8:1:ffff::", "2001:db8:2::"),
    ("::ffff:192.0.2.7", "::ffff:192.0.3.7"),
    ("::192.0.2.7", "192.0.2.7"),
    ("192.0.2.7", ""),
    ("192.0.2.7", "garbage"),
    ("10.0.0.1", "::1"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_one_network_is_one_context(one: str, other: str) -> None:
    """DESIGN §4.1; attack 89: IPv4 by /24 and IPv6 by /48 in any spelling; what is no address is nowhere."""
    assert Client(one, FIREFOX).context == Client(other, FIREFOX).context


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_another_network_is_another_context(one: str, other: str) -> None:
    """DESIGN §4.1."""
    assert Client(one, FIREFOX).context != Client(other, FIREFOX).context


def test_another_browser_is_another_context() -> None:
    """DESIGN §4.1; ASVS 8.1.3."""
    contexts = {
        Client("192.0.2.7", agent).context
        for agent in (FIREFOX, FIREFOX + " ", FIREFOX.lower(), "", "curl/8")
    }
    assert len(contexts) == 5


def test_network_and_browser_cannot_be_mistaken_for_each_other() -> None:
    """DESIGN §4.1: a user agent cannot smuggle a network into the digest."""
    assert Client("", "192.0.2.0/24\nx").context != Client("192.0.2.7", "x").context
    assert Client("", "\n").context != Client("", "").context


@given(ip=st.text(max_size=50), user_agent=st.text(st.characters(), max_size=50))
def test_whatever_a_client_sends_has_a_context(ip: str, user_agent: str) -> None:
    """Attacks 89, 95: surrogates, NUL, anything; 32 hexadecimal digits that show neither address nor browser."""
    context = Client(ip, user_agent).context
    assert len(context) == 32
    assert set(context) <= set("0123456789abcdef")


@pytest.mark.parametrize(
    ("window", "seconds"),
    [
        (20.0, 8),
        (0.0, 8),
        (10.0, 4),
        (5.0, 2),
        (1.0, 0.4),
        (2.5, 1),
        (0.001, 0.0004),
        (0.2, 0.08),
        (600.0, 240),
    ],
)
def test_a_client_gives_a_refresh_up_after_40_percent_of_the_window(window: float, seconds: float) -> None:
    """DESIGN §4.1: 8 when there is no window; whole numbers without a fraction."""
    timeout = replace(LIVES, window=round(window * SECOND)).refresh_timeout
    assert timeout == seconds
    assert isinstance(timeout, int) is (seconds == int(seconds))


def test_a_principal_cannot_be_changed_by_who_holds_it() -> None:
    """Attack 74: it is kept in the verifier's cache and shared by requests."""
    principal = Principal("u", "s", (), (), 0, 0, 0)
    with pytest.raises(AttributeError):
        principal.roles = ("owner",)  # type: ignore[misc]  # what must not work
    assert principal.claims == {}
