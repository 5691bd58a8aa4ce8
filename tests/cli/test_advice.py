"""What of the settings is called unwise, and above all what is not: advice that cries wolf is turned off."""

import secrets
from collections.abc import Callable

import pytest

from watchword.cli.advice import MIN_BITS, Check, advise, bits, database_tls, is_local
from watchword.settings import Settings

SECRET = "kVd3x1hVnqk0S5m3cO9lYpXyQ0oY4S6h"
HTTPS = {
    "secret": SECRET,
    "url": "https://app.example.com",
    "trusted_proxies": "10.0.0.1",
    "smtp_url": "smtps://mail.example.com",
    "events_file": "/var/log/watchword/events.jsonl",
}


def checks(texts: dict[str, str], *, workers: int = 1) -> list[Check]:
    return [finding.check for finding in advise(Settings.parse(HTTPS | texts), workers=workers)]


@pytest.mark.parametrize(
    "texts",
    [
        {},
        {"url": "http://127.0.0.1:8000"},
        {"algorithm": "ES256"},
        {"mode": "bearer", "trusted_origins": "https://app.example.org"},
        {"mode": "cookies, bearer", "trusted_origins": "https://app.example.org"},
        {"mode": "bearer", "cookie_domain": "example.com", "cookie_prefix": "none"},
        {"trusted_origins": "https://www.example.com https://example.com:8443"},
        {"url": "https://ada.github.io", "trusted_origins": "https://www.ada.github.io"},
        {"url": "https://app.corp.internal", "trusted_origins": "https://wiki.corp.internal"},
        {"url": "https://[2001:db8::1]", "trusted_origins": "https://[2001:db8::1]:8443"},
        {"url": "https://bücher.example", "trusted_origins": "https://www.xn--bcher-kva.example"},
        {"url": "http://localhost:8000", "trusted_origins": "http://localhost:3000"},
        {"cookie_samesite": "none", "csrf": "token", "trusted_origins": "https://app.example.org"},
        {"cookie_samesite": "strict"},
        {"trusted_proxies": "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 fc00::/7"},
        {"trusted_proxies": "104.16.0.0/13 2400:cb00::/32"},
        {"rotation_window": "5s"},
        {"access_ttl": "15m", "refresh_ttl": "30d", "session_max": "90d"},
        {"mode": "session", "access_ttl": "1h", "rotation_window": "0"},
        {"access_claims": "email_verified"},
        {"limits": "login=60/m refresh=off"},
        {"feed_token": "Zr6Q2vNn0gJt7yKc4mXbW9pLhD3sAe1u", "algorithm": "ES256"},
        {"synchronous": "normal", "database_url": "postgresql:///watchword"},
        *({"admin_bind": text} for text in ("127.0.0.1:9000", "[::1]:9000", "localhost:9000")),
    ],
    ids=str,
)
def test_what_is_wise_is_left_alone(texts: dict[str, str]) -> None:
    assert checks(texts) == []


@pytest.mark.parametrize(
    ("texts", "check"),
    [
        # Guessing (ASVS 6.3.1)
        ({"limits": "off"}, Check.LIMITS),
        # Other services
        ({"feed_token": "Zr6Q2vNn0gJt7yKc4mXbW9pLhD3sAe1u"}, Check.FEED_TOKEN),
        ({"limits": "login_account=off"}, Check.LIMITS),
        # Secrets (ASVS 13.3.1)
        ({"secret": "abcdefghijklmnop" * 2}, Check.SECRET),
        ({"secret": f"{SECRET} {'abcdefghijklmnop' * 2}"}, Check.SECRET),
        # Cookies (W14; ASVS 3.3.1, 3.3.3)
        ({"url": "https://ada.github.io", "cookie_domain": "github.io"}, Check.PUBLIC_SUFFIX),
        ({"url": "https://shop.example.co.uk", "cookie_domain": "co.uk"}, Check.PUBLIC_SUFFIX),
        ({"url": "https://a.xn--55qx5d.cn", "cookie_domain": "xn--55qx5d.cn"}, Check.PUBLIC_SUFFIX),
        ({"cookie_domain": "example.com"}, Check.COOKIE_DOMAIN),
        ({"cookie_prefix": "none"}, Check.COOKIE_PREFIX),
        ({"cookie_samesite": "none"}, Check.COOKIE_SAMESITE),
        ({"cookie_samesite": "none", "trusted_origins": "https://app.example.org"}, Check.COOKIE_SAMESITE),
        # Origins (W13, R25; ASVS 3.5.1)
        ({"trusted_origins": "http://www.example.com"}, Check.HTTP_ORIGIN),
        ({"trusted_origins": "http://localhost:3000"}, Check.HTTP_ORIGIN),
        ({"url": "http://localhost:8000", "trusted_origins": "http://example.com"}, Check.HTTP_ORIGIN),
        ({"trusted_origins": "https://app.example.org"}, Check.CROSS_SITE),
        ({"trusted_origins": "https://app.example.org", "cookie_samesite": "strict"}, Check.CROSS_SITE),
        (
            {"url": "https://ada.github.io", "trusted_origins": "https://bob.github.io"},
            Check.CROSS_SITE,
        ),
        (
            {"url": "http://127.0.0.1:8000", "trusted_origins": "http://localhost:3000"},
            Check.CROSS_SITE,
        ),
        ({"url": "https://192.0.2.7", "trusted_origins": "https://198.51.2.7"}, Check.CROSS_SITE),
        # Proxies (ASVS 4.1.3)
        ({"trusted_proxies": "0.0.0.0/0"}, Check.PROXY_RANGE),
        ({"trusted_proxies": "10.0.0.1 ::/0"}, Check.PROXY_RANGE),
        ({"trusted_proxies": "96.0.0.0/6"}, Check.PROXY_RANGE),
        # Lifetimes (R25; ASVS 7.3.1, 7.3.2)
        ({"rotation_window": "0"}, Check.ROTATION_WINDOW),
        ({"rotation_window": "4.9s"}, Check.ROTATION_WINDOW),
        ({"access_ttl": "16m"}, Check.ACCESS_TTL),
        ({"refresh_ttl": "31d", "session_max": "90d"}, Check.REFRESH_TTL),
        ({"session_max": "91d"}, Check.SESSION_MAX),
        # The rest
        ({"access_claims": "username, email"}, Check.ACCESS_CLAIMS),
        ({"synchronous": "normal"}, Check.SYNCHRONOUS),
        ({"events_file": ""}, Check.EVENTS),
        # The admin listener (ASVS 13.4.5)
        ({"admin_bind": "0.0.0.0:9000"}, Check.ADMIN),
        ({"admin_bind": "[::]:9000"}, Check.ADMIN),
    ],
    ids=str,
)
def test_what_is_unwise_is_found_once(texts: dict[str, str], check: Check) -> None:
    """R11, R25, W13, W14."""
    assert checks(texts) == [check]


def test_each_of_several_origins_and_networks_is_judged() -> None:
    texts = {"trusted_origins": "https://a.example.org https://www.example.com http://b.example.com"}
    assert checks(texts) == [Check.CROSS_SITE, Check.HTTP_ORIGIN]
    assert checks({"trusted_proxies": "0.0.0.0/1 128.0.0.0/1"}) == [Check.PROXY_RANGE] * 2


@pytest.mark.parametrize(
    ("workers", "url", "found"),
    [
        (4, "sqlite:///watchword.db", []),
        (5, "sqlite:///watchword.db", [Check.WORKERS]),
        (64, "postgresql:///watchword", []),
    ],
)
def test_many_workers_on_one_file_are_found(workers: int, url: str, found: list[Check]) -> None:
    assert checks({"database_url": url}, workers=workers) == found


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        ({"trusted_origins": "https://app.example.org"}, "cookie_samesite to none and csrf to token"),
        ({"cookie_samesite": "none"}, "leave it out"),
        ({"cookie_samesite": "none", "trusted_origins": "https://app.example.org"}, "; set csrf to token"),
        ({"rotation_window": "0"}, "rotation_window 0s: two tabs"),
        ({"rotation_window": "200ms"}, "rotation_window 0.2s: a slow or lost answer looks"),
        ({"access_ttl": "90m"}, "access_ttl 90m"),
        ({"access_ttl": "16s", "refresh_ttl": "1h", "session_max": "91d"}, "session_max 91d"),
        ({"access_claims": "username, email"}, "email and username"),
    ],
    ids=str,
)
def test_the_way_out_fits_the_settings(texts: dict[str, str], words: str) -> None:
    [finding] = advise(Settings.parse(HTTPS | texts))
    assert words in finding.message


@pytest.mark.parametrize(
    "target",
    [
        {},
        {"host": "/run/postgresql"},
        {"host": "@abstract"},
        {"host": "localhost", "sslmode": "disable"},
        {"host": "127.0.0.1,::1"},
        {"host": "db.example.com", "hostaddr": "127.0.0.1"},
        {"host": "db.example.com", "sslmode": "verify-full"},
    ],
    ids=str,
)
def test_a_database_on_this_machine_or_by_verified_tls_is_left_alone(target: dict[str, str]) -> None:
    """ASVS 12.3.1, 12.3.2."""
    assert list(database_tls(target)) == []


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ({"host": "db.example.com"}, "db.example.com has sslmode prefer"),
        ({"host": "10.0.0.9", "sslmode": "disable"}, "10.0.0.9 has sslmode disable"),
        ({"host": "db.example.com", "sslmode": "require"}, "sslmode require"),
        ({"host": "db.example.com", "sslmode": "verify-ca"}, "sslmode verify-ca"),
        ({"host": "localhost,db.example.com,/run"}, "on db.example.com has"),
        ({"host": "localhost", "hostaddr": "192.0.2.9"}, "192.0.2.9"),
    ],
    ids=str,
)
def test_a_database_that_anybody_on_the_way_could_be_is_found(target: dict[str, str], words: str) -> None:
    """ASVS 12.3.1, 12.3.2."""
    [finding] = database_tls(target)
    assert finding.check is Check.DATABASE_TLS
    assert words in finding.message


@pytest.mark.parametrize("make", [lambda: secrets.token_hex(16), lambda: secrets.token_urlsafe(24)])
def test_generated_secrets_are_never_suspected(make: Callable[[], str]) -> None:
    """The shortest that are allowed."""
    assert min(bits(make()) for _ in range(5_000)) > MIN_BITS


@pytest.mark.parametrize(
    ("host", "local"),
    [("127.9.9.9", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("example.com", False)],
)
def test_loopback_is_this_machine(host: str, local: bool) -> None:
    assert is_local(host) is local
