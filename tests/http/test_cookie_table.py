"""Every Set-Cookie line of ours, as a table: what a sign-in sets and a logout clears, by mode and by setting.

`…` stands for a token. What the lines mean to a browser is judged by a parser of this file's own and by the standard
library's jar, not by the code that wrote them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from textwrap import dedent

import pytest

from tests.http.asgi import Answer, Header, call
from tests.http.devices import ADA, PASSWORD, House, house
from tests.http.jars import Browser
from watchword.settings import Mode

HTTP, HTTPS = "http://localhost:8000", "https://auth.example.com"

DEFAULTS = {
    ("cookies", HTTPS): """
        __Host-access_token=…; Max-Age=900; Path=/; Secure; HttpOnly; SameSite=Lax
        __Host-refresh_token=…; Max-Age=604800; Path=/; Secure; HttpOnly; SameSite=Strict
    """,
    ("hybrid", HTTPS): """
        __Host-refresh_token=…; Max-Age=604800; Path=/; Secure; HttpOnly; SameSite=Strict
    """,
    ("bearer", HTTPS): "",
    ("jwt_cookie", HTTPS): """
        __Host-auth_token=…; Max-Age=604800; Path=/; Secure; HttpOnly; SameSite=Lax
    """,
    ("session", HTTPS): """
        __Host-session_id=…; Max-Age=2592000; Path=/; Secure; HttpOnly; SameSite=Lax
    """,
    ("cookies", HTTP): """
        access_token=…; Max-Age=900; Path=/; HttpOnly; SameSite=Lax
        refresh_token=…; Max-Age=604800; Path=/; HttpOnly; SameSite=Strict
    """,
    ("hybrid", HTTP): """
        refresh_token=…; Max-Age=604800; Path=/; HttpOnly; SameSite=Strict
    """,
    ("bearer", HTTP): "",
    ("jwt_cookie", HTTP): """
        auth_token=…; Max-Age=604800; Path=/; HttpOnly; SameSite=Lax
    """,
    ("session", HTTP): """
        session_id=…; Max-Age=2592000; Path=/; HttpOnly; SameSite=Lax
    """,
}

SETTINGS: list[tuple[str, dict[str, str], str]] = [
    (
        "A Domain gives up __Host-: every subdomain gets the cookie, and may set one",
        {"mode": "cookies", "cookie_domain": "example.com"},
        """
        __Secure-access_token=…; Max-Age=900; Path=/; Domain=example.com; Secure; HttpOnly; SameSite=Lax
        __Secure-refresh_token=…; Max-Age=604800; Path=/; Domain=example.com; Secure; HttpOnly; SameSite=Strict
        """,
    ),
    (
        "The same for one cookie that holds a JWT",
        {"mode": "jwt_cookie", "cookie_domain": "example.com"},
        "__Secure-auth_token=…; Max-Age=604800; Path=/; Domain=example.com; Secure; HttpOnly; SameSite=Lax",
    ),
    (
        "Strict for all: links from elsewhere open signed out",
        {"mode": "cookies", "cookie_samesite": "strict"},
        """
        __Host-access_token=…; Max-Age=900; Path=/; Secure; HttpOnly; SameSite=Strict
        __Host-refresh_token=…; Max-Age=604800; Path=/; Secure; HttpOnly; SameSite=Strict
        """,
    ),
    (
        "Lax for all",
        {"mode": "cookies", "cookie_samesite": "lax"},
        """
        __Host-access_token=…; Max-Age=900; Path=/; Secure; HttpOnly; SameSite=Lax
        __Host-refresh_token=…; Max-Age=604800; Path=/; Secure; HttpOnly; SameSite=Lax
        """,
    ),
    (
        "None: pages of another site (R20)",
        {"mode": "hybrid", "cookie_samesite": "none"},
        "__Host-refresh_token=…; Max-Age=604800; Path=/; Secure; HttpOnly; SameSite=None",
    ),
    (
        "No prefix: the bare names, still Secure",
        {"mode": "cookies", "cookie_prefix": "none"},
        """
        access_token=…; Max-Age=900; Path=/; Secure; HttpOnly; SameSite=Lax
        refresh_token=…; Max-Age=604800; Path=/; Secure; HttpOnly; SameSite=Strict
        """,
    ),
    (
        "Other names",
        {"mode": "cookies", "access_cookie": "at", "refresh_cookie": "rt"},
        """
        __Host-at=…; Max-Age=900; Path=/; Secure; HttpOnly; SameSite=Lax
        __Host-rt=…; Max-Age=604800; Path=/; Secure; HttpOnly; SameSite=Strict
        """,
    ),
    (
        "access_cookie names the cookie of jwt_cookie too (R45)",
        {
            "mode": "jwt_cookie",
            "access_cookie": "token",
            "cookie_prefix": "none",
            "cookie_samesite": "strict",
        },
        "token=…; Max-Age=604800; Path=/; Secure; HttpOnly; SameSite=Strict",
    ),
    (
        "The cookie of a server-side session (R46)",
        {
            "mode": "session",
            "session_cookie": "sessionId",
            "cookie_prefix": "none",
            "cookie_samesite": "strict",
        },
        "sessionId=…; Max-Age=2592000; Path=/; Secure; HttpOnly; SameSite=Strict",
    ),
    (
        "A refresh cookie for /auth/refresh goes where sessions end as well: signing out (W8), and signing in again",
        {"mode": "hybrid", "refresh_cookie_path": "/auth/refresh"},
        """
        __Secure-refresh_token=…; Max-Age=604800; Path=/auth/refresh; Secure; HttpOnly; SameSite=Strict
        __Secure-refresh_token=…; Max-Age=604800; Path=/auth/login; Secure; HttpOnly; SameSite=Strict
        __Secure-refresh_token=…; Max-Age=604800; Path=/auth/logout; Secure; HttpOnly; SameSite=Strict
        """,
    ),
    (
        "One for /auth goes there already",
        {"mode": "cookies", "refresh_cookie_path": "/auth"},
        """
        __Host-access_token=…; Max-Age=900; Path=/; Secure; HttpOnly; SameSite=Lax
        __Secure-refresh_token=…; Max-Age=604800; Path=/auth; Secure; HttpOnly; SameSite=Strict
        """,
    ),
    (
        "R20 as it is written: `rt`, None, /auth/refresh, a Domain",
        {
            "mode": "hybrid",
            "refresh_cookie": "rt",
            "refresh_cookie_path": "/auth/refresh",
            "cookie_domain": "example.com",
            "cookie_samesite": "none",
            "cookie_prefix": "none",
        },
        """
        rt=…; Max-Age=604800; Path=/auth/refresh; Domain=example.com; Secure; HttpOnly; SameSite=None
        rt=…; Max-Age=604800; Path=/auth/login; Domain=example.com; Secure; HttpOnly; SameSite=None
        rt=…; Max-Age=604800; Path=/auth/logout; Domain=example.com; Secure; HttpOnly; SameSite=None
        """,
    ),
    (
        "R3, with the Path that W10 misses",
        {"mode": "jwt_cookie", "cookie_prefix": "none"},
        "auth_token=…; Max-Age=604800; Path=/; Secure; HttpOnly; SameSite=Lax",
    ),
    (
        "R27",
        {"mode": "hybrid", "refresh_cookie_path": "/auth/refresh", "cookie_prefix": "none"},
        """
        refresh_token=…; Max-Age=604800; Path=/auth/refresh; Secure; HttpOnly; SameSite=Strict
        refresh_token=…; Max-Age=604800; Path=/auth/login; Secure; HttpOnly; SameSite=Strict
        refresh_token=…; Max-Age=604800; Path=/auth/logout; Secure; HttpOnly; SameSite=Strict
        """,
    ),
    (
        "R39, but for the second step",
        {"mode": "cookies", "cookie_prefix": "none", "cookie_samesite": "lax"},
        """
        access_token=…; Max-Age=900; Path=/; Secure; HttpOnly; SameSite=Lax
        refresh_token=…; Max-Age=604800; Path=/; Secure; HttpOnly; SameSite=Lax
        """,
    ),
    (
        "csrf=token: one that scripts read, whatever the mode",
        {"mode": "session", "csrf": "token"},
        """
        __Host-session_id=…; Max-Age=2592000; Path=/; Secure; HttpOnly; SameSite=Lax
        __Host-csrf_token=…; Max-Age=604800; Path=/; Secure; SameSite=Lax
        """,
    ),
    (
        "With a narrow refresh cookie `csrf_session` stands for the session elsewhere",
        {"mode": "hybrid", "csrf": "token", "refresh_cookie_path": "/auth/refresh"},
        """
        __Secure-refresh_token=…; Max-Age=604800; Path=/auth/refresh; Secure; HttpOnly; SameSite=Strict
        __Secure-refresh_token=…; Max-Age=604800; Path=/auth/login; Secure; HttpOnly; SameSite=Strict
        __Secure-refresh_token=…; Max-Age=604800; Path=/auth/logout; Secure; HttpOnly; SameSite=Strict
        __Host-csrf_token=…; Max-Age=604800; Path=/; Secure; SameSite=Lax
        __Host-csrf_session=…; Max-Age=2592000; Path=/; Secure; HttpOnly; SameSite=Lax
        """,
    ),
    (
        "Two modes: signing in by one clears what the other may have left",
        {"mode": "cookies,session"},
        """
        __Host-access_token=…; Max-Age=900; Path=/; Secure; HttpOnly; SameSite=Lax
        __Host-refresh_token=…; Max-Age=604800; Path=/; Secure; HttpOnly; SameSite=Strict
        __Host-session_id=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Lax
        """,
    ),
    (
        "No prefix of our routes: the paths follow",
        {"mode": "hybrid", "prefix": "none", "pages": "off", "refresh_cookie_path": "/refresh"},
        """
        __Secure-refresh_token=…; Max-Age=604800; Path=/refresh; Secure; HttpOnly; SameSite=Strict
        __Secure-refresh_token=…; Max-Age=604800; Path=/login; Secure; HttpOnly; SameSite=Strict
        __Secure-refresh_token=…; Max-Age=604800; Path=/logout; Secure; HttpOnly; SameSite=Strict
        """,
    ),
]
CASES = [
    *(
        pytest.param({"mode": mode, "url": url}, lines, id=f"{mode} {url}")
        for (mode, url), lines in DEFAULTS.items()
    ),
    *(pytest.param({"url": HTTPS, **texts}, lines, id=title) for title, texts, lines in SETTINGS),
]


def listed(lines: str) -> list[str]:
    return dedent(lines).split("\n")[1:-1] if "\n" in lines else [line for line in [lines] if line]


def shown(answer: Answer) -> list[str]:
    return [re.sub("^([^=]+)=[A-Za-z0-9._~-]+;", r"\1=…;", line) for line in answer.cookies]


def cleared(lines: str) -> list[str]:
    return list(
        dict.fromkeys(re.sub("=…?; Max-Age=[0-9]+;", "=; Max-Age=0;", line) for line in listed(lines))
    )


async def story(texts: dict[str, str]) -> tuple[House, Browser, Answer]:
    """A house with these settings, and somebody who has just signed in with a browser."""
    home = await house(**texts)
    browser = Browser(home, home.mode)
    prefix = home.auth.settings.prefix
    headers = await browser.proof() if texts.get("csrf") == "token" else []
    body = {"email": ADA, "password": PASSWORD}
    answer = await browser.call("POST", f"{prefix}/login", body, headers=headers)
    assert answer.status == 200, answer.body
    return home, browser, answer


@pytest.mark.parametrize(("texts", "lines"), CASES)
async def test_a_sign_in_sets_exactly_these_lines_and_a_logout_clears_them(
    texts: dict[str, str], lines: str
) -> None:
    """R3, R10, R20, R27, R39, R45, R46; W9, W10, W14; attack 29; ASVS 3.3.1–3.3.4."""
    home, browser, answer = await story(texts)
    assert shown(answer) == listed(lines)
    demanding = texts.get("csrf") == "token"
    headers = await browser.proof() if demanding else []
    answer = await browser.call("POST", f"{home.auth.settings.prefix}/logout", headers=headers)
    assert answer.status == 200
    expected = cleared(lines)
    if demanding and not any("csrf_session" in line for line in expected):
        expected.append("__Host-csrf_session=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Lax")
    assert sorted(answer.cookies) == sorted(expected)
    assert browser.held == set()
    assert await home.auth.sessions.list(ADA) == []


async def test_what_a_logout_clears_is_spelt_out_once() -> None:
    """W9: the whole line, to be read beside the one that set it."""
    _, browser, _ = await story({"mode": "cookies", "url": HTTPS, "refresh_cookie_path": "/auth/refresh"})
    answer = await browser.call("POST", "/auth/logout")
    assert answer.cookies == [
        "__Host-access_token=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Lax",
        "__Secure-refresh_token=; Max-Age=0; Path=/auth/refresh; Secure; HttpOnly; SameSite=Strict",
        "__Secure-refresh_token=; Max-Age=0; Path=/auth/login; Secure; HttpOnly; SameSite=Strict",
        "__Secure-refresh_token=; Max-Age=0; Path=/auth/logout; Secure; HttpOnly; SameSite=Strict",
    ]


@dataclass(frozen=True)
class Parsed:
    """A Set-Cookie line as RFC 6265bis §5.6 reads it."""

    name: str
    value: str
    attributes: dict[str, str]

    @classmethod
    def of(cls, line: str) -> Parsed:
        assert line.isascii()
        assert line.isprintable()
        pair, *rest = line.split(";")
        name, equals, value = pair.partition("=")
        assert equals
        assert (name, value) == (name.strip(), value.strip())
        found = [part.strip().partition("=") for part in rest]
        attributes = {key.lower(): text for key, _, text in found}
        assert len(attributes) == len(found), "an attribute twice"
        return cls(name, value, attributes)

    def refused(self, url: str) -> str | None:
        """Why a browser at `url` would not store it (§5.7), or None."""
        host, secure = re.sub(r"^\w+://|:\d+$", "", url), "secure" in self.attributes
        domain, path = self.attributes.get("domain"), self.attributes.get("path")
        if len(self.name) + len(self.value) > 4096 or any(
            len(text) > 1024 for text in self.attributes.values()
        ):
            return "too long"
        if secure and not url.startswith("https://"):
            return "Secure from http"
        if domain is not None and not f".{host}".endswith(f".{domain}"):
            return "a Domain that the host is not in"
        if self.attributes.get("samesite") == "None" and not secure:
            return "SameSite=None without Secure"
        if self.name.lower().startswith("__secure-") and not secure:
            return "__Secure- without Secure"
        if self.name.lower().startswith("__host-") and not (secure and path == "/" and domain is None):
            return "__Host- without Secure, with a Domain or another Path"
        return None


@pytest.mark.parametrize(
    ("line", "url", "why"),
    [
        ("__Host-a=1; Path=/", HTTPS, "__Host-"),
        ("__Host-a=1; Path=/auth; Secure", HTTPS, "__Host-"),
        ("__Host-a=1; Secure", HTTPS, "__Host-"),
        ("__host-a=1; Path=/; Secure; Domain=example.com", HTTPS, "__Host-"),
        ("__Secure-a=1; Path=/", HTTPS, "__Secure-"),
        ("a=1; SameSite=None", HTTPS, "SameSite=None"),
        ("a=1; Secure", HTTP, "Secure from http"),
        ("a=1; Domain=example.org", HTTPS, "Domain"),
        ("a=1; Domain=ample.com", HTTPS, "Domain"),
        ("a=" + "x" * 4096, HTTPS, "too long"),
    ],
)
def test_the_parser_of_this_file_refuses_what_browsers_refuse(line: str, url: str, why: str) -> None:
    """A judge that lets everything pass would prove nothing."""
    assert why in (Parsed.of(line).refused(url) or "")


@pytest.mark.parametrize(("texts", "lines"), CASES)
async def test_a_browser_keeps_every_line_that_we_write(texts: dict[str, str], lines: str) -> None:
    """R3, R20; W9, W14; ASVS 3.3.1, 3.3.3: prefixes, Secure, Domain and SameSite agree, clearing lines included."""
    home, browser, answer = await story(texts)
    headers = await browser.proof() if texts.get("csrf") == "token" else []
    prefix, url = home.auth.settings.prefix, texts["url"]
    answers = [answer, await browser.call("POST", f"{prefix}/logout", headers=headers)]
    for parsed in [Parsed.of(line) for answer in answers for line in answer.cookies]:
        assert parsed.refused(url) is None, parsed
        assert ("secure" in parsed.attributes) is url.startswith("https://")
        assert ("httponly" in parsed.attributes) is not parsed.name.endswith("csrf_token")
        assert parsed.attributes["path"].startswith("/")
        assert parsed.attributes["samesite"] in ("Strict", "Lax", "None")
        assert parsed.attributes["max-age"].isdecimal()


TWICE: list[tuple[dict[str, str], str, str, list[str]]] = [
    (
        {"mode": "cookies"},
        "GET /auth/me",
        "__Host-access_token",
        ["__Host-access_token=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Lax"],
    ),
    (
        {"mode": "cookies", "cookie_prefix": "none"},
        "GET /auth/me",
        "access_token",
        ["access_token=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Lax"],
    ),
    (
        {"mode": "session", "cookie_domain": "example.com"},
        "GET /auth/me",
        "__Secure-session_id",
        [
            "__Secure-session_id=; Max-Age=0; Path=/; Domain=example.com; Secure; HttpOnly; SameSite=Lax",
            "__Secure-session_id=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Lax",
        ],
    ),
    (
        {"mode": "jwt_cookie", "cookie_domain": "example.com"},
        "GET /auth/me",
        "__Secure-auth_token",
        [
            "__Secure-auth_token=; Max-Age=0; Path=/; Domain=example.com; Secure; HttpOnly; SameSite=Lax",
            "__Secure-auth_token=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Lax",
        ],
    ),
    (
        {"mode": "hybrid", "refresh_cookie_path": "/auth/refresh", "cookie_domain": "example.com"},
        "POST /auth/refresh",
        "__Secure-refresh_token",
        [
            f"__Secure-refresh_token=; Max-Age=0; Path={path}{domain}; Secure; HttpOnly; SameSite=Strict"
            for path, domain in [
                ("/auth/refresh", "; Domain=example.com"),
                ("/auth/login", "; Domain=example.com"),
                ("/auth/logout", "; Domain=example.com"),
                ("/", ""),
                ("/", "; Domain=example.com"),
                ("/auth/refresh", ""),
                ("/auth/login", ""),
                ("/auth/logout", ""),
            ]
        ],
    ),
]


@pytest.mark.parametrize(("texts", "request_line", "name", "lines"), TWICE)
async def test_two_cookies_of_one_name_are_nobodys_and_cleared_wherever_one_may_be(
    texts: dict[str, str], request_line: str, name: str, lines: list[str]
) -> None:
    """Attack 25: at `/`, at the narrow paths, with the Domain and without; no session ends by it."""
    home, browser, _ = await story({"url": HTTPS, **texts})
    method, path = request_line.split()
    mine = browser.brings(path)[name]
    for first, second in [(mine, "tossed"), ("tossed", mine), (mine, mine)]:
        headers: list[Header] = [("cookie", f"{name}={first}; {name}={second}"), ("origin", HTTPS)]
        answer = await call(home.app, method, path, headers=headers)
        assert (answer.status, answer.code, answer.cookies) == (401, "invalid_token", lines)
    assert all(Parsed.of(line).refused(HTTPS) is None for line in lines)
    assert len(await home.auth.sessions.list(ADA)) == 1


PATHS = [
    "/",
    "/profile",
    "/auth",
    "/auth/",
    "/auth/logins",
    "/auth/me",
    "/auth/sessions",
    "/auth/reauthenticate",
    "/auth/csrf",
    "/auth/refreshed",
    "/auth/logouts",
    "/authrefresh",
    "/refresh",
    "/logout",
    "/other/auth/refresh",
]


@pytest.mark.parametrize("mode", ["cookies", "hybrid"])
async def test_a_narrow_refresh_cookie_goes_where_it_is_needed_and_nowhere_else(mode: str) -> None:
    """R20, R27; W8: a jar brings it to refresh, to signing in again and to both ways of signing out."""
    _, browser, _ = await story({"mode": mode, "url": HTTPS, "refresh_cookie_path": "/auth/refresh"})
    name = "__Secure-refresh_token"
    for path in ("/auth/refresh", "/auth/login", "/auth/logout", "/auth/logout/all"):
        assert name in browser.brings(path), path
    for path in PATHS:
        assert name not in browser.brings(path), path
    before = browser.brings("/auth/refresh")[name]
    assert (await browser.call("POST", "/auth/refresh")).status == 200
    after = browser.brings("/auth/refresh")[name]
    assert after != before
    assert browser.brings("/auth/logout")[name] == after, "both copies are renewed"


@pytest.mark.parametrize("path", ["/auth/logout", "/auth/logout/all"])
@pytest.mark.parametrize("narrow", ["/auth/refresh", "/auth", ""])
@pytest.mark.parametrize("mode", ["cookies", "hybrid"])
async def test_signing_out_with_a_narrow_cookie_ends_the_session_and_empties_the_jar(
    mode: str, narrow: str, path: str
) -> None:
    """W8, W9; attack 29: also when the access token is long gone."""
    texts = {"refresh_cookie_path": narrow} if narrow else {}
    home, browser, _ = await story({"mode": mode, "url": HTTPS, **texts})
    browser.drop("access_token")
    browser.access_token = None
    assert (await browser.call("POST", path)).status == 200
    assert await home.auth.sessions.list(ADA) == []
    assert browser.held == set()


def test_every_mode_is_in_the_table_with_both_schemes() -> None:
    """A mode added later gets its rows here."""
    assert set(DEFAULTS) == {(mode.value, url) for mode in Mode for url in (HTTP, HTTPS)}
