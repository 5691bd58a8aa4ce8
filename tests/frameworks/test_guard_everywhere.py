"""No way round the guard: every kind of route of every framework, asked by nobody and by somebody."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.frameworks.rooms import ORIGIN, SOCKET, Rooms, furnished
from tests.http.asgi import Answer, call

FRAMEWORKS = ("fastapi", "starlette")


def refused(rooms: Rooms, answer: Answer) -> bool:
    """401 with a problem, and nothing ran."""
    return (answer.status, answer.code, rooms.ran) == (401, "invalid_token", [])


@pytest.mark.parametrize("framework", FRAMEWORKS)
async def test_nobody_gets_to_any_route_that_is_not_public(framework: str, tmp_path: Path) -> None:
    """ASVS 8.1.1, 8.3.1: direct, included, nested, mounted, files, documentation, sockets."""
    rooms = await furnished(framework, tmp_path / "web")
    async with rooms.running():
        for method, target in rooms.shut:
            assert refused(rooms, await rooms.ask(method, target)), (method, target)


@pytest.mark.parametrize("framework", FRAMEWORKS)
async def test_somebody_with_a_token_gets_to_every_route(framework: str, tmp_path: Path) -> None:
    """Otherwise the test above would prove nothing."""
    rooms = await furnished(framework, tmp_path / "web")
    async with rooms.running():
        token = await rooms.token()
        for method, target in rooms.shut:
            answer = await rooms.ask(method, target, token, ("accept", "text/html"))
            expected = (
                101
                if method == SOCKET
                else {"/ui": 307, "/sub/": 404, "/ui/no/such/file": 404}.get(target, 200)
            )
            assert answer.status == expected, (method, target, answer.body)
        assert set(rooms.ran) >= {"direct", "parameters", "class", "socket", "mounted"}


@pytest.mark.parametrize("framework", FRAMEWORKS)
async def test_public_routes_are_open_to_nobody_and_somebody(framework: str, tmp_path: Path) -> None:
    """The marker counts on routes of every kind, in included routers and nested ones too."""
    rooms = await furnished(framework, tmp_path / "web")
    async with rooms.running():
        token = await rooms.token()
        for method, target in rooms.opened:
            for headers in ((), (token,), (("authorization", "Bearer nonsense"),)):
                answer = await rooms.ask(method, target, *headers)
                assert answer.status == (101 if method == SOCKET else 200), (method, target)
        assert rooms.ran == ["open"] * 3 * len(rooms.opened)


@pytest.mark.parametrize("framework", FRAMEWORKS)
async def test_no_method_gets_nobody_in(framework: str, tmp_path: Path) -> None:
    """A 405 is for the signed-in: which methods a private address has is nobody else's business."""
    rooms = await furnished(framework, tmp_path / "web")
    async with rooms.running():
        for method in ("HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "CONNECT", "get", "PROPFIND"):
            rooms.ran.clear()
            for _, target in rooms.shut:
                answer = await rooms.ask(method, target)
                assert (answer.status, rooms.ran) == (401, []), (method, target)
            for _, target in rooms.opened:
                assert (await rooms.ask(method, target)).status in (200, 401, 405), (method, target)
                assert set(rooms.ran) <= {"open"}


@pytest.mark.parametrize("framework", FRAMEWORKS)
async def test_nobody_learns_which_addresses_exist(framework: str, tmp_path: Path) -> None:
    """What matches nothing is refused like what is there; the signed-in get their 404."""
    rooms = await furnished(framework, tmp_path / "web")
    async with rooms.running():
        token = await rooms.token()
        for target in ("/", "/no/such/route", "/favicon.ico", "/.env", "/profile.json", "/profilex", "/a"):
            assert refused(rooms, await rooms.ask("GET", target)), target
            assert refused(rooms, await rooms.ask(SOCKET, target)), target
            assert (await rooms.ask("GET", target, token)).status == 404, target


NEIGHBOURS = [
    "/open/",
    "/open/x",
    "/openx",
    "/open.css",
    "/open;x",
    "/open%00",
    "/open%0a",
    "/open%20",
    "/open%2f",
    "/open%2e",
    "/open%5c",
    "/%6fpen/",
    "/Open",
    "/OPEN",
    "//open",
    "/open//",
    "/./open",
    "/%2e/open",
    "/x/../open",
    "/x/%2e%2e/open",
    "/open/../profile",
    "/open/..%2fprofile",
    "/open/%2e%2e/profile",
    "/open%2f..%2fprofile",
    "/open-class/",
    "/open-class/../profile",
    "/open-mountx",
    "/open-moun",
    "//open-mount/x",
    "/open-mount",
    "/auth/../profile",
    "/auth/%2e%2e/profile",
    "/auth%2f..%2fprofile",
    "/authx",
    "/authx/profile",
    "//auth/me",
    "/Auth/me",
    "/.well-known/jwks.json/",
    "/.well-known/jwks.json/../../profile",
    "/.well-known/",
    "/.well-known//jwks.json",
    "/profile",
    "/profile/",
    "//profile",
    "///profile",
    "/profile//",
    "/profile%2f",
    "/profile%00",
    "/profile%0a",
    "/profile%20",
    "/profile;a=b",
    "/profile.css",
    "/./profile",
    "/x/../profile",
    "/%2e%2e/profile",
    "/..%2fprofile",
    "/%70rofile",
    "/%2570rofile",
    "/PROFILE",
    "/profile%3f",
    "/profile%23",
    "/profile\\",
    "/\\profile",
    "/static/..%2fprofile",
    "/static/../secret.txt",
    "/static//secret.txt",
    "/static/%2e%2e/%2e%2e/etc/passwd",
    "http://testserver/profile",
    "profile",
    "",
    "*",
    "/%",
    "/%ff",
    "/\u2024\u2024/profile",
    "/profile\u200b",
]


@pytest.mark.parametrize("framework", FRAMEWORKS)
async def test_no_spelling_of_a_path_gets_nobody_to_a_private_route(framework: str, tmp_path: Path) -> None:
    """Attacks 88, 91: encoded, doubled, dotted, cut and lengthened; nothing private runs, nothing succeeds."""
    rooms = await furnished(framework, tmp_path / "web")
    async with rooms.running():
        for target in NEIGHBOURS:
            for method in ("GET", "POST", "HEAD", SOCKET):
                rooms.ran.clear()
                answer = await rooms.ask(method, target)
                assert set(rooms.ran) <= {"open"}, (method, target)
                if not rooms.ran:
                    assert answer.status in (401, 403, 404, 405), (method, target)
                assert b"file" not in answer.body


@pytest.mark.parametrize("framework", FRAMEWORKS)
async def test_a_slash_too_many_is_redirected_for_the_signed_in_alone(framework: str, tmp_path: Path) -> None:
    """redirect_slashes would tell nobody what exists, and public routes have one spelling."""
    rooms = await furnished(framework, tmp_path / "web")
    async with rooms.running():
        token = await rooms.token()
        assert refused(rooms, await rooms.ask("GET", "/profile/"))
        assert refused(rooms, await rooms.ask("GET", "/open/"))
        answer = await rooms.ask("GET", "/profile/", token)
        assert (answer.status, answer.get("location")) == (307, "http://testserver/profile")


HOSTS = [
    "admin.example.com",
    "ADMIN.example.com",
    "admin.example.com:443",
    "acme.tenants.example.com",
    "testserver/open?",
    "testserver/open",
    "testserver#",
    "open",
    "evil.example",
    "",
    "[::1]",
    "testserver, admin.example.com",
]


@pytest.mark.parametrize("framework", FRAMEWORKS)
async def test_no_host_header_gets_nobody_in(framework: str, tmp_path: Path) -> None:
    """Attack 78: neither a poisoned one nor that of a Host route."""
    rooms = await furnished(framework, tmp_path / "web")
    async with rooms.running():
        for host in HOSTS:
            for target in ("/profile", "/static/secret.txt", "/no/such/route", "/", "/open/../profile"):
                assert (await rooms.ask("GET", target, host=host)).status == 401
            two = ("host", "testserver")
            assert (await rooms.ask("GET", "/profile", two, host=host)).status == 401
            assert rooms.ran == []
            answer = await rooms.ask("GET", "/profile", host=host)
            assert answer.problem["type"] == "http://testserver/auth/errors#invalid_token"


@pytest.mark.parametrize("framework", FRAMEWORKS)
async def test_a_host_route_is_open_to_the_signed_in(framework: str, tmp_path: Path) -> None:
    """By its own name and by a parameter; what it shadows does not matter to the guard."""
    rooms = await furnished(framework, tmp_path / "web")
    async with rooms.running():
        token = await rooms.token()
        for host in ("admin.example.com", "acme.tenants.example.com"):
            assert (await rooms.ask("GET", "/anything", token, host=host)).status == 200
        assert rooms.ran == ["host", "host"]


MISLEADING = [
    ("x-original-url", "/open"),
    ("x-rewrite-url", "/open"),
    ("x-forwarded-uri", "/open"),
    ("x-forwarded-prefix", "/open"),
    ("x-forwarded-path", "/auth/login"),
    ("x-script-name", "/open"),
    ("x-forwarded-host", "open"),
    ("x-forwarded-proto", "https"),
    ("x-http-method-override", "OPTIONS"),
    ("x-forwarded-for", "127.0.0.1"),
    ("forwarded", "for=127.0.0.1;host=open"),
    ("x-user-id", "1"),
    ("x-remote-user", "ada@example.com"),
    ("remote-user", "ada@example.com"),
    ("x-middleware-subrequest", "middleware"),
    ("upgrade", "websocket"),
    ("connection", "authorization"),
]


@pytest.mark.parametrize("framework", FRAMEWORKS)
async def test_no_header_makes_another_route_of_it(framework: str, tmp_path: Path) -> None:
    """What other servers read out of such headers counts for nothing here."""
    rooms = await furnished(framework, tmp_path / "web")
    async with rooms.running():
        for header in MISLEADING:
            for method in ("GET", "POST", SOCKET):
                target = "/socket" if method == SOCKET else "/profile"
                assert refused(rooms, await rooms.ask(method, target, header))


@pytest.mark.parametrize("framework", FRAMEWORKS)
async def test_behind_a_root_path_the_same_routes_are_open_and_shut(framework: str, tmp_path: Path) -> None:
    """A proxy that strips a prefix, and one that does not."""
    rooms = await furnished(framework, tmp_path / "web")
    async with rooms.running():
        token = await rooms.token()
        for root in ("/api", "/auth", "/open", "/a", "/open-mount", "/profile"):
            rooms.ran.clear()
            assert refused(rooms, await rooms.ask("GET", "/profile", root_path=root))
            assert (await rooms.ask("GET", "/profile", token, root_path=root)).status == 200
            assert (await rooms.ask("GET", "/open", root_path=root)).status == 200
            assert (await rooms.ask("GET", "/auth/health/live", root_path=root)).status == 200
            assert (await rooms.ask("GET", "/auth/me", root_path=root)).code == "invalid_token"


@pytest.mark.parametrize("framework", FRAMEWORKS)
async def test_a_root_path_that_is_not_in_front_of_the_path_is_no_prefix(
    framework: str, tmp_path: Path
) -> None:
    """Servers may announce a prefix that the proxy has stripped already: /au is none of /auth's."""
    rooms = await furnished(framework, tmp_path / "web")
    async with rooms.running():
        for root in ("/au", "/", "/auth/x", "/profile", "/ope"):
            for target in ("/profile", "/static/secret.txt"):
                answer = await rooms.ask("GET", target, root_path=root)
                assert (answer.status, rooms.ran) == (401, []), (root, target)

        async def announced(scope: Any, receive: Any, send: Any) -> None:
            scope["root_path"] = "/au"
            await rooms.app(scope, receive, send)

        assert (await call(announced, "GET", "/auth/health/live")).status == 200
        assert (await call(announced, "GET", "/profile")).status == 401


@pytest.mark.parametrize("framework", FRAMEWORKS)
async def test_sockets_are_refused_to_nobody_and_to_pages_of_other_sites(
    framework: str, tmp_path: Path
) -> None:
    """ASVS 4.4.2: with a valid cookie, a foreign origin or none is refused before the endpoint runs."""
    rooms = await furnished(framework, tmp_path / "web", mode="cookies")
    async with rooms.running():
        device = await rooms.home.signed_in()
        cookie = ("cookie", f"access_token={device.access}")
        targets = [target for method, target in rooms.shut if method == SOCKET]
        assert targets
        for target in targets:
            assert refused(rooms, await rooms.ask(SOCKET, target))
            assert refused(rooms, await rooms.ask(SOCKET, target, ORIGIN))
            for headers in ((), (("origin", "https://evil.example"),), (("origin", "null"),)):
                answer = await rooms.ask(SOCKET, target, cookie, *headers)
                assert (answer.status, answer.code, rooms.ran) == (403, "csrf_rejected", [])
            assert (await rooms.ask(SOCKET, target, denial=False)).status == 403
            assert (await rooms.ask(SOCKET, target, cookie, ORIGIN)).status == 101, target
            rooms.ran.clear()


@pytest.mark.parametrize("framework", FRAMEWORKS)
async def test_posts_of_the_app_itself_are_safe_from_forgery(framework: str, tmp_path: Path) -> None:
    """ASVS 3.5.1: the app's author did nothing for it."""
    rooms = await furnished(framework, tmp_path / "web", mode="cookies")
    async with rooms.running():
        device = await rooms.home.signed_in()
        cookie = ("cookie", f"access_token={device.access}")
        for method, target in rooms.shut:
            if method != "POST":
                continue
            for headers in ((), (("origin", "https://evil.example"),), (("sec-fetch-site", "cross-site"),)):
                answer = await rooms.ask("POST", target, cookie, *headers)
                assert (answer.status, answer.code, rooms.ran) == (403, "csrf_rejected", [])
            assert (await rooms.ask("POST", target, cookie, ORIGIN)).status == 200
            rooms.ran.clear()


@pytest.mark.parametrize("framework", FRAMEWORKS)
async def test_the_guard_does_not_depend_on_start_up(framework: str, tmp_path: Path) -> None:
    """An app whose lifespan nobody runs, as one that is mounted: shut as well, and the store is asked."""
    rooms = await furnished(framework, tmp_path / "web")
    for method, target in rooms.shut:
        assert refused(rooms, await rooms.ask(method, target)), (method, target)
    token = await rooms.token()
    assert (await rooms.ask("GET", "/profile", token)).status == 200
    await rooms.home.auth.sessions.revoke_all("ada")
    assert (await rooms.ask("GET", "/profile", token)).code == "session_ended"
