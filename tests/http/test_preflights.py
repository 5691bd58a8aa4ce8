"""Preflights: what browsers ask before a page of another origin may send what a form could not."""

from __future__ import annotations

import pytest

from tests.http.asgi import Header, call
from tests.http.devices import MODES
from tests.http.origins import APP, ASKED, STRANGER, STRANGERS, TRUSTED, leave, preflight, shared, words
from tests.http.test_answers import ALWAYS, HSTS

strangers = pytest.mark.parametrize("lines", STRANGERS.values(), ids=STRANGERS.keys())


@strangers
async def test_the_preflight_of_a_stranger_is_refused(lines: tuple[str, ...]) -> None:
    """W13; attack 87; ASVS 3.4.2: before any route, unknown ones included."""
    home = await shared("cookies")
    for path in ("/auth/login", "/auth/me", "/auth/no/such/route", "/.well-known/jwks.json"):
        answer = await preflight(home.app, *(("origin", line) for line in lines), path=path)
        assert (answer.status, answer.code) == (403, "forbidden")
        assert leave(answer) == {}


@pytest.mark.parametrize("mode", MODES)
async def test_a_trusted_page_has_leave_to_send_what_it_asks_for(mode: str) -> None:
    """R14, R24, W3; ASVS 3.4.2: methods and headers of old clients too, without anybody signed in."""
    home = await shared(mode)
    for path in ("/auth/login", "/auth/me", "/auth/no/such/route"):
        answer = await preflight(home.app, TRUSTED, path=path)
        assert (answer.status, answer.body, answer.get("content-length")) == (204, b"", None)
        assert leave(answer) == {
            "access-control-allow-origin": APP,
            "access-control-allow-credentials": "true",
            "access-control-allow-methods": "GET, POST, PUT, PATCH, DELETE, OPTIONS",
            "access-control-allow-headers": "content-type, authorization, x-csrf-token, x-user-id, x-auth-mode",
            "access-control-max-age": "600",
        }


async def test_a_preflight_that_asks_for_no_headers_is_told_of_none() -> None:
    """Fetch: a DELETE without a body is asked for as well."""
    home = await shared()
    for asked in (None, "", " , ,"):
        answer = await preflight(home.app, TRUSTED, asked=asked)
        assert answer.status == 204
        assert "access-control-allow-headers" not in leave(answer)


@pytest.mark.parametrize(
    "asked",
    [
        *("*", "x-a, *", "x a", "x:a", "x-a;x-b", "x-ä", "x\0", "x-a\r\nset-cookie: a=b", '"x-a"', "(x)"),
        *("x" * 2049, ",".join(["x"] * 65)),
    ],
)
async def test_what_is_no_list_of_names_is_not_said_back(asked: str) -> None:
    """W13; attacks 87, 91: no asterisk, no split header, no bound to be found by whoever is at the other end."""
    home = await shared()
    answer = await preflight(home.app, TRUSTED, asked=asked)
    assert answer.status == 204
    assert "access-control-allow-headers" not in leave(answer)
    assert answer.cookies == []


async def test_a_long_list_of_tracing_headers_is_allowed() -> None:
    """R14: in more than one line, too; that is one list (RFC 9110 §5.3)."""
    home = await shared()
    names = [f"x-trace-{number}" for number in range(32)]
    more: Header = ("access-control-request-headers", ",".join(names))
    answer = await preflight(home.app, TRUSTED, more)
    assert words(leave(answer)["access-control-allow-headers"]) == sorted([*names, *ASKED.split(",")])


@pytest.mark.parametrize("origin", [TRUSTED, STRANGER])
async def test_the_answer_to_a_preflight_cannot_be_anybody_elses(origin: Header) -> None:
    """Attack 87, poisoning: no cache keeps it; one that does all the same is told what it depends on. The browser's own
    keeps it ten minutes at most, and leave from there holds for one origin."""
    home = await shared()
    answer = await preflight(home.app, origin)
    assert words(answer.get("vary")) == [
        *("access-control-request-headers", "access-control-request-method", "origin"),
    ]
    assert answer.get("cache-control") == "no-store"
    assert {header: answer.get(header) for header in ALWAYS} == ALWAYS
    assert answer.get("strict-transport-security") == HSTS


async def test_a_refused_preflight_does_not_say_back_who_asked() -> None:
    """Attack 87: nothing of the request is in the answer."""
    home = await shared()
    answer = await preflight(home.app, ("origin", "https://evil.example"), asked="x-evil")
    assert b"evil" not in answer.body + b"".join(value for _, value in answer.headers)


async def test_no_page_of_the_internet_is_led_into_a_private_network() -> None:
    """Attack 87; ASVS 3.4.2: that leave nobody asked for in the settings."""
    home = await shared()
    answer = await preflight(home.app, TRUSTED, ("access-control-request-private-network", "true"))
    assert "access-control-allow-private-network" not in leave(answer)


async def test_options_that_are_no_preflight_are_the_routes_own_to_answer() -> None:
    """Fetch: a preflight has an Origin and says which method it is about."""
    home = await shared()
    for lines in ([TRUSTED], [("access-control-request-method", "POST")], [STRANGER]):
        answer = await call(home.app, "OPTIONS", "/auth/login", headers=lines)
        assert (answer.status, answer.code) == (405, "method_not_allowed")
