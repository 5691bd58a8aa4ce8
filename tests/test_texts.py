"""The readers of texts: each spelling that is taken, with what it means, and each that is refused."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchword.choices import Mode, SameSite
from watchword.texts import (
    choice,
    choices,
    cookie_name,
    count,
    domain,
    duration,
    fits,
    host_and_port,
    items,
    key,
    mailbox,
    optional,
    origin,
    path,
    smtp_server,
    smtp_url,
    socket_address,
    switch,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1ms", 0.001),
        ("0.5s", 0.5),
        ("90", 90),
        ("1m", 60),
        ("2h", 7200),
        ("1d", 86400),
        (" 7 d ", 604800),
        ("0", 0),
    ],
)
def test_a_duration_reads_as_documented(text: str, seconds: float) -> None:
    """DESIGN §6; R12."""
    assert duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text",
    [
        *("", "m", "-5m", "+5m", "5 minutes", "5M", "1h30m", "1e3", "0x10", "nan", "inf"),
        *("\u0665m", "5m;", "1,5s", ".5s", "5.s"),
    ],
)
def test_nothing_else_is_a_duration(text: str) -> None:
    """ASVS 2.2.1."""
    with pytest.raises(ValueError, match="expected a duration such as 15m, 7d or 200ms"):
        duration(text)


@pytest.mark.parametrize("text", ["9" * 400 + "d", "999999999999d"])
def test_a_duration_beyond_every_clock_is_refused(text: str) -> None:
    """ASVS 16.5.3."""
    with pytest.raises(ValueError, match="longer than any clock"):
        duration(text)


@pytest.mark.parametrize(("text", "number"), [("0", 0), (" 4 ", 4), ("-1", -1), ("007", 7)])
def test_a_number_is_read_from_plain_digits(text: str, number: int) -> None:
    """DESIGN §6."""
    assert count(text) == number


@pytest.mark.parametrize("text", ["", "many", "1_0", "+1", "1.0", "\u0664", "1" * 5000, "0x1", "1 2"])
def test_nothing_else_is_a_number(text: str) -> None:
    """ASVS 2.2.1: not what Python alone takes for one."""
    with pytest.raises(ValueError, match=r"^expected a whole number$"):
        count(text)


def test_a_list_is_split_at_commas_and_white_space() -> None:
    """DESIGN §6."""
    assert items(" a,b\tc\n, d,, ") == ("a", "b", "c", "d")
    assert items(" , ") == ()
    assert choices(Mode)("bearer HYBRID") == (Mode.BEARER, Mode.HYBRID)


def test_a_choice_is_read_in_any_case_and_suggests_what_is_near() -> None:
    """DESIGN §6."""
    assert choice(SameSite)(" nONE ") is SameSite.NONE
    with pytest.raises(ValueError, match=r"^expected one of Strict, Lax, None; did you mean Lax\?$"):
        choice(SameSite)("laxx")


def test_an_empty_text_may_stand_for_absence() -> None:
    """DESIGN §6: none is a value of SameSite, so only an empty text says that nothing is set."""
    read = optional(choice(SameSite), None)
    assert (read(""), read(" \n"), read("none")) == (None, None, SameSite.NONE)


@pytest.mark.parametrize("text", ["", "maybe", "2", "onn"])
def test_a_switch_is_on_or_off(text: str) -> None:
    """DESIGN §6."""
    assert (switch(" Yes"), switch("OFF")) == (True, False)
    with pytest.raises(ValueError, match=r"^expected on or off$"):
        switch(text)


@pytest.mark.parametrize(
    ("text", "browsers"),
    [
        ("HTTPS://App.Example.COM", "https://app.example.com"),
        ("https://app.example.com:443", "https://app.example.com"),
        ("https://app.example.com:8443", "https://app.example.com:8443"),
        ("https://app.example.com:80", "https://app.example.com:80"),
        ("http://localhost:80", "http://localhost"),
        ("http://localhost:", "http://localhost"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        ("http://[0:0:0:0:0:0:0:1]", "http://[::1]"),
        ("https://[2001:DB8::1]", "https://[2001:db8::1]"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
        ("https://BÜCHER.example", "https://xn--bcher-kva.example"),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
        ("https://straße.example", "https://xn--strae-oqa.example"),  # not strasse: somebody else's
        ("https://my_app.example", "https://my_app.example"),
    ],
)
def test_an_origin_is_spelt_as_browsers_spell_it(text: str, browsers: str) -> None:
    """Attacks 84, 87; ASVS 1.1.1."""
    assert origin(text) == browsers


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "app.example.com",
            "//app.example.com",
            "ftp://app.example.com",
            "https://",
            "https:///",
            "https:x",
        ),
        *(
            "https://app.example.com/auth",
            "https://app.example.com?x=1",
            "https://app.example.com#x",
            "a.example",
        ),
        *("https://user@app.example.com", "https://user:pw@app.example.com", "https://@app.example.com"),
        *(
            "https://*.example.com",
            "https://app.example.com:99999",
            "https://app.example.com:x",
            "https://a b",
        ),
        *("https://exa\nmple.com", "https://exa\tmple.com", "https://ex<ample.com", 'https://ex"ample.com'),
        *("https://[::1", "https://[fe80::1%25eth0]", "https://[::g]", "javascript:alert(1)"),
        *(
            "https://" + "ü" * 70,
            "https://\u200b.example",
            "https://app\u2100.example",
            "https://\ud800.example",
        ),
        *("https://a.example,https://b.example", "https://app.example.com\\@evil.example", "null", "*"),
    ],
)
def test_nothing_else_is_an_origin(text: str) -> None:
    """Attacks 84, 87; ASVS 2.2.1."""
    with pytest.raises(ValueError, match=r"is no origin such as https://app\.example\.com$"):
        origin(text)


@given(host=st.text(st.sampled_from("aAzß\u00fcÜ.-_1:[]%@/\\ #?*\u3002\u0131\u212a"), min_size=1, max_size=8))
@settings(max_examples=400, database=None)
def test_an_origin_is_in_the_one_form_that_browsers_send(host: str) -> None:
    """Attacks 84, 87: what was normalised once stays as it is, in ASCII and lower case."""
    try:
        once = origin(f"https://{host}")
    except ValueError:
        return
    assert origin(once) == once
    assert once.isascii()
    assert once == once.lower()
    assert not set(once.removeprefix("https://")) & set(" #?*@/\\%")


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("/auth", "/auth"),
        (" /auth/v1 ", "/auth/v1"),
        ("/~me-._", "/~me-._"),
        ("/.well-known", "/.well-known"),
        ("/...", "/..."),
        *((text, "") for text in ("", " ", "/", "none", "None")),
    ],
)
def test_a_path_is_read_without_a_slash_at_its_end(text: str, read: str) -> None:
    """DESIGN §6; R20."""
    assert path(text) == read


@pytest.mark.parametrize(
    "text",
    [
        *("auth", "/auth/", "//auth", "//", "/a b", "/ä", "/a?b", "/a#", "/{x}", "/a;b", "/a%2fb", "/a\n/b"),
        *(
            "/.",
            "/..",
            "/auth/../x",
            "/./auth",
            "/auth/..",
        ),  # which browsers resolve before they ask or compare
    ],
)
def test_nothing_else_is_a_path(text: str) -> None:
    """ASVS 2.2.1; RFC 3986 §5.2.4."""
    with pytest.raises(ValueError, match="expected a path such as /auth"):
        path(text)


@pytest.mark.parametrize("text", ["rt", " rt ", "sessionId", "auth-token_2", "__session", "a" * 64])
def test_a_cookie_is_named_with_letters_digits_dashes_and_underscores(text: str) -> None:
    """DESIGN §6; R20, R45, R46."""
    assert cookie_name(text) == text.strip()


@pytest.mark.parametrize(
    ("text", "way_out"),
    [
        *(
            (text, "expected 1 to 64 letters")
            for text in ("", "a" * 65, "a b", "a=b", "a;b", "a\r\nb", "ä", "a.b")
        ),
        *(
            (text, "name it without its prefix; cookie_prefix auto puts")
            for text in ("__Host-rt", "__secure-rt", "__HOST-", "__Host-Http-rt", "__Http-rt")
        ),
    ],
)
def test_no_other_text_names_a_cookie(text: str, way_out: str) -> None:
    """RFC 6265bis §4.1.3: a prefix that nobody checked would be dropped, or promise what is not so."""
    with pytest.raises(ValueError, match=way_out):
        cookie_name(text)


@pytest.mark.parametrize("text", ["access_token", "accessToken", "token", " t ", "a" * 64])
def test_a_key_is_a_name_in_every_language(text: str) -> None:
    """R43."""
    assert key(text) == text.strip()


@pytest.mark.parametrize("text", ["", "_t", "__proto__", "1t", "a-b", "a.b", "a b", 'a"', "ä", "a" * 65])
def test_nothing_else_is_a_key(text: str) -> None:
    """ASVS 2.2.1."""
    with pytest.raises(ValueError, match="expected a name such as access_token"):
        key(text)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("example.com", "example.com"),
        (" .Example.COM ", "example.com"),  # R12: COOKIE_DOMAIN=.example.com
        ("a-1.b_c.example", "a-1.b_c.example"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("1.example", "1.example"),
        ("", ""),
        (".", ""),
    ],
)
def test_a_domain_is_read_as_browsers_compare_it(text: str, read: str) -> None:
    """RFC 6265bis §5.5; R12, R20."""
    assert domain(text) == read


@pytest.mark.parametrize(
    "text",
    [
        *("localhost", "com", "127.0.0.1", "10.1", "a.0x1", "::1", "[::1]", "..example.com", "example.com."),
        *(
            "a..example.com",
            "-a.example",
            "*.example.com",
            "https://example.com",
            "example.com:80",
            "a b.example",
        ),
        *("example.com;x", "exam\nple.com", "\ud800.example", "ü" * 70 + ".example"),
    ],
)
def test_nothing_else_is_a_domain(text: str) -> None:
    """RFC 6265bis §5.1.3: an address has no parent, and one label is everybody's."""
    with pytest.raises(ValueError, match=r"^expected a domain such as example\.com, neither"):
        domain(text)


@given(text=st.text(st.sampled_from("aZß\u00fc.-_1:[]%/ ;,=\r\n\u3002\u0131_Host"), max_size=10))
@settings(max_examples=400, database=None)
def test_what_a_reader_made_it_reads_again_and_it_cannot_split_a_header(text: str) -> None:
    """Attack 28: the constructor reads once more what parse has read."""
    for read in (path, cookie_name, key, domain):
        try:
            once = read(text)
        except ValueError:
            continue
        assert read(once) == once
        assert once.isascii()
        assert not set(once) & set(";,=\r\n \x00")


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        ("x", str, True),
        (1, str, False),
        (None, SameSite | None, True),
        (SameSite.LAX, SameSite | None, True),
        ("Lax", SameSite | None, False),
        ((), tuple[Mode, ...], True),
        ((Mode.BEARER,), tuple[Mode, ...], True),
        ((Mode.BEARER, "bearer"), tuple[Mode, ...], False),
        ([Mode.BEARER], tuple[Mode, ...], False),
    ],
)
def test_a_value_fits_its_annotation_or_not(value: object, kind: Any, expected: bool) -> None:
    """ASVS 2.2.1."""
    assert fits(value, kind) is expected


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("smtp://mail.example.com", ("mail.example.com", 587, False, None, None)),
        ("smtps://mail.example.com", ("mail.example.com", 465, True, None, None)),
        ("smtps://u:p@MAIL.example.com:2465/", ("mail.example.com", 2465, True, "u", "p")),
        ("smtp://a%40b.c:p%3A%2F%40@127.0.0.1:25", ("127.0.0.1", 25, False, "a@b.c", "p:/@")),
        ("smtp://[::1]:25", ("::1", 25, False, None, None)),
        ("smtp://bücher.example", ("xn--bcher-kva.example", 587, False, None, None)),
    ],
)
def test_a_mail_server_is_read(text: str, server: tuple[object, ...]) -> None:
    """DESIGN §4.8."""
    assert smtp_server(text) == server
    assert smtp_url(f" {text}\n") == text


@pytest.mark.parametrize(
    "text",
    [
        *("mail.example.com", "smtp:mail.example.com", "http://mail.example.com", "smtp://", "smtp://:25"),
        *("smtp://mail.example.com/path", "smtp://mail.example.com?x=canary", "smtp://mail.example.com#x"),
        *("smtp://canary@mail.example.com", "smtp://u:canary@mail:port", "smtp://u:canary@[::1"),
        *("smtp://mail.example.com:99999", "smtp://ma il", "smtp://mail\r\nQUIT", "smtps://u:can\nary@mail"),
    ],
)
def test_what_is_no_mail_server_is_refused_and_not_repeated(text: str) -> None:
    """ASVS 1.3.11, 13.3.1: there may be a password in it."""
    with pytest.raises(ValueError, match=r"expected smtps://|give a user and a password") as caught:
        smtp_url(text)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "sender"),
    [
        ("login@example.com", "login@example.com"),
        ("<login@example.com>", "login@example.com"),
        ("Häuser & Co. <login@example.com>", "Häuser & Co. <login@example.com>"),
        ('"Example, Inc." <login@example.com>', "Example, Inc. <login@example.com>"),
        ("a.b+c@localhost", "a.b+c@localhost"),
        ("login@bücher.example", "login@xn--bcher-kva.example"),
    ],
)
def test_a_sender_is_read(text: str, sender: str) -> None:
    assert mailbox(text) == sender
    assert mailbox(sender) == sender


@pytest.mark.parametrize(
    "text",
    [
        *(
            "login",
            "@example.com",
            "login@",
            "a@b@c",
            "a b@example.com",
            ".a@example.com",
            "a..b@example.com",
        ),
        *(
            "x <login@example.com",
            "login@example.com>",
            "zoë@example.com",
            "login@example.com, b@example.com",
        ),
        *(
            "login@example.com\r\nBcc: eve@example.com",
            "x\ny <login@example.com>",
            "a" * 250 + "@example.com",
        ),
    ],
)
def test_what_is_no_sender_is_refused(text: str) -> None:
    """ASVS 1.3.11: no header is injected by a setting either."""
    with pytest.raises(ValueError, match="expected an address such as"):
        mailbox(text)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:9000", "127.0.0.1", 9000),
        ("localhost:0", "localhost", 0),
        ("[::1]:9000", "::1", 9000),
        ("::1:9000", "::1", 9000),
        (" 0.0.0.0:65535 ", "0.0.0.0", 65535),
    ],
)
def test_where_to_listen_is_read(text: str, host: str, port: int) -> None:
    """ASVS 13.4.5."""
    assert host_and_port(socket_address(text)) == (host, port)


@pytest.mark.parametrize(
    "text",
    ["9000", ":9000", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "a b:1", "[::1]:٩"],
)
def test_what_is_no_place_to_listen_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected an address and a port such as 127\.0\.0\.1:9000"):
        socket_address(text)
