"""Addresses and methods of our own routes: what is there, what is not, and how that is told."""

from __future__ import annotations

import pytest

from tests.http.asgi import call, handshake
from tests.http.devices import MODES, house

ORIGIN = ("origin", "http://testserver")
SID = "0199a2b0-0000-7000-8000-000000000000"
ALLOWED = {
    "/auth/login": ["POST"],
    "/auth/login/credentials": ["POST"],
    "/auth/refresh": ["POST"],
    "/auth/logout": ["POST"],
    "/auth/logout/all": ["POST"],
    "/auth/reauthenticate": ["POST"],
    "/auth/reauthenticate/code": ["POST"],
    "/auth/email/change": ["POST"],
    "/auth/me": ["DELETE", "GET"],
    "/auth/sessions": ["DELETE", "GET"],
    f"/auth/sessions/{SID}": ["DELETE"],
    "/auth/health/live": ["GET", "HEAD"],
    "/auth/health/ready": ["GET", "HEAD"],
    "/auth/errors": ["GET"],
    "/auth/openapi.json": ["GET"],
    "/.well-known/jwks.json": ["GET"],
}
METHODS = (
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "PATCH",
    "DELETE",
    "OPTIONS",
    "TRACE",
    "CONNECT",
    "PROPFIND",
    "get",
    "post",
)


@pytest.mark.parametrize("path", ALLOWED)
@pytest.mark.parametrize("mode", MODES)
async def test_a_wrong_method_is_told_all_the_right_ones(path: str, mode: str) -> None:
    """RFC 9110 §15.5.6, ASVS 4.1.4, 13.4.4: 405 with Allow, for TRACE too; methods have one spelling."""
    home = await house(mode=mode)
    for method in METHODS:
        if method in ALLOWED[path]:
            continue
        answer = await call(home.app, method, path, headers=[ORIGIN])
        if method == "HEAD" and answer.status == 200:
            assert path == "/auth/openapi.json"
            continue
        assert (answer.status, answer.code) == (405, "method_not_allowed"), method
        allowed = (answer.get("allow") or "").split(", ")
        assert set(allowed) - {"HEAD"} == set(ALLOWED[path]) - {"HEAD"}, method


@pytest.mark.parametrize(
    "path",
    [
        "/auth/no/such/route",
        "/auth/x",
        "/auth/me.css",
        "/auth/me/x.css",
        "/auth/me/",
        "/auth/me;x.css",
        "/auth/me%2fx.css",
        "/auth/me%00.css",
        "/auth/me.json",
        "/auth/ME",
        "/auth//me",
        "/auth/./me",
        "/auth/../me",
        "/auth/me/..",
        "/auth/sessions/",
        f"/auth/sessions/{SID}/",
        f"/auth/sessions/{SID}/x",
        "/auth/login/",
        "/auth/login/2",
        "/auth/health",
        "/auth/health/",
        "/auth/health/live/",
        "/auth/errors/",
        "/auth/openapi.json/",
        "/auth/openapi.yaml",
        "/auth/docs",
        "/auth/redoc",
        "/auth/metrics",
        "/auth/static/session.js",
        "/auth/%2e%2e/profile",
        "/.well-known/jwks.json/",
        "/.well-known/jwks",
        "/auth/static/",
        "/.git/config",
        "/.well-known/openid-configuration",
        "/openapi.json",
        "/docs",
        "/",
    ],
)
async def test_an_address_that_is_not_ours_is_not_found(path: str) -> None:
    """Attack 91, ASVS 13.4.3, 13.4.7, 14.2.5: an unknown suffix is no other name of a page that a cache could keep."""
    home = await house(mode="cookies")
    device = await home.signed_in()
    for method in ("GET", "POST", "DELETE", "TRACE"):
        answer = await device.call(method, path)
        assert (answer.status, answer.code) == (404, "not_found"), method
        assert answer.get("cache-control") == "no-store"
        assert answer.get("location") is None
        assert answer.cookies == []


async def test_the_one_address_with_a_parameter_takes_no_suffix() -> None:
    """Attack 91: nothing can be read there, and only a whole id can be ended."""
    home = await house(mode="cookies")
    device = await home.signed_in()
    sid = (await device.get("/auth/me")).json["session"]["id"]
    assert (await device.get(f"/auth/sessions/{sid}.css")).code == "method_not_allowed"
    assert (await device.delete(f"/auth/sessions/{sid}.css")).code == "invalid_request"
    assert (await device.get("/auth/me")).status == 200


async def test_there_is_no_page_that_describes_itself_to_a_browser() -> None:
    """ASVS 13.4.5: FastAPI's documentation pages are switched off for our own app."""
    home = await house()
    for path in ("/docs", "/redoc", "/auth/docs", "/auth/redoc", "/docs/oauth2-redirect"):
        assert (await home.device().get(path)).status == 404


async def test_a_404_tells_nothing_of_the_address_that_was_asked_for() -> None:
    """ASVS 1.2.1: nothing is reflected."""
    home = await house()
    answer = await home.device().get("/auth/%3Cscript%3Ealert(1)%3C/script%3E?q=%3Cscript%3E")
    assert answer.status == 404
    assert b"script" not in answer.body


async def test_queries_change_nothing() -> None:
    """ASVS 15.3.7: no route of ours reads one; twice the same name or a megabyte of it neither."""
    home = await house(mode="cookies")
    device = await home.signed_in()
    for query in ("x=1", "x=1&x=2", "refresh_token=x", "&&&", "%", "=" * 10_000, "sid[]=1", "mode=bearer"):
        assert (await device.get(f"/auth/me?{query}")).status == 200
        assert (await device.post(f"/auth/refresh?{query}")).status == 200


async def test_a_web_socket_at_our_addresses_is_refused() -> None:
    """ASVS 4.4.2: there is none, and the refusal is a close or a 404."""
    home = await house()
    for path in ("/auth/me", "/auth/x", "/.well-known/jwks.json"):
        assert (await handshake(home.app, path, headers=[ORIGIN])).status in (403, 404)
