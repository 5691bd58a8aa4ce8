"""What a user's fields may hold, and the one form in which logins are stored and compared."""

from __future__ import annotations

import re
import sys
import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from watchword.core.user import (
    MAX_LOGIN,
    canonical_email,
    canonical_login,
    canonical_roles,
    canonical_username,
)
from watchword.errors import InvalidRequest

quick = settings(max_examples=300, database=None)

ONE_FORM = {
    "case": ("Ada@Example.COM", "ada@example.com"),
    "case of other scripts": ("ÉMILIE@example.com", "émilie@example.com"),
    "Kelvin sign": ("\u212aate@example.com", "kate@example.com"),
    "Ångström sign": ("\u212b@example.com", "å@example.com"),
    "composed and decomposed": ("e\u0301va@example.com", "éva@example.com"),
    "dotted capital I with a cedilla": ("\u0130\u0327@example.com", "i\u0327\u0307@example.com"),
    "Greek capitals with accents": ("\u03aa\u0301@example.com", "\u0390@example.com"),
    "IDN and punycode": ("ada@bücher.example", "ada@xn--bcher-kva.example"),
    "punycode in capitals": ("ada@XN--BCHER-KVA.example", "ada@bücher.example"),
    "IDN in capitals": ("ada@BÜCHER.EXAMPLE", "ada@bücher.example"),
    "IDN decomposed": ("ada@bu\u0308cher.example", "ada@bücher.example"),
    "full-width domain": ("ada@\uff45xample.com", "ada@example.com"),
    "ideographic full stop": ("ada@example\u3002com", "ada@example.com"),
    "capital sharp s": ("STRA\u1e9eE@example.com", "straße@example.com"),
}


@pytest.mark.parametrize("name", ONE_FORM)
def test_two_spellings_of_one_address_are_one_account(name: str) -> None:
    """Attacks 69, 70; ASVS 1.1.1; GHSA-7rqj-j65f-68wh: case, Unicode form, IDN, full-width domain, Kelvin sign."""
    one, other = ONE_FORM[name]
    assert canonical_email(one) == canonical_email(other)


TWO_FORMS = {
    "dotless i": ("\u0131van@example.com", "ivan@example.com"),
    "dotted capital I": ("\u0130van@example.com", "ivan@example.com"),
    "long s": ("\u017fam@example.com", "sam@example.com"),
    "sharp s": ("straße@example.com", "strasse@example.com"),
    "sharp s in the domain": ("ada@straße.example", "ada@strasse.example"),
    "ligature": ("\ufb01sh@example.com", "fish@example.com"),
    "full-width local part": ("\uff41da@example.com", "ada@example.com"),
    "Cyrillic a": ("\u0430da@example.com", "ada@example.com"),
    "Cyrillic domain": ("ada@\u0430pple.com", "ada@apple.com"),
    "plus tag": ("ada+x@example.com", "ada@example.com"),
    "dots": ("a.da@example.com", "ada@example.com"),
    "circled letter": ("\u24d0da@example.com", "ada@example.com"),
    "superscript": ("ada\u00b2@example.com", "ada2@example.com"),
}


@pytest.mark.parametrize("name", TWO_FORMS)
def test_two_mailboxes_are_two_accounts_however_alike_they_look(name: str) -> None:
    """Attack 69; CVE-2019-19844: nothing is folded that a mail server would deliver elsewhere."""
    one, other = TWO_FORMS[name]
    assert canonical_email(one) != canonical_email(other)


REFUSED = {
    "nothing": "",
    "no @": "ada.example.com",
    "two @": "ada@home@example.com",
    "only @": "@",
    "no local part": "@example.com",
    "no domain": "ada@",
    "full-width @": "ada\uff20example.com",
    "small @": "ada\ufe6bexample.com",
    "quoted local part": '"ada"@example.com',
    "quoted @": '"ada@home"@example.com',
    "trailing dot": "ada@example.com.",
    "trailing ideographic dot": "ada@example.com\u3002",
    "leading dot": ".ada@example.com",
    "dot before @": "ada.@example.com",
    "two dots": "ada..l@example.com",
    "zero-width space": "ada\u200b@example.com",
    "zero-width space in the domain": "ada@exam\u200bple.com",
    "zero-width joiner": "ada\u200d@example.com",
    "zero-width no-break space": "\ufeffada@example.com",
    "soft hyphen": "a\u00adda@example.com",
    "right-to-left override": "ada\u202e@example.com",
    "right-to-left override in the domain": "ada@\u202eexample.com",
    "isolate": "\u2066ada\u2069@example.com",
    "NUL": "ada\x00@example.com",
    "NUL behind": "ada@example.com\x00",
    "newline": "ada@example.com\n",
    "header injection": "ada@example.com\r\nBcc: eve@example.com",
    "tab": "ada\t@example.com",
    "space": "ada lovelace@example.com",
    "space in front": " ada@example.com",
    "space behind": "ada@example.com ",
    "no-break space": "ada\u00a0@example.com",
    "display name": "Ada <ada@example.com>",
    "two addresses": "ada@example.com,eve@example.com",
    "comment": "ada(x)@example.com",
    "route": "ada%home@example.com@example.org",
    "IP literal": "ada@[127.0.0.1]",
    "IP": "ada@127.0.0.1",
    "one label": "ada@localhost",
    "underscore in the domain": "ada@exa_mple.com",
    "hyphen at an edge of the domain": "ada@-example.com",
    "slash in the domain": "ada@example.com/x",
    "port": "ada@example.com:25",
    "bad punycode": "ada@xn--a.example.com",
    "lone surrogate": "ada\ud800@example.com",
    "lone surrogate in the domain": "ada@\ud800.com",
    "surrogate escape": "ada\udcff@example.com",
    "label of 64": "ada@" + "a" * 64 + ".com",
    "domain of 256": "ada@" + "a.b." * 63 + "info",
    "255 characters": "a" * 243 + "@example.com",
    "321 characters": "a" * 309 + "@example.com",
    "a million characters": "a" * 1_000_000 + "@example.com",
    "a million combining marks": "a" + "\u0301" * 1_000_000 + "@example.com",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_plain_address_is_refused_by_field_and_is_nobodys_login(name: str) -> None:
    """Attacks 28, 69, 71, 94; ASVS 1.3.11, 2.2.1; CVE-2023-46695 (length before any normalising)."""
    with pytest.raises(InvalidRequest) as caught:
        canonical_email(REFUSED[name], field="new_email")
    (error,) = caught.value.errors
    assert error.field == "new_email"
    assert error.code == ("too_long" if len(REFUSED[name]) > MAX_LOGIN else "invalid_email")
    assert error.message.isprintable(), ascii(error.message)
    looked_up = canonical_login(REFUSED[name])
    if "@" in looked_up:  # what nobody can have is looked up in vain
        with pytest.raises(InvalidRequest):
            canonical_email(looked_up)
    else:
        assert looked_up in ("", "ada.example.com")


LETTERS = (
    "aAIiKksSeEfXß.-+_\u00e9\u00c9\u0130\u0131\u212a\u1e9e\u017f\u0301\u0323\u0307\u0327"
    "\u03a3\u03c3\u03c2\u00fc\u00dc\u03aa\u03cb\u0390\u01c5\u0531\ufb01\uff0e"
)
"""Letters whose case or composition is not simple."""


@given(
    local=st.text(st.sampled_from(LETTERS), min_size=1, max_size=6),
    domain=st.text(st.sampled_from(LETTERS), min_size=1, max_size=6),
)
@example(local="\u0130\u0327", domain="a")
@example(local="\u03aa\u0301", domain="a")
@example(local="\u0345", domain="a")
@quick
def test_a_canonical_address_is_canonical(local: str, domain: str) -> None:
    """Attack 69: taking the canonical form once more changes nothing, and it is NFC."""
    try:
        once = canonical_email(f"{local}@{domain}.com")
    except InvalidRequest:
        return
    assert canonical_email(once) == once
    assert unicodedata.is_normalized("NFC", once)
    assert once.count("@") == 1


def test_every_letter_of_unicode_has_one_canonical_form() -> None:
    """Attack 69: each capital alone and with marks, whose order and composition lower case may change."""
    unstable = []
    for number in range(0xA0, sys.maxunicode + 1):
        letter = chr(number)
        # Only where case matters: all others are NFC alone, which the library does.
        if letter.lower() == letter:
            continue
        for text in (letter, letter + "\u0327", letter + "\u0301"):
            try:
                once = canonical_email(f"x{text}@example.com")
            except InvalidRequest:
                continue
            if canonical_email(once) != once:
                unstable.append(text)
    assert unstable == []


@given(text=st.text(st.characters(), max_size=60))
@example("@")
@example("a@" + "ü" * 70)
@example("a@" + "\u200d.")
@example("a@\u0378.com")
@example("a@xn--.com")
@example("a@xn--\u00fc.com")
@example("\u0345@a.b")
@quick
def test_a_login_is_looked_up_or_unknown_but_never_raises(text: str) -> None:
    """Attack 65; ASVS 6.3.8: a malformed login is answered like one that nobody has."""
    for login in (text, text + "@example.com", "ada@" + text, text + "@" + text):
        assert isinstance(canonical_login(login), str)


@pytest.mark.parametrize(
    ("typed", "looked_up"),
    [
        ("Ada@Example.com", "ada@example.com"),
        ("ADA", "ada"),
        ("ada.l-1_x", "ada.l-1_x"),
        ("", ""),
        (" ada", ""),
        ("ada\n", ""),
        ("-ada", ""),
        ("x" * 65, ""),
        ("x" * 10_000, ""),
        ("ada@", ""),
        ("ada@" + "x" * 10_000, ""),
        ("ada\uff20example.com", ""),
        ("' OR 1=1 --", ""),
        ("%", ""),
    ],
)
def test_a_login_is_an_address_if_it_has_an_at_sign_and_a_name_otherwise(typed: str, looked_up: str) -> None:
    """R2, R21; attack 94."""
    assert canonical_login(typed) == looked_up


PLAIN = st.from_regex(
    re.compile(r"[A-Za-z0-9_+.-]{1,70}@[A-Za-z0-9.-]{1,70}\\.(?:[A-Za-z]{2,8}|test|local|xn--p1ai)"),
    fullmatch=True,
)


@quick
@given(PLAIN)
@example("Ada@Example.COM")
@example("ada@xn--mnchen-3ya.de")
@example("ada@example.local")
@example("x" * 65 + "@example.com")
def test_a_login_is_looked_up_by_the_form_that_its_address_is_stored_in(typed: str) -> None:
    """Attack 69: the quick way for plain addresses finds who the careful one would."""
    try:
        stored = canonical_email(typed)
    except InvalidRequest:
        return  # nobody has such an address
    assert canonical_login(typed) == stored


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("a", "a"),
        ("7", "7"),
        ("Ada", "ada"),
        ("a.b-c_d", "a.b-c_d"),
        ("a..b", "a..b"),
        ("x" * 64, "x" * 64),
        ("\u212aate", "kate"),  # the Kelvin sign is a capital k to Unicode: the same account, not a twin
    ],
)
def test_a_name_is_lower_case_ascii(text: str, name: str) -> None:
    """Attacks 69, 70."""
    assert canonical_username(text) == name
    assert canonical_username(name) == name
    assert name.isascii()


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            " ",
            "a b",
            "a@b",
            "-a",
            "a-",
            ".a",
            "a.",
            "_a",
            "a_",
            "ada\n",
            "ada\x00",
            "ä",
            "\u0130da",
            "\u0131an",
        ),
        *(
            "\u0430da",
            "ada\u200b",
            "\uff11",
            "x" * 65,
            "x" * 1_000_000,
            "a/b",
            "../x",
            "a%b",
            "a'b",
            "a:b",
            "<b>",
            "\ud800",
        ),
    ],
    ids=lambda text: ascii(text)[:20],
)
def test_what_could_be_mistaken_for_another_name_is_no_name(text: str) -> None:
    """Attacks 69, 71, 94; ASVS 2.2.1."""
    with pytest.raises(InvalidRequest) as caught:
        canonical_username(text)
    assert [(error.field, error.code) for error in caught.value.errors] == [("username", "invalid_username")]


def test_roles_are_sorted_and_each_named_once() -> None:
    """ASVS 8.2.3."""
    assert canonical_roles(("owner", "admin", "owner", "team:7.x-y")) == ("admin", "owner", "team:7.x-y")
    assert canonical_roles(()) == ()
    assert canonical_roles(("r" * 63,)) == ("r" * 63,)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Owner",
        " owner",
        "owner\n",
        "a,b",
        "a b",
        ":a",
        "ö",
        "r" * 64,
        "r" * 1_000_000,
        "*",
        "a\u202eb",
        "\ud800",
    ],
    ids=lambda name: ascii(name)[:20],
)
def test_what_is_no_role_is_refused_and_shown_without_control_characters(name: str) -> None:
    """Attacks 94, 95; ASVS 16.4.1."""
    with pytest.raises(InvalidRequest) as caught:
        canonical_roles(("owner", name))
    (error,) = caught.value.errors
    assert (error.field, error.code) == ("roles", "invalid_role")
    assert error.message.isprintable()
    assert len(error.message) < 120


def test_roles_that_no_cookie_could_carry_are_refused_when_they_are_given() -> None:
    """ASVS 3.3.5: and not when their owner signs in, or at each of their requests."""
    fitting = tuple(f"team-{number:02}" for number in range(100))
    assert len(canonical_roles(fitting)) == 100
    with pytest.raises(InvalidRequest) as caught:
        canonical_roles(tuple("x" * 60 + f"{number:02}" for number in range(20)))
    assert [error.code for error in caught.value.errors] == ["too_many_roles"]
