"""Settings: every text that is documented, and every contradiction told by the name of its setting.

How a single text is read is in test_texts.py.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import FrozenInstanceError, fields, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from watchword.choices import CLAIM_FIELDS, OTHER_COOKIES
from watchword.errors import SettingsError
from watchword.rates import DEFAULTS, Limits, Rate
from watchword.settings import (
    Algorithm,
    CookiePrefix,
    Cors,
    Csrf,
    FieldCase,
    Mode,
    RefreshFormat,
    SameSite,
    Settings,
    Signup,
    Synchronous,
    TwoFactor,
    check_production,
)

SECRET = "kX3vQz8LmN1pR6tYw0aBcDeFgHiJkCANARY"
FEED = f"sha256:{hashlib.sha256(b'Zq9uYtReWqAsDfGhJkLmNbVcXz012CANARY').hexdigest()}"
OTHER = "Zq9uYtReWqAsDfGhJkLmNbVcXz012CANARY"
PEM = "-----BEGIN PRIVATE KEY-----\nCANARY\n-----END PRIVATE KEY-----"
WEEK, HOUR, MINUTE, SEC = timedelta(weeks=1), timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)


def parse(**texts: str) -> Settings:
    return Settings.parse(texts)


def refusal(texts: Mapping[str, str]) -> str:
    with pytest.raises(SettingsError) as caught:
        Settings.parse(texts)
    return str(caught.value)


def typed(texts: Mapping[str, str]) -> dict[str, Any]:
    """What the constructor takes, made of texts by the readers of each setting."""
    readers = {setting.name: setting.metadata["read"] for setting in fields(Settings)}
    return {name: readers[name](text) for name, text in texts.items()}


def outcome(make: Callable[[], Settings]) -> Settings | str:
    """Settings, or the words in which they were refused."""
    try:
        return make()
    except SettingsError as error:
        return str(error)


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
    assert (default.cors, default.csrf, default.refresh_format) == (
        Cors.OWN,
        Csrf.ORIGIN,
        RefreshFormat.OPAQUE,
    )
    assert (default.cookie_domain, default.cookie_samesite, default.cookie_prefix) == (
        "",
        None,
        CookiePrefix.AUTO,
    )
    assert (default.access_cookie, default.refresh_cookie, default.session_cookie) == (
        "",
        "refresh_token",
        "session_id",
    )
    assert default.refresh_cookie_path == ""
    assert (default.field_case, default.access_field, default.access_claims) == (
        FieldCase.SNAKE,
        "access_token",
        (),
    )
    assert default.signup is Signup.OPEN
    assert (default.prefix, default.synchronous) == ("/auth", Synchronous.FULL)
    assert (default.hash_threads, default.pages) == (0, True)
    assert default.max_sessions == 50
    assert (default.redis_url, default.limits) == ("", Limits())
    assert default.events_file == ""


LOOSER = Limits(
    (
        ("login", Rate(20, 60_000_000)),
        *((name, rate) for name, rate in DEFAULTS.items() if name.startswith("login_")),
        ("codes", Rate(5, 900_000_000)),
        *((name, rate) for name, rate in DEFAULTS.items() if name.startswith(("register", "verify"))),
        *(
            (name, DEFAULTS[name])
            for name in ("forgot", "forgot_all", "reset", "reset_link", "email_change", "email_change_user")
        ),
    )
)

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
    ("database_url", " postgresql://u:p@db/ww ", "postgresql://u:p@db/ww"),
    ("mode", "cookies", (Mode.COOKIES,)),
    ("mode", "bearer", (Mode.BEARER,)),
    ("mode", "hybrid,bearer", (Mode.HYBRID, Mode.BEARER)),
    ("mode", "Bearer  COOKIES hybrid", (Mode.BEARER, Mode.COOKIES, Mode.HYBRID)),
    ("mode", "jwt_cookie", (Mode.JWT_COOKIE,)),  # R1, R45
    ("mode", "session", (Mode.SESSION,)),  # R46
    ("mode", ",".join(Mode), tuple(Mode)),  # R49: all at once
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
    *(("two_factor", word.value, word) for word in TwoFactor),
    *(("signup", word.value, word) for word in Signup),
    ("code_ttl", "1m", MINUTE),
    ("code_ttl", "600", 10 * MINUTE),
    ("trusted_origins", "", ()),
    (
        "trusted_origins",
        "https://a.example, http://localhost:5173/",
        ("https://a.example", "http://localhost:5173"),
    ),
    ("trusted_proxies", "10.0.0.0/8 ::1,192.0.2.7", ("10.0.0.0/8", "::1", "192.0.2.7")),
    ("cors", "own", Cors.OWN),
    ("csrf", "Token", Csrf.TOKEN),
    ("refresh_format", "jwt", RefreshFormat.JWT),
    ("cookie_domain", "", ""),
    ("cookie_samesite", "lax", SameSite.LAX),
    ("cookie_samesite", "Strict", SameSite.STRICT),
    ("cookie_samesite", " ", None),
    ("cookie_prefix", "none", CookiePrefix.NONE),
    ("access_cookie", "token", "token"),  # R45
    ("access_cookie", "", ""),
    ("access_cookie", "auth_token", "auth_token"),
    ("refresh_cookie", "rt", "rt"),  # R20
    ("refresh_cookie", " r-t_1 ", "r-t_1"),
    ("session_cookie", "sessionId", "sessionId"),  # R46
    ("refresh_cookie_path", "/auth/refresh", "/auth/refresh"),  # R20
    ("refresh_cookie_path", "/auth", "/auth"),
    ("refresh_cookie_path", "/", ""),
    ("field_case", "camel", FieldCase.CAMEL),
    ("access_field", "access_token", "access_token"),
    ("access_claims", "email username", ("email", "username")),  # R2, R18
    ("access_claims", "email_verified", ("email_verified",)),
    ("smtp_url", " smtps://u:p%40@mail.example.com\n", "smtps://u:p%40@mail.example.com"),
    ("smtp_url", "", ""),
    ("feed_token", f" {OTHER}\n", FEED),
    ("feed_token", FEED, FEED),
    ("feed_token", "", ""),
    ("mail_from", " Example <Login@Example.com> ", "Example <Login@example.com>"),
    ("mail_from", "", ""),
    ("redis_url", " rediss://:p%40@redis.example.com:6380/1\n", "rediss://:p%40@redis.example.com:6380/1"),
    ("redis_url", "", ""),
    ("limits", "on", Limits()),
    ("limits", "", Limits()),
    ("limits", " Off ", Limits(())),
    ("limits", "login=10/m", Limits()),
    ("limits", "login=20/m, refresh=off codes=5/15m", LOOSER),
    ("prefix", "/auth/v1", "/auth/v1"),
    ("synchronous", "normal", Synchronous.NORMAL),
    ("hash_threads", "4", 4),
    ("max_sessions", "5", 5),
    ("events_file", "/var/log/watch word/événements.jsonl", "/var/log/watch word/événements.jsonl"),
    ("events_file", " events.jsonl ", "events.jsonl"),
    ("admin_bind", " 127.0.0.1:9000 ", "127.0.0.1:9000"),
    ("admin_bind", "[::1]:9000", "[::1]:9000"),
    ("admin_bind", "", ""),
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
    ("feed_token", "CANARY", "feed_token: 32 characters are needed, 12 of them different"),
    ("feed_token", "x" * 64, "feed_token: 32 characters are needed, 12 of them different"),
    ("feed_token", f"{OTHER} {OTHER}", "feed_token: expected visible ASCII characters"),
    ("feed_token", f"sha256:{'0' * 63}", "feed_token: expected 64 hexadecimal digits"),
    ("secret", "too short", "secret number 1 has 3 characters, 32 are needed: `watchword secret` makes one"),
    ("secret", "x" * 31, "secret has 31 characters, 32 are needed"),
    ("secret", "changeme", "secret has 8 characters"),
    ("secret", "x" * 64, "secret has too few different characters"),
    ("secret", "abcdefghijk" * 4, "secret has too few different characters"),
    ("secret", f"{SECRET},short", "secret number 2 has 5 characters"),
    ("secret", f"{SECRET},{SECRET}", "secret: the same one is listed twice"),
    ("secret", SECRET + "\udcff", "secret is not UTF-8 text"),
    *(("url", text, "url: ") for text in ("", "app.example.com", "https://app.example.com/auth", "*")),
    ("trusted_origins", "*", "trusted_origins: "),
    (
        "trusted_origins",
        "https://a.example https://*.b.example",
        "trusted_origins: 'https://*.b.example' is no origin",
    ),
    ("mode", "", "mode: name at least one, each once"),
    ("mode", "cookies,cookies", "mode: name at least one, each once"),
    ("mode", "cookie", "did you mean cookies?"),
    ("mode", "saml", "expected one of cookies, hybrid, bearer, jwt_cookie, session"),
    ("algorithm", "none", "expected one of HS256, ES256, EdDSA, RS256"),
    ("algorithm", "HS265", "did you mean HS256?"),
    ("algorithm", "", "expected one of HS256"),
    *(
        (name, "5 minutes", f"{name} is '5 minutes': expected a duration such as 15m, 7d or 200ms")
        for name in ("access_ttl", "refresh_ttl", "session_max", "rotation_window")
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
    ("signup", "off", "signup is 'off': expected one of open, closed"),
    ("two_factor", "on", "two_factor is 'on': expected one of off, optional, required"),
    ("code_ttl", "10m1s", "code_ttl"),
    ("code_ttl", "601", "code_ttl: 1m to 10m"),
    ("code_ttl", "59s", "code_ttl: 1m to 10m"),
    ("code_ttl", "90.5", "code_ttl: whole seconds"),
    ("trusted_proxies", "10.0.0.0/33", "trusted_proxies: 10.0.0.0/33 is no address or network"),
    ("trusted_proxies", "10.0.0.1/8", "trusted_proxies: 10.0.0.1/8 is no address or network"),
    ("trusted_proxies", "proxy.internal", "trusted_proxies: proxy.internal is no address or network"),
    ("trusted_proxies", "*", "trusted_proxies: * is no address or network"),
    ("smtp_url", "http://u:canary@mail.example.com", "smtp_url: expected smtps://user:password@"),
    ("mail_from", "nobody", "mail_from is 'nobody': expected an address such as login@example.com"),
    ("redis_url", "redis.example.com:6379", "redis_url: expected redis://:password@host:6379/0"),
    ("redis_url", "http://u:canary@redis.example.com", "redis_url: expected redis://"),
    ("redis_url", "redis://", "redis_url: expected redis://"),
    ("redis_url", "redis://host:port", "redis_url: expected redis://"),
    ("limits", "yes", "limits is 'yes': expected on, off or a list such as login=10/m"),
    ("limits", "on,off", "expected on, off or a list"),
    ("limits", "logins=1/m", "there is no limit 'logins'; did you mean login?"),
    ("limits", "login=1/m,login=2/m", "login is given twice"),
    *(
        ("limits", f"login={rate}", "login: expected a rate such as 10/m, 5/15m or 20/h")
        for rate in (
            "",
            "0/m",
            "-1/m",
            "10",
            "10/",
            "10/w",
            "1.5/m",
            "10/0m",
            "10/m/m",
            "1/2d",
            "9999999/s",
            "on",
        )
    ),
    ("prefix", "auth", "prefix is 'auth': expected a path such as /auth"),
    ("refresh_cookie_path", "/auth/", "refresh_cookie_path is '/auth/': expected a path such as /auth"),
    ("cors", "any", "expected one of own, app"),
    ("csrf", "off", "expected one of origin, token"),
    ("refresh_format", "JWS", "expected one of opaque, jwt; did you mean jwt?"),
    ("cookie_samesite", "off", "expected one of Strict, Lax, None"),
    ("cookie_prefix", "", "expected one of auto, none"),
    ("cookie_domain", "localhost", "cookie_domain is 'localhost': expected a domain such as example.com"),
    ("field_case", "kebab", "expected one of snake, camel"),
    *(
        (name, "__Host-x", f"{name} is '__Host-x': name it without its prefix")
        for name in ("access_cookie", "refresh_cookie", "session_cookie")
    ),
    ("refresh_cookie", "", "refresh_cookie is '': expected 1 to 64 letters"),
    ("session_cookie", "a;b", "session_cookie is 'a;b': expected 1 to 64 letters"),
    ("access_field", "access-token", "access_field is 'access-token': expected a name such as access_token"),
    ("synchronous", "off", "expected one of full, normal"),
    ("max_sessions", "0", "max_sessions: 1 to 10000"),
    ("max_sessions", "10001", "max_sessions: 1 to 10000"),
    ("max_sessions", "5.5", "max_sessions is '5.5': expected a whole number"),
    ("hash_threads", "many", "hash_threads is 'many': expected a whole number"),
    ("hash_threads", "-1", "hash_threads: 0 (as many as there are cores) to 256"),
    ("hash_threads", "257", "hash_threads: 0 (as many as there are cores) to 256"),
    ("hash_threads", "1" * 5000, "hash_threads is"),
    ("events_file", "/var/log/\0", "expected the path of a file, such as /var/log/watchword/events.jsonl"),
    ("events_file", "/var/log/\nevents", "expected the path of a file"),
    ("events_file", "/var/log/", "expected the path of a file"),
    ("admin_bind", "9000", "admin_bind is '9000': expected an address and a port such as 127.0.0.1:9000"),
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


HTTPS = {"url": "https://app.example.com"}
APART: list[tuple[dict[str, str], str]] = [
    (
        {"cookie_samesite": "None"},
        "cookie_samesite None: browsers drop such a cookie without Secure; give url https",
    ),
    *(
        (
            HTTPS | {"cookie_domain": text},
            f"cookie_domain {text}: browsers would drop our cookies, as app.example.com",
        )
        for text in ("example.org", "www.example.com", "ample.com", "x.app.example.com")
    ),
    (
        {"url": "http://10.0.0.1", "cookie_domain": "example.com"},
        "cookie_domain example.com: browsers would drop",
    ),
    (
        {"cookie_domain": "example.com"},
        "cookie_domain example.com: browsers would drop our cookies, as 127.0.0.1",
    ),
    (
        {"refresh_cookie": "session_id"},
        "session_cookie session_id: refresh_cookie has that name; choose another",
    ),
    ({"access_cookie": "refresh_token"}, "refresh_cookie refresh_token: access_cookie has that name"),
    ({"session_cookie": "Refresh_Token"}, "session_cookie Refresh_Token: refresh_cookie has that name"),
    ({"access_cookie": "T", "session_cookie": "t"}, "session_cookie t: access_cookie has that name"),
    (
        {"refresh_cookie": "auth_token"},
        "refresh_cookie auth_token: the cookie of mode jwt_cookie has that name",
    ),
    (
        {"session_cookie": "ACCESS_TOKEN"},
        "session_cookie ACCESS_TOKEN: the cookie of mode cookies has that name",
    ),
    *(
        (
            {name: text},
            f"{name} {text}: one of our cookies that no setting names has that name; choose another",
        )
        for name in ("access_cookie", "refresh_cookie", "session_cookie")
        for text in (*OTHER_COOKIES, "Device")
    ),
    (
        {"access_cookie": "t", "mode": "cookies,jwt_cookie"},
        "access_cookie: it would name the cookies of two modes",
    ),
    *(
        ({"refresh_cookie_path": text}, f"refresh_cookie_path {text}: browsers would not send the cookie to ")
        for text in ("/other", "/aut", "/auth/refresh/x", "/auth/logout", "/AUTH")
    ),
    (
        {"refresh_cookie_path": "/auth", "prefix": "none", "pages": "off"},
        "refresh_cookie_path /auth: browsers would not send the cookie to /refresh; name that path or one above it",
    ),
    *(
        (
            {"refresh_cookie_path": "/auth", "mode": mode},
            "refresh_cookie_path: no mode of yours has a refresh cookie",
        )
        for mode in ("bearer", "jwt_cookie", "session", "bearer,jwt_cookie,session")
    ),
    ({"csrf": "token", "mode": "bearer"}, "csrf token: mode bearer has no cookies to protect; leave it out"),
    *(
        (
            {"refresh_format": "jwt", "mode": mode},
            f"refresh_format jwt: mode {mode.partition(',')[0]} has no refresh",
        )
        for mode in ("jwt_cookie", "session", "session,jwt_cookie")
    ),
    *(
        (
            {"access_field": text, "mode": "hybrid"},
            f"access_field {text}: the answer has another field of that name; choose another",
        )
        for text in ("token_type", "expires_in", "refreshToken", "refresh_timeout", "user", "session")
    ),
    *(
        (
            {"access_field": "token", "mode": mode},
            "access_field: no mode of yours has an access token in the body",
        )
        for mode in ("cookies", "jwt_cookie", "session")
    ),
    ({"access_claims": "email,roles"}, "access_claims: 'roles' is none of email, email_verified, username"),
    ({"access_claims": "digest"}, "access_claims: 'digest' is none of email, email_verified, username"),
    ({"cors": "app"}, "cors app: no origin is trusted; name them in trusted_origins"),
    ({"prefix": "none"}, "prefix none: the pages would take / of your app; set pages to off, or a prefix"),
    ({"prefix": "/"}, "prefix none: the pages would take / of your app"),
    ({"prefix": ""}, "prefix none: the pages would take / of your app"),
]


@pytest.mark.parametrize(("texts", "message"), APART)
def test_what_browsers_would_drop_or_nobody_would_notice_is_refused_at_construction(
    texts: dict[str, str], message: str
) -> None:
    """DESIGN §4.6, §5; R12, R20; ASVS 3.3.1, 13.1.2: by texts and by values, in the same words."""
    told = refusal(texts)
    assert told.startswith(message)
    with pytest.raises(SettingsError) as caught:
        Settings(**typed(texts))
    assert str(caught.value) == told


@pytest.mark.parametrize(
    "texts",
    [
        HTTPS | {"cookie_samesite": "none"},  # R20
        *(HTTPS | {"cookie_domain": text} for text in ("example.com", ".Example.COM", "app.example.com")),
        {"url": "http://app.localtest.example:8000", "cookie_domain": "localtest.example"},
        {"url": "https://app.bücher.example", "cookie_domain": "bücher.example"},
        {"access_cookie": "access_token"},
        {"access_cookie": "at", "refresh_cookie": "access_token", "session_cookie": "auth_token"},
        {"refresh_cookie": "session_id", "session_cookie": "refresh_token"},
        {"mode": "cookies,jwt_cookie"},
        {"mode": "jwt_cookie", "access_cookie": "token"},  # R45
        {"refresh_cookie_path": "/auth/refresh", "mode": "bearer,hybrid"},
        {"refresh_cookie_path": "/a/b", "prefix": "/a/b"},
        {"refresh_cookie_path": "/refresh", "prefix": "none", "pages": "off"},
        {"csrf": "token", "mode": "bearer,session"},
        {"refresh_format": "jwt", "mode": "session,bearer"},
        {"access_field": "token", "mode": "bearer"},  # R43
        {"access_field": "accessToken", "mode": "cookies,hybrid", "field_case": "camel"},  # R18
        {"access_claims": ",".join(CLAIM_FIELDS)},
        {"cors": "app", "trusted_origins": "https://www.example.com"},
        *({"prefix": text, "pages": "off"} for text in ("none", "None", "/", "")),
    ],
)
def test_what_goes_together_is_taken_by_texts_and_by_values(texts: dict[str, str]) -> None:
    """DESIGN §5, §6: the neighbours of every refusal above."""
    assert Settings.parse(texts) == Settings(**typed(texts))


def test_the_bounds_themselves_are_allowed() -> None:
    """DESIGN §6."""
    parse(access_ttl="1d", refresh_ttl="1d", session_max="1d")
    parse(rotation_window="10m", refresh_ttl="40m")
    parse(session_max="3650d")
    parse(access_ttl="1s")
    parse(hash_threads="256")
    parse(max_sessions="1")
    parse(max_sessions="10000")
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
        ("smtp_url", "smtp://u:p@mail\n", "smtp://u:p@mail"),
        ("feed_token", f"{OTHER}\n", FEED),
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
        {"secret": SECRET, "feed_token": SECRET},
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


READABLE: dict[str, tuple[str, ...]] = {
    "secret": ("", SECRET, f"{SECRET},{OTHER}"),
    "url": (
        "http://127.0.0.1:8000",
        "https://app.example.com",
        "http://[::1]",
        "https://a.b.example.com:8443",
    ),
    "mode": (*Mode, "cookies,jwt_cookie", "bearer,session", ",".join(Mode)),
    "algorithm": tuple(Algorithm),
    "rsa_key": ("", PEM),
    "access_ttl": ("1s", "15m"),
    "refresh_ttl": ("30m", "7d", "30d"),
    "session_max": ("7d", "30d"),
    "rotation_window": ("0", "20s", "10m"),
    "trusted_origins": ("", "https://www.example.com"),
    "cors": tuple(Cors),
    "csrf": tuple(Csrf),
    "refresh_format": tuple(RefreshFormat),
    "cookie_domain": ("", "example.com", ".b.example.com"),
    "cookie_samesite": ("", *SameSite),
    "cookie_prefix": tuple(CookiePrefix),
    **dict.fromkeys(
        ("access_cookie", "refresh_cookie", "session_cookie"),
        ("t", "T", "access_token", "auth_token", "device"),
    ),
    "refresh_cookie_path": ("/", "/auth", "/auth/refresh", "/refresh"),
    "field_case": tuple(FieldCase),
    "access_field": ("access_token", "token", "user"),
    "access_claims": ("", "email", "roles"),
    "prefix": ("/auth", "none", "/auth/refresh"),
    "pages": ("on", "off"),
    "admin_bind": ("", "127.0.0.1:9000", "[::1]:0"),
    "feed_token": ("", SECRET, "sha256:" + "0" * 64),
}


@given(
    texts=st.fixed_dictionaries({}, optional={name: st.sampled_from(few) for name, few in READABLE.items()})
)
@settings(max_examples=600, database=None)
def test_any_combination_works_or_is_refused_by_the_name_of_a_setting(texts: dict[str, str]) -> None:
    """ASVS 13.1.2, 16.5.3: no order of checks lets another exception out, and both ways say the same."""
    parsed = outcome(lambda: Settings.parse(texts))
    assert parsed == outcome(lambda: Settings(**typed(texts)))
    if isinstance(parsed, Settings):
        assert replace(parsed) == parsed
    else:
        assert re.split(r"\W", parsed)[0] in PROBED


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
    ("mode", "in_cookies", "rotates", "refresh_in_cookie", "access_in_body"),
    [
        (Mode.COOKIES, True, True, True, False),
        (Mode.HYBRID, True, True, True, True),
        (Mode.BEARER, False, True, False, True),
        (Mode.JWT_COOKIE, True, False, False, False),
        (Mode.SESSION, True, False, False, False),
    ],
)
def test_a_mode_says_what_travels_where(
    mode: Mode, in_cookies: bool, rotates: bool, refresh_in_cookie: bool, access_in_body: bool
) -> None:
    """DESIGN §5; R49."""
    assert (mode.in_cookies, mode.rotates) == (in_cookies, rotates)
    assert (mode.refresh_in_cookie, mode.access_in_body) == (refresh_in_cookie, access_in_body)


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
    assert Settings(cookie_domain=".Example.COM", url="https://a.example.com").cookie_domain == "example.com"
    assert Settings(refresh_cookie=" rt ", access_cookie=" at ").access_cookie == "at"
    with pytest.raises(SettingsError, match=r"^access_ttl: more than 0"):
        Settings(access_ttl=timedelta(0))
    with pytest.raises(SettingsError, match=r"^mode: name at least one"):
        Settings(mode=())
    with pytest.raises(SettingsError, match=r"^refresh_cookie: expected 1 to 64"):
        Settings(refresh_cookie="a\r\nb")


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("access_ttl", 900, "timedelta"),
        ("csrf", "token", "Csrf"),
        ("mode", "cookies", "tuple[Mode, ...]"),
        ("mode", Mode.COOKIES, "tuple[Mode, ...]"),
        ("mode", ("cookies",), "tuple[Mode, ...]"),
        ("secret", SECRET, "tuple[str, ...]"),
        ("secret", (SECRET.encode(),), "tuple[str, ...]"),
        ("trusted_proxies", (167772160,), "tuple[str, ...]"),  # which ip_network would take for 10.0.0.0
        ("trusted_origins", ["https://a.example"], "tuple[str, ...]"),
        ("access_claims", "email", "tuple[str, ...]"),
        ("cookie_samesite", "None", "SameSite | None"),
        ("url", None, "str"),
        ("pages", "off", "bool"),  # which would be true
        ("hash_threads", 1.5, "int"),
    ],
)
def test_a_value_of_another_type_is_refused_by_name(name: str, value: object, expected: str) -> None:
    """ASVS 16.5.3, attack 96: who calls from untyped code hears it at once, and no log shows the value."""
    wrong: dict[str, Any] = {name: value}
    with pytest.raises(SettingsError) as caught:
        Settings(**wrong)
    assert str(caught.value) == f"{name}: expected {expected}; texts are for Settings.parse"


def test_parse_takes_texts_alone() -> None:
    """ASVS 16.5.3."""
    wrong: dict[str, Any] = {"pages": True}
    assert refusal(wrong) == "pages: expected a text; typed values are for Settings(...)"


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
        ({"two_factor": "required"}, "WATCHWORD_TWO_FACTOR is required, and without WATCHWORD_SMTP_URL"),
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
    ("texts", "sender"),
    [
        ({"mail_from": "Example <login@example.com>"}, "Example <login@example.com>"),
        ({"url": "https://app.example.com:8443"}, "no-reply@app.example.com"),
        ({"url": "http://localhost:8000"}, "no-reply@localhost"),
        ({"url": "http://127.0.0.1:8000"}, "no-reply@localhost"),
        ({"url": "http://[::1]:8000"}, "no-reply@localhost"),
        ({"url": "http://192.0.2.1"}, "no-reply@[192.0.2.1]"),
        ({"url": "http://[2001:db8::1]"}, "no-reply@[IPv6:2001:db8::1]"),
    ],
)
def test_mail_has_a_sender_whatever_is_set(texts: dict[str, str], sender: str) -> None:
    """DESIGN §4.8."""
    assert Settings.parse(texts).sender == sender
