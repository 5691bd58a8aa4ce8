"""CORS in somebody's app: of our own routes alone (`cors=own`), of everything (`cors=app`), beside a middleware."""

from __future__ import annotations

import pytest
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from tests.frameworks.rooms import SOCKET, Rooms, empty, install
from tests.http.asgi import Answer, Header
from tests.http.origins import APP, STRANGER, STRANGERS, TRUSTED, leave, preflight, words
from watchword.routing.match import public

both = pytest.mark.parametrize("framework", ["fastapi", "starlette"])
ELSEWHERE = "https://partner.example.com"
OURS = {
    "access-control-allow-origin": APP,
    "access-control-allow-credentials": "true",
    "access-control-expose-headers": "Retry-After, WWW-Authenticate",
}


async def crashes(request: Request) -> Response:
    raise RuntimeError


async def reads(request: Request) -> Response:
    await request.body()
    return PlainTextResponse("read")


async def says(request: Request) -> Response:
    return PlainTextResponse(
        "said", headers={"Vary": "Accept-Language", "Access-Control-Expose-Headers": "X-Total"}
    )


async def rooms_of(framework: str, cors: str) -> Rooms:
    """A guarded route and public ones that fail in every way."""
    texts = {"trusted_origins": APP, "cors": cors}
    rooms = await empty(texts, fastapi=framework == "fastapi", max_body_size=64)
    rooms.app.add_route("/shut", rooms.plain("shut"), methods=["GET", "POST"])
    rooms.app.add_route("/crash", public(crashes))
    rooms.app.add_route("/read", public(reads), methods=["POST"])
    rooms.app.add_route("/says", public(says))
    install(rooms)
    return rooms


async def every_answer(rooms: Rooms, *lines: Header) -> dict[str, Answer]:
    """One of each kind that the host and we can give, by what is expected of it."""
    token = await rooms.token()
    asked = {
        "200 of the host": ("GET", "/shut", [token], b""),
        "200 of ours": ("GET", "/auth/me", [token], b""),
        "401 of the guard": ("GET", "/shut", [], b""),
        "401 of the guard, unknown": ("GET", "/nothing", [], b""),
        "401 of ours": ("GET", "/auth/me", [], b""),
        "404 of the host": ("GET", "/nothing", [token], b""),
        "405 of the host": ("DELETE", "/shut", [token], b""),
        "405 to options": ("OPTIONS", "/shut", [token], b""),
        "413 of the host": ("POST", "/read", [], b"x" * 65),
        "500 of the host": ("GET", "/crash", [], b""),
    }
    told = {}
    for name, (method, path, headers, body) in asked.items():
        told[name] = await rooms.ask(method, path, *headers, *lines, body=body, crashes=True)
        assert str(told[name].status) == name[:3], (name, told[name])
    return told


@both
async def test_a_trusted_page_may_read_whatever_the_app_answers(framework: str) -> None:
    """R14; attack 87; ASVS 3.4.2: the guard's refusals, and what Starlette answers outside of all middlewares."""
    rooms = await rooms_of(framework, "app")
    async with rooms.running():
        for name, answer in (await every_answer(rooms, TRUSTED)).items():
            assert (leave(answer), words(answer.get("vary"))) == (OURS, ["origin"]), name


@both
async def test_no_stranger_may_read_anything_of_the_app(framework: str) -> None:
    """W13; attack 87; ASVS 3.4.2."""
    rooms = await rooms_of(framework, "app")
    async with rooms.running():
        for who, lines in STRANGERS.items():
            for name, answer in (await every_answer(rooms, *(("origin", line) for line in lines))).items():
                assert (leave(answer), words(answer.get("vary"))) == ({}, ["origin"]), (who, name)


@both
async def test_preflights_need_nobody_signed_in(framework: str) -> None:
    """R14, R24, W3; ASVS 3.4.2: of guarded routes, of public ones, of ours, and of what there is not."""
    rooms = await rooms_of(framework, "app")
    async with rooms.running():
        for path in ("/shut", "/read", "/nothing", "/auth/login", "/auth/nothing"):
            answer = await preflight(rooms.app, TRUSTED, path=path)
            assert (answer.status, answer.get("access-control-allow-origin")) == (204, APP)
            assert "x-user-id" in words(answer.get("access-control-allow-headers"))
            refused = await preflight(rooms.app, STRANGER, path=path)
            assert (refused.status, refused.code, leave(refused)) == (403, "forbidden", {})
    assert rooms.ran == []


@both
async def test_what_the_app_says_to_pages_and_caches_stays_said(framework: str) -> None:
    """ASVS 3.4.2: one line of each, with the app's words and ours."""
    rooms = await rooms_of(framework, "app")
    async with rooms.running():
        answer = await rooms.ask("GET", "/says", TRUSTED)
    assert words(answer.get("vary")) == ["accept-language", "origin"]
    assert words(answer.get("access-control-expose-headers")) == [
        "retry-after",
        "www-authenticate",
        "x-total",
    ]


@both
@pytest.mark.parametrize("cors", ["own", "app"])
async def test_sockets_are_left_to_the_guard(framework: str, cors: str) -> None:
    """Fetch has no CORS for WebSockets."""
    rooms = await rooms_of(framework, cors)
    rooms.app.router.add_websocket_route("/socket", rooms.socket("socket"))
    async with rooms.running():
        token = await rooms.token()
        assert (await rooms.ask(SOCKET, "/socket", token, TRUSTED)).status == 101
        refused = await rooms.ask(SOCKET, "/socket", TRUSTED)
    assert (refused.status, leave(refused)) == (401, {})


@both
async def test_of_the_apps_own_routes_the_app_decides_unless_it_asks_us_to(framework: str) -> None:
    """R14; attack 87: with cors=own, leave is for our routes alone, and a guarded route refuses preflights."""
    rooms = await rooms_of(framework, "own")
    async with rooms.running():
        for name, answer in (await every_answer(rooms, TRUSTED)).items():
            ours = name.endswith("of ours")
            assert leave(answer) == (OURS if ours else {}), name
            assert answer.get("vary") == ("Origin" if ours else None), name
        assert (await preflight(rooms.app, TRUSTED, path="/auth/me")).status == 204
        refused = await preflight(rooms.app, TRUSTED, path="/shut")
        assert (refused.status, leave(refused)) == (401, {})


@both
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("cors", ["own", "app"])
async def test_beside_a_middleware_of_the_app_nothing_is_said_twice(
    framework: str, cors: str, when: str
) -> None:
    """Attack 87: two lines of Access-Control-Allow-Origin are none to a browser. `leave` asserts that there is one."""
    rooms = await empty({"trusted_origins": APP, "cors": cors}, fastapi=framework == "fastapi")
    rooms.app.add_route("/shut", rooms.plain("shut"))
    if when == "after":
        install(rooms)
    rooms.app.add_middleware(CORSMiddleware, allow_origins=[APP, ELSEWHERE], allow_credentials=True)
    if when == "before":
        install(rooms)
    async with rooms.running():
        token = await rooms.token()
        for path in ("/shut", "/auth/me"):
            for headers in ([token], []):
                answer = await rooms.ask("GET", path, TRUSTED, *headers)
                assert leave(answer).items() >= {
                    ("access-control-allow-origin", APP),
                    ("access-control-allow-credentials", "true"),
                }
                # Starlette's adds the word to the end of the line, whether it is there already or not.
                assert set(words(answer.get("vary"))) == {"origin"}
                stranger = await rooms.ask("GET", path, STRANGER, *headers)
                assert stranger.get("access-control-allow-origin") is None
                # Whom the app trusts by itself is the app's to say.
                partner = await rooms.ask("GET", path, ("origin", ELSEWHERE), *headers)
                assert partner.get("access-control-allow-origin") == ELSEWHERE
            answer = await preflight(rooms.app, TRUSTED, path=path, asked="content-type")
            assert leave(answer)["access-control-allow-origin"] == APP
