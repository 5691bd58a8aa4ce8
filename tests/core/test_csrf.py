"""The CSRF verdict: an exact list of origins, and the browser's own word."""

from __future__ import annotations

import pytest

from watchword.core.csrf import SAFE_METHODS, trusted

OURS = frozenset({"https://app.example.com", "https://admin.example.com:8443", "http://127.0.0.1:8000"})


def verdict(
    *, site: str | None = None, origin: str | None = None, cookies: bool = True, ours: frozenset[str] = OURS
) -> bool:
    return trusted(sec_fetch_site=site, origin=origin, trusted_origins=ours, carries_our_cookies=cookies)


@pytest.mark.parametrize("cookies", [False, True])
@pytest.mark.parametrize("origin", sorted(OURS))
@pytest.mark.parametrize("site", [None, "same-site", "cross-site", "same-origin", "none", ""])
def test_a_trusted_origin_may(site: str | None, origin: str, cookies: bool) -> None:
    """ASVS 3.5.1; R8, R14: `cross-site` as well, if the origin is on the list (a front end on another domain)."""
    assert verdict(site=site, origin=origin, cookies=cookies)


STRANGERS = {
    "null": "null",
    "empty": "",
    "suffix": "https://app.example.com.evil.example",
    "prefix": "https://evil-app.example.com",
    "glued": "https://evilapp.example.com",
    "subdomain": "https://x.app.example.com",
    "parent": "https://example.com",
    "sibling": "https://www.example.com",
    "query": "https://evil.example?app.example.com",
    "query of ours": "https://evil.example/?https://app.example.com",
    "fragment": "https://evil.example#https://app.example.com",
    "userinfo": "https://app.example.com@evil.example",
    "userinfo of ours": "https://evil.example@app.example.com",
    "upper case": "HTTPS://APP.EXAMPLE.COM",
    "upper-case host": "https://App.example.com",
    "trailing slash": "https://app.example.com/",
    "path": "https://app.example.com/profile",
    "default port written out": "https://app.example.com:443",
    "other port": "https://app.example.com:8443",
    "port missing": "https://admin.example.com",
    "other port of ours": "https://admin.example.com:8444",
    "longer port": "https://admin.example.com:84430",
    "downgrade": "http://app.example.com",
    "upgrade": "https://127.0.0.1:8000",
    "other scheme": "ws://app.example.com",
    "no scheme": "app.example.com",
    "scheme-relative": "//app.example.com",
    "trailing dot": "https://app.example.com.",
    "space in front": " https://app.example.com",
    "space behind": "https://app.example.com ",
    "tab": "https://app.example.com\t",
    "newline": "https://app.example.com\n",
    "two": "https://app.example.com https://app.example.com",
    "two with comma": "https://app.example.com, https://app.example.com",
    "two, the first a stranger's": "https://evil.example, https://app.example.com",
    "backslash": "https:\\\\app.example.com",
    "look-alike": "https://\u0430pp.example.com",
    "full stop of another script": "https://app\u3002example.com",
    "punycode look-alike": "https://xn--pp-6kc.example.com",
    "wildcard": "*",
    "extension": "chrome-extension://app.example.com",
    "file": "file://",
    "localhost": "http://localhost:8000",
    "other loopback": "http://127.0.0.2:8000",
    "decimal loopback": "http://2130706433:8000",
}


@pytest.mark.parametrize("cookies", [False, True])
@pytest.mark.parametrize("site", [None, "cross-site", "same-site", "", "SAME-ORIGIN", "same-origin "])
@pytest.mark.parametrize("name", STRANGERS)
def test_any_other_origin_may_not(name: str, site: str | None, cookies: bool) -> None:
    """Attacks 30, 82, 84, 87; ASVS 3.5.1, 4.4.2: compared as a whole, whatever else the request brings."""
    assert not verdict(site=site, origin=STRANGERS[name], cookies=cookies)


@pytest.mark.parametrize(
    ("site", "cookies", "may"),
    [
        ("same-origin", True, True),
        ("none", True, True),  # typed, or from a bookmark: no page asked for it
        ("same-origin", False, True),
        ("none", False, True),
        ("same-site", True, False),
        ("same-site", False, False),
        ("cross-site", True, False),
        ("cross-site", False, False),
        ("", True, False),
        ("", False, False),
        ("nonsense", True, False),
        ("Same-Origin", True, False),
        ("same-origin, cross-site", True, False),
        (None, False, True),  # curl or a server: no jar, so nobody's authority is borrowed
        (None, True, False),  # an old browser, or somebody who strips headers
    ],
)
def test_without_an_origin_the_browsers_word_counts(site: str | None, cookies: bool, may: bool) -> None:
    """Attacks 82, 84; ASVS 3.5.1, 3.7.5 (no fallback to Referer)."""
    assert verdict(site=site, cookies=cookies) is may


@pytest.mark.parametrize("site", ["same-origin", "none"])
@pytest.mark.parametrize("origin", ["null", "https://behind-a-proxy.example.com"])
def test_the_browsers_own_same_origin_outranks_the_origin_header(site: str, origin: str) -> None:
    """ASVS 3.5.1: no page can forge Sec-Fetch-Site, and it compares with the address that was really asked."""
    assert verdict(site=site, origin=origin)


@pytest.mark.parametrize("origin", ["https://app.example.com", "null", ""])
def test_with_no_trusted_origins_at_all_nothing_matches(origin: str) -> None:
    """Attack 87; ASVS 16.5.3."""
    assert not verdict(origin=origin, ours=frozenset())


def test_only_reading_methods_are_safe() -> None:
    """Attack 85; ASVS 3.5.3."""
    assert SAFE_METHODS == {"GET", "HEAD", "OPTIONS"}
    assert not SAFE_METHODS & {"POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "get", "", None}
