"""Which passwords are acceptable: long enough, not among the first that anybody would try, and never cut or changed."""

from __future__ import annotations

import secrets
import string
import time
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from zxcvbn.frequency_lists import FREQUENCY_LISTS

from watchword.core.password import MAX_BYTES, MIN_CHARACTERS, acceptable, normalise
from watchword.errors import InvalidRequest


def code(password: str, *context: str | None) -> str:
    """`ok`, or the code of what is wrong."""
    try:
        acceptable(password, context=context, field="new_password")
    except InvalidRequest as refusal:
        (error,) = refusal.errors
        assert error.field == "new_password"
        return error.code
    return "ok"


GOOD = [
    "correct horse battery staple",
    "analytical engine",
    "purple-Elephant-7-dancing",
    "Tr0ub4dor&3",
    "mY c@t eats 9 socks",
    "Summer in Berlin, 7 pm",
    "we met in the dragon's garden",
    "my password is longer than yours",
    "qwerty is not what I type",
    "iloveyouradada",
    "xkcd936!staple",
    "kQ7#vR2!",
    "tzkwmqvh",
    "9f86d081884c",
    "83920184756201938475",
    "2024-01-01 2023-12-31",
    "пароль от моей почты",
    "мама мыла раму",
    "我的密码是很长的一句话",
    "كلمة السر الطويلة",
    "ÄÖÜäöüßßé",
    "😀🎉🌍🚀🍕🎸📚🐢",
    "  spaces  around  it  ",
    "tabs\tand\nlines",
    "nul\x00inside-it",
    "a\u200bb\u200bc\u200bd\u200be",
    "'; DROP TABLE ww_user; --",
    "{{7*7}} %s {0.__class__}",
    "$argon2id$v=19$m=19456",
]


@pytest.mark.parametrize("password", GOOD, ids=ascii)
def test_a_pass_phrase_is_accepted_as_it_is(password: str) -> None:
    """ASVS 1.3.7, 6.2.1, 6.2.5, 6.2.8: any character, any kind, blanks at the ends included."""
    assert code(password, "ada@example.com", "ada", "https://app.example.com") == "ok"
    assert acceptable(password) == unicodedata.normalize("NFC", password)


COMMON = [
    *(
        "Password1!",
        "P@ssw0rd123",
        "P@55w0rd",
        "pa$$word1",
        "PASSWORD",
        "password!",
        "passwordpassword",
        "p4ssw0rd!!!",
    ),
    *(
        "qwertyuiop",
        "qwerty123",
        "azertyuiop",
        "asdfghjkl",
        "1qaz2wsx",
        "zaq12wsx",
        "1q2w3e4r",
        "poiuytrewq",
    ),
    *(
        "q1w2e3r4t5",
        "!QAZ2wsx",
        "12qwaszx",
        "asdfasdf",
        "abcdefgh",
        "abcd1234",
        "zyxwvuts",
        "aaaaaaaa",
        "AAAAaaaa",
    ),
    *(
        "12345678",
        "87654321",
        "11111111",
        "00000000",
        "123123123",
        "1234567890123456",
        "98765432109876543210",
        "20240101",
    ),
    *(
        "01.01.1990",
        "letmein123",
        "LetMeIn!!",
        "iloveyou",
        "$ecret123",
        "@dmin1234",
    ),
    *(
        "welcome1",
        "sunshine",
        "princess",
        "dragon99",
        "football1",
        "Monkey123!",
        "changeme",
        "trustno1",
    ),
    *(
        "michael1",
        "jennifer",
        "Batman1989",
        "Summer24!",
        "passw0rd....",
    ),
    *(
        "........",
        "!!!!!!!!",
        "        ",
        "😀😀😀😀😀😀😀😀",
        "~~~~~~~~",
        "a!!!!!!!!!!!",
        "ab1234567890",
        "a1b2c3d4",
    ),
    *(
        "testtest",
        "testing123",
        "adminadmin",
        "administrator",
        "root1234",
        "guest123",
        "user1234",
        "default1",
    ),
]


@pytest.mark.parametrize("password", COMMON, ids=ascii)
def test_what_anybody_would_try_first_is_refused_whatever_its_decoration(password: str) -> None:
    """ASVS 6.2.4; NIST 800-63B-4 §3.1.1.2: case, digits, signs, letters as signs, repetition, walks over keys."""
    assert code(password) == "too_common"


def test_the_three_thousand_most_common_passwords_that_are_long_enough_are_refused() -> None:
    """ASVS 6.2.4, 6.2.12."""
    listed = [word for word in FREQUENCY_LISTS["passwords"] if len(word) >= MIN_CHARACTERS][:3000]
    assert len(listed) == 3000
    assert [word for word in listed if code(word) != "too_common"] == []


@pytest.mark.parametrize(
    ("alphabet", "length"),
    [
        (string.ascii_letters + string.digits, 12),
        (string.ascii_lowercase, 8),
        (string.printable[:94], 12),
        (string.digits, 20),
        (string.hexdigits.lower(), 24),
    ],
)
def test_random_passwords_are_accepted(alphabet: str, length: int) -> None:
    """ASVS 6.2.5: no rule about kinds of characters, so that what a manager makes passes."""
    made = ["".join(secrets.choice(alphabet) for _ in range(length)) for _ in range(200)]
    assert sum(code(password) != "ok" for password in made) <= 2


EMAIL, NAME, SITE = "ada.lovelace@engine.example", "countess_ada", "https://login.analytical.example:8443"


@pytest.mark.parametrize(
    "password",
    [
        *(
            "ada.lovelace",
            "Ada.Lovelace1",
            "adalovelace",
            "lovelace1",
            "l0vel4ce",
        ),
        *(
            "ada.lovelace@engine.example",
            "ADA.LOVELACE@ENGINE.EXAMPLE1",
            "engine123",
            "countess_ada",
            "CountessAda99",
        ),
        *("countess1", "analytical", "Analytical1!", "https://login.analytical.example:8443", "login123"),
    ],
)
def test_ones_own_address_name_or_the_sites_is_refused(password: str) -> None:
    """ASVS 6.1.2, 6.2.11: whole or in its words, decorated or not."""
    assert code(password, EMAIL, NAME, SITE) in ("too_personal", "too_common")
    if password != "login123":
        assert code(password, EMAIL, NAME, SITE) == "too_personal"


@pytest.mark.parametrize(
    "password", ["ada likes her engine", "lovelace and babbage", "the countess of it all"]
)
def test_a_phrase_that_only_mentions_a_name_is_accepted(password: str) -> None:
    """ASVS 6.2.5, 6.2.11."""
    assert code(password, EMAIL, NAME, SITE) == "ok"


@pytest.mark.parametrize("context", [(), (None,), ("",), ("@", "://", "1@2.3", "...")])
def test_a_context_that_holds_no_word_refuses_nothing(context: tuple[str | None, ...]) -> None:
    """ASVS 6.2.11."""
    assert code("analytical engine", *context) == "ok"


@pytest.mark.parametrize(
    ("password", "expected"),
    [
        ("kQ7#vR2", "too_short"),
        ("kQ7#vR2!", "ok"),
        ("", "too_short"),
        ("😀🎉🌍🚀🍕🎸📚", "too_short"),
        ("ẽëíóúñå", "too_short"),  # 14 code points that NFC makes 7
        ("密码是很长的一", "too_short"),
    ],
    ids=ascii,
)
def test_eight_characters_are_needed_and_enough(password: str, expected: str) -> None:
    """ASVS 6.2.1: counted as characters, not as bytes, and after NFC."""
    assert MIN_CHARACTERS == 8
    assert code(unicodedata.normalize("NFD", password)) == expected


def phrase(size: int) -> str:
    """Random text of that many bytes."""
    return secrets.token_hex(size)[:size]


@pytest.mark.parametrize("size", [64, 72, 73, 200, 1023, 1024])
def test_long_passwords_are_accepted_whole(size: int) -> None:
    """Attack 71; ASVS 6.2.8, 6.2.9: 1,024 bytes, not a byte lost."""
    password = phrase(size)
    assert acceptable(password) == password


@pytest.mark.parametrize("password", ["x" + "é" * 512, "😀" * 257, "a" * 1025, "b" * 1_000_000], ids=len)
def test_more_than_1024_bytes_are_refused(password: str) -> None:
    """Attack 71: counted as UTF-8, for signing in as for setting one."""
    assert MAX_BYTES == 1024
    assert code(password) == "too_long"
    with pytest.raises(InvalidRequest):
        normalise(password)


def test_the_73rd_byte_counts() -> None:
    """Attack 71; W5: the 72 bytes of bcrypt are no limit here."""
    begin = phrase(72)
    assert normalise(begin + "a") != normalise(begin + "b")
    assert normalise(begin + "a") != normalise(begin)


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ("caf\u00e9 au lait", "cafe\u0301 au lait", True),
        ("\u212bngstr\u00f6m units", "\u00c5ngstro\u0308m units", True),
        (
            "\ud55c\uad6d\uc5b4 \uc554\ud638\ubb38",
            "\u1112\u1161\u11ab\u1100\u116e\u11a8\u110b\u1165 \uc554\ud638\ubb38",
            True,
        ),
        ("\ufb01ne wine list", "fine wine list", False),  # NFKC would make them equal
        ("\uff41nalytical engine", "analytical engine", False),
        ("Analytical engine", "analytical engine", False),
        ("analytical engine ", "analytical engine", False),
        ("analytical  engine", "analytical engine", False),
        ("analytical\x00engine", "analytical", False),
        ("analytical engine\x00", "analytical engine", False),
        ("analytical\u00a0engine", "analytical engine", False),
        ("analytical engine\u200b", "analytical engine", False),
    ],
)
def test_two_keyboards_agree_and_nothing_else_is_made_equal(one: str, other: str, equal: bool) -> None:
    """Attack 71; ASVS 6.2.8; NIST 800-63B-4: NFC is the only change."""
    assert (normalise(one) == normalise(other)) is equal


@pytest.mark.parametrize(
    "password", ["\ud800" * 8, "analytical \udcff engine", "\udfff\ud800 reversed pair"], ids=ascii
)
def test_lone_surrogates_are_refused(password: str) -> None:
    """Attack 71: before anything is hashed."""
    assert code(password) == "invalid_text"
    with pytest.raises(InvalidRequest) as caught:
        normalise(password)
    assert caught.value.errors[0].code == "invalid_text"


@given(text=st.text(st.characters(), max_size=300))
@settings(max_examples=400, database=None)
def test_any_text_is_accepted_as_nfc_or_refused_with_a_code(text: str) -> None:
    """ASVS 2.2.1, 6.2.8."""
    if code(text) == "ok":
        assert acceptable(text) == unicodedata.normalize("NFC", text)
        assert acceptable(acceptable(text)) == acceptable(text)
    else:
        assert code(text) in ("too_short", "too_long", "too_common", "invalid_text")


@pytest.mark.parametrize(
    "part", ["a", "ab", "a\u0301", "\u1e9e", "1", "é!", "\U0001f600", "qwerty"], ids=ascii
)
def test_no_password_takes_long_to_judge(part: str) -> None:
    """Attack 72; ASVS 1.3.12; CVE-2023-46695: length before Unicode, linear behind it."""
    for password in ((part * 1024)[: 1024 // len(part.encode()) * len(part)], part * 1_000_000):
        spent = []
        for _ in range(3):
            begin = time.process_time()
            code(password, password[:300])
            spent.append(time.process_time() - begin)
        assert min(spent) < 0.05


def test_a_refusal_never_repeats_the_password() -> None:
    """Attack 96; ASVS 16.2.5."""
    for password in ("Canary1", "Password1!", "canary" * 1000, "canary \ud800", "canary@example.com"):
        with pytest.raises(InvalidRequest) as caught:
            acceptable(password, context=["canary@example.com"])
        told = str(caught.value) + repr(caught.value) + repr(caught.value.errors)
        assert "canary" not in told.lower()
        assert password not in told
