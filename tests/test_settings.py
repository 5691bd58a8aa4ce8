"""Settings: every text that is documented, and every contradiction told by the name of its setting."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import FrozenInstanceError, fields
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from watchword.errors import SettingsError
from watchword.settings import Algorithm, Mode, Settings, Synchronous, check_production, duration

SECRET = "kX3vQz8LmN1pR6tYw0aBcDeFgHiJkCANARY"
OTHER = "Zq9uYtReWqAsDfGhJkLmNbVcXz012CANARY"
PEM = "-----BEGIN PRIVATE KEY-----\nCANARY\n-----END PRIVATE KEY-----"
WEEK, HOUR, MINUTE, SEC = timedelta(weeks=1), timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)


def parse(**texts: str) -> Settings:
    return Settings.parse(texts)


def refusal(texts: Mapping[str, str]) -> str:
    with pytest.raises(SettingsError) as caught:
        Settings.parse(texts)
    return str(caught.value)


def test_without_any_setting_the_defaults_of_the_design_hold() -> None:
    """DESIGN §6; ASVS 6.3.2: and there is no default secret."""
    default = Settings()
    assert default == Settings.parse({}) == Settings.from_env({"HOME": "/", "WATCHWORDX": "1"})
    assert default.secret == ()
    assert (default.url, default.database_url) == ("http://127.0.0.1:8000", "sqlite:///watchword.db")
    assert (default.mode, default.algorithm, default.rsa_key) == ((Mode.COOKIES,), Algorithm.HS256, "")
    assert (default.access_ttl, default.refresh_ttl, default.session_max) == (
        15 * MINUTE,
        WEEK,
        timedelta(days=30),
    )
    assert default.rotation_window == 20 * SEC
    assert (default.trusted_origins, default.trusted_proxies) == ((), ())
    assert (default.prefix, default.synchronous) == ("/auth", Synchronous.FULL)
    assert (default.hash_threads, default.pages) == (0, True)


PARSED: list[tuple[str, str, object]] = [
    ("secret", SECRET, (SECRET,)),
    ("secret", f"{SECRET},{OTHER}", (SECRET, OTHER)),
    ("secret", f" {SECRET}\n{OTHER}\t", (SECRET, OTHER)),
    ("secret", f"{SECRET} , {OTHER},", (SECRET, OTHER)),
    (
        "secret",
        "ключ-из-многих-разных-букв-и-цифр-0123456789",
        ("ключ-из-многих-разных-букв-и-цифр-0123456789",),
    ),
    ("secret", "", ()),
    ("url", "https://app.example.com", "https://app.example.com"),
    ("url", "  https://app.example.com/ ", "https://app.example.com"),
    ("url", "HTTPS://App.Example.COM", "https://app.example.com"),
    ("url", "https://app.example.com:443", "https://app.example.com"),
    ("url", "https://app.example.com:8443", "https://app.example.com:8443"),
    ("url", "https://app.example.com:80", "https://app.example.com:80"),
    ("url", "http://localhost:80", "http://localhost"),
    ("url", "http://localhost:", "http://localhost"),
    ("url", "http://127.0.0.1:8000", "http://127.0.0.1:8000"),
    ("url", "http://[::1]:8000", "http://[::1]:8000"),
    ("url", "http://[0:0:0:0:0:0:0:1]", "http://[::1]"),
    ("url", "https://[2001:DB8::1]", "https://[2001:db8::1]"),
    ("url", "https://bücher.example", "https://xn--bcher-kva.example"),
    ("url", "https://BÜCHER.example", "https://xn--bcher-kva.example"),
    ("url", "https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
    ("url", "https://straße.example", "https://xn--strae-oqa.example"),  # not strasse: somebody else's
    ("url", "https://my_app.example", "https://my_app.example"),
    ("database_url", " postgresql://u:p@db/ww ", "postgresql://u:p@db/ww"),
    ("mode", "cookies", (Mode.COOKIES,)),
    ("mode", "bearer", (Mode.BEARER,)),
    ("mode", "hybrid,bearer", (Mode.HYBRID, Mode.BEARER)),
    ("mode", "Bearer  COOKIES hybrid", (Mode.BEARER, Mode.COOKIES, Mode.HYBRID)),
    ("algorithm", "ES256", Algorithm.ES256),
    ("algorithm", "eddsa", Algorithm.EDDSA),
    ("algorithm", " hs256 ", Algorithm.HS256),
    ("access_ttl", "5m", 5 * MINUTE),
    ("access_ttl", "900", 15 * MINUTE),  # R12: ACCESS_TOKEN_TTL=900
    ("access_ttl", "1d", timedelta(days=1)),
    ("refresh_ttl", "7d", WEEK),
    ("refresh_ttl", "168h", WEEK),
    ("session_max", "365d", timedelta(days=365)),
    ("rotation_window", "0", timedelta(0)),
    ("rotation_window", "200ms", timedelta(milliseconds=200)),
    ("rotation_window", "1ms", timedelta(milliseconds=1)),
    ("rotation_window", "1.5s", timedelta(seconds=1.5)),
    ("rotation_window", " 10 m ", 10 * MINUTE),
    ("trusted_origins", "", ()),
    (
        "trusted_origins",
        "https://a.example, http://localhost:5173/",
        ("https://a.example", "http://localhost:5173"),
    ),
    ("trusted_proxies", "10.0.0.0/8 ::1,192.0.2.7", ("10.0.0.0/8", "::1", "192.0.2.7")),
    ("prefix", "/auth/v1", "/auth/v1"),
    ("prefix", "/~me-._", "/~me-._"),
    ("synchronous", "normal", Synchronous.NORMAL),
    ("hash_threads", "4", 4),
    *(("pages", text, True) for text in ("on", "ON", "true", "yes", "1", " on ")),
    *(("pages", text, False) for text in ("off", "Off", "false", "no", "0")),
]


@pytest.mark.parametrize(("name", "text", "value"), PARSED)
def test_a_text_becomes_its_value(name: str, text: str, value: object) -> None:
    """DESIGN §6; R12, R14; ASVS 1.1.1."""
    assert getattr(Settings.parse({name: text}), name) == value
    assert getattr(Settings.from_env({f"WATCHWORD_{name.upper()}": text}), name) == value


def test_every_setting_has_a_row_above() -> None:
    """DESIGN §6."""
    assert {name for name, _, _ in PARSED} | {"rsa_key"} == {setting.name for setting in fields(Settings)}


REFUSED: list[tuple[str, str, str]] = [
    ("secret", "too short", "secret number 1 has 3 characters, 32 are needed: `watchword secret` makes one"),
    ("secret", "x" * 31, "secret has 31 characters, 32 are needed"),
    ("secret", "changeme", "secret has 8 characters"),
    ("secret", "x" * 64, "secret has too few different characters"),
    ("secret", "abcdefghijk" * 4, "secret has too few different characters"),
    ("secret", f"{SECRET},short", "secret number 2 has 5 characters"),
    ("secret", f"{SECRET},{SECRET}", "secret: the same one is listed twice"),
    ("secret", SECRET + "\udcff", "secret is not UTF-8 text"),
    *(
        ("url", text, "url: ")
        for text in (
            *(
                "",
                "app.example.com",
                "//app.example.com",
                "ftp://app.example.com",
                "https://",
                "https:///",
                "https:x",
            ),
            *("https://app.example.com/auth", "https://app.example.com?x=1", "https://app.example.com#x"),
            *("https://user@app.example.com", "https://user:pw@app.example.com", "https://@app.example.com"),
            *(
                "https://*.example.com",
                "https://app.example.com:99999",
                "https://app.example.com:x",
                "https://a b",
            ),
            *(
                "https://exa\nmple.com",
                "https://exa\tmple.com",
                "https://ex<ample.com",
                'https://ex"ample.com',
            ),
            *("https://[::1", "https://[fe80::1%25eth0]", "https://[::g]", "javascript:alert(1)"),
            *(
                "https://" + "ü" * 70,
                "https://\u200b.example",
                "https://app\u2100.example",
                "https://\ud800.example",
            ),
            *("https://a.example,https://b.example", "https://app.example.com\\@evil.example", "null", "*"),
        )
    ),
    *(
        ("trusted_origins", text, "trusted_origins: ")
        for text in ("*", "null", "https://a.example/x", "a.example")
    ),
    (
        "trusted_origins",
        "https://a.example https://*.b.example",
        "trusted_origins: 'https://*.b.example' is no origin",
    ),
    ("mode", "", "mode: name at least one, each once"),
    ("mode", "cookies,cookies", "mode: name at least one, each once"),
    ("mode", "cookie", "did you mean cookies?"),
    ("mode", "saml", "expected one of cookies, hybrid, bearer"),
    ("algorithm", "none", "expected one of HS256, ES256, EdDSA, RS256"),
    ("algorithm", "HS265", "did you mean HS256?"),
    ("algorithm", "", "expected one of HS256"),
    *(
        (name, text, "expected a duration such as 15m, 7d or 200ms")
        for name in ("access_ttl", "refresh_ttl", "session_max", "rotation_window")
        for text in (
            "",
            "m",
            "-5m",
            "+5m",
            "5 minutes",
            "5M",
            "1h30m",
            "1e3",
            "0x10",
            "nan",
            "inf",
            "\u0665m",
            "5m;",
            "1,5s",
        )
    ),
    *(
        (name, "9" * 400 + "d", "longer than any clock")
        for name in ("access_ttl", "refresh_ttl", "session_max")
    ),
    ("session_max", "999999999999d", "longer than any clock"),
    ("access_ttl", "0", "access_ttl: more than 0 and at most 1d"),
    ("access_ttl", "1d1", "expected a duration"),
    ("access_ttl", "86401", "access_ttl: more than 0 and at most 1d"),
    ("access_ttl", "1500ms", "access_ttl: whole seconds"),
    ("refresh_ttl", "31d", "access_ttl, refresh_ttl and session_max: none may be longer than the next"),
    ("session_max", "6d", "access_ttl, refresh_ttl and session_max: none may be longer than the next"),
    ("refresh_ttl", "14m", "access_ttl, refresh_ttl and session_max: none may be longer than the next"),
    ("session_max", "3651d", "session_max: at most 3650d"),
    ("rotation_window", "601", "rotation_window: at most 10m"),
    ("trusted_proxies", "10.0.0.0/33", "trusted_proxies: 10.0.0.0/33 is no address or network"),
    ("trusted_proxies", "10.0.0.1/8", "trusted_proxies: 10.0.0.1/8 is no address or network"),
    ("trusted_proxies", "proxy.internal", "trusted_proxies: proxy.internal is no address or network"),
    ("trusted_proxies", "*", "trusted_proxies: * is no address or network"),
    *(
        ("prefix", text, "prefix: ")
        for text in ("", "/", "auth", "/auth/", "//auth", "/a b", "/ä", "/a?b", "/a#", "/{x}")
    ),
    ("synchronous", "off", "expected one of full, normal"),
    ("hash_threads", "many", "hash_threads is 'many'"),
    ("hash_threads", "-1", "hash_threads: 0 (as many as there are cores) to 256"),
    ("hash_threads", "257", "hash_threads: 0 (as many as there are cores) to 256"),
    ("hash_threads", "1" * 5000, "hash_threads is"),
    ("pages", "maybe", "pages is 'maybe': expected on or off"),
    ("pages", "", "expected on or off"),
]


@pytest.mark.parametrize(("name", "text", "message"), REFUSED)
def test_what_cannot_work_is_refused_with_the_settings_name(name: str, text: str, message: str) -> None:
    """ASVS 2.2.1, 6.3.2, 15.3.5; attacks 4, 87: one line that says which and what instead."""
    told = refusal({name: text})
    assert message in told
    assert name in told
    assert "\n" not in told


@pytest.mark.parametrize(
    ("texts", "names"),
    [
        ({"algorithm": "RS256"}, ["algorithm", "rsa_key", "WATCHWORD_RSA_KEY_FILE"]),
        ({"rsa_key": PEM}, ["rsa_key", "algorithm", "HS256"]),
        ({"rsa_key": PEM, "algorithm": "ES256"}, ["rsa_key", "ES256"]),
        ({"access_ttl": "1h", "refresh_ttl": "30m"}, ["access_ttl", "refresh_ttl"]),
        ({"refresh_ttl": "2d", "session_max": "1d"}, ["refresh_ttl", "session_max"]),
        ({"rotation_window": "10m", "refresh_ttl": "39m"}, ["rotation_window", "refresh_ttl"]),
    ],
)
def test_settings_that_contradict_each_other_are_told_by_both_names(
    texts: dict[str, str], names: list[str]
) -> None:
    """ASVS 13.1.2, 16.5.3 (config interaction, Supabase auth#2600)."""
    told = refusal(texts)
    assert [name for name in names if name not in told] == []


def test_the_bounds_themselves_are_allowed() -> None:
    """DESIGN §6."""
    parse(access_ttl="1d", refresh_ttl="1d", session_max="1d")
    parse(rotation_window="10m", refresh_ttl="40m")
    parse(session_max="3650d")
    parse(access_ttl="1s")
    parse(hash_threads="256")
    parse(secret="abcdefghijkl" + "a" * 20)


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("WATCHWORD_SECRETS", "WATCHWORD_SECRET"),
        ("WATCHWORD_SERCET", "WATCHWORD_SECRET"),
        ("WATCHWORD_ACCESS_TOKEN_TTL", "WATCHWORD_ACCESS_TTL"),
        ("WATCHWORD_DATABASE", "WATCHWORD_DATABASE_URL"),
        ("WATCHWORD_MODES", "WATCHWORD_MODE"),
        ("WATCHWORD_URL_FILE", "WATCHWORD_URL"),  # not a secret, so there is no file for it
        ("WATCHWORD_TRUSTED_PROXY", "WATCHWORD_TRUSTED_PROXIES"),
        ("WATCHWORD_secret_key", "WATCHWORD_SECRET"),
    ],
)
def test_an_unknown_name_is_an_error_with_a_suggestion(name: str, suggestion: str) -> None:
    """DESIGN §6; W13: a misspelled setting never stays without effect."""
    with pytest.raises(SettingsError) as caught:
        Settings.from_env({name: "x"})
    assert str(caught.value) == f"{name.upper()} is not a setting; did you mean {suggestion}?"


@pytest.mark.parametrize("name", ["WATCHWORD_QQQ", "WATCHWORD_", "WATCHWORD__FILE", "WATCHWORD_FILE"])
def test_an_unknown_name_that_resembles_nothing_is_an_error_too(name: str) -> None:
    """DESIGN §6."""
    with pytest.raises(SettingsError, match=f"^{name} is not a setting"):
        Settings.from_env({name: "x"})


def test_the_environment_is_read_when_nothing_else_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """R12; W13: at the call, not at import."""
    for name in [name for name in os.environ if name.startswith("WATCHWORD_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("WATCHWORD_PREFIX", "/login")
    assert Settings.from_env().prefix == "/login"
    monkeypatch.setenv("WATCHWORD_PREFIX", "/other")
    assert Settings.from_env().prefix == "/other"


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("secret", f"{SECRET}\n", (SECRET,)),
        ("secret", f"{SECRET}\n{OTHER}\n", (SECRET, OTHER)),
        ("database_url", "postgresql://u:p@db/ww\n", "postgresql://u:p@db/ww"),
        ("rsa_key", PEM + "\n", PEM),
    ],
)
def test_a_secret_may_come_from_a_file(tmp_path: Path, name: str, text: str, value: object) -> None:
    """ASVS 13.3.1; DESIGN §6."""
    path = tmp_path / "secret file"
    path.write_text(text, encoding="utf-8")
    extra = {"algorithm": "RS256"} if name == "rsa_key" else {}
    assert getattr(Settings.parse({f"{name}_file": str(path), **extra}), name) == value
    environ = {
        f"WATCHWORD_{key.upper()}": given for key, given in {f"{name}_file": str(path), **extra}.items()
    }
    assert getattr(Settings.from_env(environ), name) == value


@pytest.mark.parametrize("order", [("secret", "secret_file"), ("secret_file", "secret")])
def test_a_secret_given_as_value_and_as_file_is_refused(tmp_path: Path, order: tuple[str, str]) -> None:
    """ASVS 13.3.1: nobody shall guess which of the two counts."""
    path = tmp_path / "secret"
    path.write_text(OTHER, encoding="utf-8")
    texts = {"secret": SECRET, "secret_file": str(path)}
    told = refusal({name: texts[name] for name in order})
    assert told == "secret is given twice, as a value and as a file"


def test_a_file_that_cannot_be_read_is_told_by_name_and_path(tmp_path: Path) -> None:
    """ASVS 13.3.1, 16.5.3."""
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe" + SECRET.encode())
    missing = tmp_path / "missing"
    for path, reason in {
        missing: "No such file or directory",
        tmp_path: "Is a directory",
        binary: "not a path to UTF-8 text",
    }.items():
        with pytest.raises(SettingsError) as caught:
            Settings.from_env({"WATCHWORD_SECRET_FILE": str(path)})
        assert str(caught.value) == f"WATCHWORD_SECRET_FILE: cannot read {path}: {reason}"
    assert "cannot read" in refusal({"secret_file": "a\x00b"})
    assert "cannot read" in refusal({"secret_file": ""})


def test_a_file_is_judged_like_a_value(tmp_path: Path) -> None:
    """ASVS 6.3.2."""
    path = tmp_path / "secret"
    path.write_text("changeme\n", encoding="utf-8")
    assert refusal({"secret_file": str(path)}).startswith("secret has 8 characters")
    path.write_text("", encoding="utf-8")
    assert Settings.parse({"secret_file": str(path)}).secret == ()


def test_secrets_never_show_in_a_repr() -> None:
    """Attack 96; ASVS 13.3.1."""
    given_ = parse(
        secret=f"{SECRET},{OTHER}", database_url="postgresql://u:CANARY@db/ww", url="https://a.example"
    )
    with_key = parse(rsa_key=PEM, algorithm="RS256", secret=SECRET)
    for text in (repr(given_), str(given_), f"{given_}", repr(with_key), repr([given_])):
        assert "CANARY" not in text
        assert "url='" in text


@pytest.mark.parametrize(
    "texts",
    [
        {"secret": "CANARY"},
        {"secret": "CANARY" * 10},
        {"secret": f"{SECRET},{SECRET}"},
        {"secret": f"{SECRET},CANARY"},
        {"secret": f"{SECRET}\udcff"},
        {"secret": SECRET, "rsa_key": PEM},
        {"secret": SECRET, "database_url": "postgresql://u:CANARY@db", "mode": "no such mode"},
        {"database_url": "CANARY", "prefix": "x"},
        {"rsa_key": "CANARY", "algorithm": "HS256"},
    ],
)
def test_secrets_never_show_in_a_refusal(texts: dict[str, str]) -> None:
    """Attack 96; ASVS 13.3.1, 16.2.5: neither in the message nor in what it was raised from."""
    with pytest.raises(SettingsError) as caught:
        Settings.parse(texts)
    error: BaseException | None = caught.value
    while error is not None:
        assert "CANARY" not in str(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


PROBED = sorted({setting.name for setting in fields(Settings)})


@given(
    name=st.sampled_from([*PROBED, "secret_file", "rsa_key_file"]), text=st.text(st.characters(), max_size=40)
)
@example(name="url", text="https://é" + "a" * 70)
@example(name="trusted_origins", text="https://\u0378.example")
@example(name="access_ttl", text="9" * 330)
@example(name="secret_file", text="\x00")
@settings(max_examples=400, database=None)
def test_any_text_is_taken_or_refused_by_name(name: str, text: str) -> None:
    """ASVS 16.5.3: nothing but a SettingsError comes out, whatever stands in the environment."""
    for candidate in (text, "https://" + text, text + "d", "/" + text):
        told = name
        try:
            Settings.parse({name: candidate})
        except SettingsError as error:
            told = str(error)
        assert name.removesuffix("_file") in told


@given(host=st.text(st.sampled_from("aAzß\u00fcÜ.-_1:[]%@/\\ #?*\u3002\u0131\u212a"), min_size=1, max_size=8))
@settings(max_examples=400, database=None)
def test_an_origin_is_in_the_one_form_that_browsers_send(host: str) -> None:
    """Attacks 84, 87: what was normalised once stays as it is, in ASCII and lower case."""
    try:
        origin = parse(url=f"https://{host}").url
    except SettingsError:
        return
    assert parse(url=origin).url == origin
    assert origin.isascii()
    assert origin == origin.lower()
    assert not set(origin.removeprefix("https://")) & set(" #?*@/\\%")


def test_own_and_trusted_origins_may_change_something() -> None:
    """ASVS 3.5.1; R14."""
    given_ = parse(
        url="https://app.example.com", trusted_origins="https://www.example.com,https://app.example.com"
    )
    assert given_.origins == {"https://app.example.com", "https://www.example.com"}


@pytest.mark.parametrize(
    ("url", "https", "loopback"),
    [
        ("http://127.0.0.1:8000", False, True),
        ("http://localhost", False, True),
        ("http://[::1]:8000", False, True),
        ("https://localhost", True, True),
        ("https://app.example.com", True, False),
        ("http://app.example.com", False, False),
        ("http://localhost.example.com", False, False),
        ("http://127.0.0.1.example.com", False, False),
        ("http://192.168.0.10", False, False),
        ("http://0.0.0.0:8000", False, False),
    ],
)
def test_url_tells_scheme_and_loopback(url: str, https: bool, loopback: bool) -> None:
    """ASVS 3.3.1; attack 100."""
    assert (parse(url=url).https, parse(url=url).loopback) == (https, loopback)


@pytest.mark.parametrize(
    ("mode", "access", "refresh"),
    [(Mode.COOKIES, True, True), (Mode.HYBRID, False, True), (Mode.BEARER, False, False)],
)
def test_a_mode_says_what_travels_in_cookies(mode: Mode, access: bool, refresh: bool) -> None:
    """R49; DESIGN §5."""
    assert (mode.access_in_cookie, mode.refresh_in_cookie) == (access, refresh)


def test_settings_cannot_be_changed_afterwards() -> None:
    """ASVS 13.1.2: what was checked is what holds."""
    with pytest.raises(FrozenInstanceError):
        Settings().url = "https://evil.example"  # type: ignore[misc]  # what must not work


def test_the_constructor_checks_typed_values_too() -> None:
    """DESIGN §6."""
    assert Settings(url="HTTPS://A.example/", trusted_origins=("https://B.example:443",)).origins == {
        "https://a.example",
        "https://b.example",
    }
    with pytest.raises(SettingsError, match="access_ttl"):
        Settings(access_ttl=timedelta(0))
    with pytest.raises(SettingsError, match="mode"):
        Settings(mode=())


GOOD = {"secret": SECRET, "url": "https://app.example.com"}


@pytest.mark.parametrize(
    "texts",
    [
        GOOD,
        GOOD | {"url": "http://127.0.0.1:8000"},
        GOOD | {"url": "http://[::1]"},
        GOOD | {"url": "http://localhost"},
    ],
)
def test_production_takes_https_or_loopback(texts: dict[str, str]) -> None:
    """ASVS 4.1.2, 12.2.1."""
    check_production(Settings.parse(texts))


@pytest.mark.parametrize(
    ("texts", "name"),
    [
        ({"secret": ""}, "WATCHWORD_SECRET is missing: `watchword secret` makes one"),
        ({"url": "http://app.example.com"}, "WATCHWORD_URL"),
        ({"url": "http://192.168.0.10:8000"}, "WATCHWORD_URL"),
        ({"url": "http://127.0.0.1.nip.example"}, "WATCHWORD_URL"),
        ({"database_url": "memory:"}, "WATCHWORD_DATABASE_URL"),
        *(
            ({"secret": text}, "WATCHWORD_SECRET looks like a placeholder")
            for text in (
                "change-me-0123456789-abcdefghijklmnop",
                "CHANGEME0123456789abcdefghijklmnopqr",
                "please_change_this_secret_0123456789",
                "this-is-a-placeholder-0123456789-abc",
                "your-secret-goes-here-0123456789-abc",
                "your-own-secret-0123456789-abcdefghi",
                "replace-me-0123456789-abcdefghijklmn",
                "django-insecure-0123456789-abcdefghi",
                f"{SECRET},change-me-0123456789-abcdefghijklmnop",
            )
        ),
    ],
)
def test_production_refuses_what_only_a_developers_machine_may_have(texts: dict[str, str], name: str) -> None:
    """Attacks 4, 100; ASVS 6.3.2, 12.2.1, 13.4.2; W13."""
    chosen = Settings.parse(GOOD | texts)
    with pytest.raises(SettingsError) as caught:
        check_production(chosen)
    assert str(caught.value).startswith(name)
    assert "0123456789" not in str(caught.value)


def test_a_generated_secret_always_passes() -> None:
    """ASVS 6.3.2: what `watchword secret` makes is never refused."""
    for _ in range(2000):
        check_production(parse(secret=secrets.token_urlsafe(48)))


@pytest.mark.parametrize(
    ("text", "span"),
    [("1ms", 0.001), ("0.5s", 0.5), ("90", 90), ("1m", 60), ("2h", 7200), ("1d", 86400), (" 7 d ", 604800)],
)
def test_a_duration_reads_as_documented(text: str, span: float) -> None:
    """DESIGN §6."""
    assert duration(text) == timedelta(seconds=span)
