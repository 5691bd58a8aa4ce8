"""Pages that a server renders, in real apps with `install(…, renew=True)`: who comes with a refresh token alone is
known at once, and whatever the app answers carries the new cookies."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI, HTTPException
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.websockets import WebSocket

from tests.frameworks.rooms import ORIGIN, SOCKET, Rooms, empty
from tests.http.asgi import Answer, Header
from tests.http.devices import ADA, PASSWORD, Device, instead, refresh_token_of
from tests.http.doors import break_store, count_loads
from watchword import fastapi as for_fastapi
from watchword import starlette as for_starlette
from watchword.auth import Watchword
from watchword.errors import SettingsError, Unavailable
from watchword.flows.follow import poll
from watchword.routing.match import public

pytestmark = pytest.mark.parametrize("framework", ["fastapi", "starlette"])
LAX = {"mode": "cookies", "cookie_samesite": "Lax", "csrf": "origin"}
LINK: tuple[Header, ...] = (
    ("sec-fetch-site", "cross-site"),
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-dest", "document"),
)


async def whom(request: Request) -> Response:
    principal = request.scope["watchword"]
    return PlainTextResponse(principal.id if principal else "nobody", headers={"cache-control": "public"})


@public
async def anybody(request: Request) -> Response:
    return await whom(request)


async def stream(request: Request) -> Response:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"part"

    return StreamingResponse(parts())


async def refusal(request: Request) -> Response:
    raise HTTPException(418, "short and stout")


async def crash(request: Request) -> Response:
    raise RuntimeError("out of cheese")


async def open_socket(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.close()


async def built(framework: str, **texts: str) -> Rooms:
    """An app that renews."""
    rooms = await empty(LAX | texts, fastapi=framework == "fastapi")
    for endpoint in (whom, stream, refusal, crash):
        rooms.app.add_route(f"/{endpoint.__name__}", endpoint, methods=["GET", "POST"])
    rooms.app.add_route("/open", anybody)
    rooms.app.router.add_websocket_route("/socket", open_socket)
    install(rooms)
    return rooms


async def rendering(framework: str, **texts: str) -> tuple[Rooms, Device]:
    """The same, and Ada's browser, signed in to it."""
    rooms = await built(framework, **texts)
    return rooms, await rooms.home.signed_in(app=rooms.home.auth.app)


def install(rooms: Rooms, **options: Any) -> None:
    if isinstance(rooms.app, FastAPI):
        for_fastapi.install(rooms.app, rooms.home.auth, renew=True, **options)
    else:
        for_starlette.install(rooms.app, rooms.home.auth, renew=True, **options)


async def later(rooms: Rooms, span: str = "1h") -> None:
    """Past the life of an access token, and of any rotation window."""
    rooms.home.clock.travel(span)
    await poll(rooms.home.auth.world, None)


def jar(device: Device, *, access: bool = False) -> Header:
    """What the browser sends: the refresh token alone, as the other cookie ends with its token."""
    held = {name: value for name, value in device.jar.items() if access or name != "access_token"}
    return ("cookie", "; ".join(f"{name}={value}" for name, value in held.items()))


async def ask(
    rooms: Rooms, device: Device, path: str = "/whom", *headers: Header, method: str = "GET", **options: Any
) -> Answer:
    lines = [("user-agent", device.user_agent), jar(device), *headers]
    return await rooms.ask(method, path, *lines, **options)


def renewed(answer: Answer) -> bool:
    """Whether both cookies are new, and then the answer is for nobody's cache."""
    names = [line.partition("=")[0] for line in answer.cookies]
    assert sorted(names) in ([], ["access_token", "refresh_token"])
    assert not names or answer.all("cache-control") == ["no-store"]
    return bool(names)


@pytest.mark.parametrize("expired", [False, True])
async def test_who_comes_without_a_good_access_token_is_known_at_once_and_gets_a_new_one(
    framework: str, expired: bool
) -> None:
    """R10, ASVS 14.3.2: without a script; absent, or expired and sent all the same."""
    rooms, device = await rendering(framework)
    await later(rooms)
    sent = jar(device, access=expired)
    answer = await rooms.ask("GET", "/whom", sent, ("user-agent", device.user_agent))
    user = await rooms.home.auth.users.get(ADA)
    assert (answer.status, answer.body.decode(), renewed(answer)) == (200, user.id, True)
    device.keep(answer)
    again = await rooms.ask("GET", "/whom", jar(device, access=True))
    assert (again.status, renewed(again), again.get("cache-control")) == (200, False, "public")


async def test_new_roles_are_seen_on_the_page_that_comes_next(framework: str) -> None:
    """ASVS 8.3.2: an access token older than they are is renewed on the way, where no script would refresh it."""
    rooms, device = await rendering(framework)
    await later(rooms, "1s")
    await rooms.home.auth.users.set_roles(ADA, ["owner"])
    answer = await rooms.ask("GET", "/whom", jar(device, access=True), ("user-agent", device.user_agent))
    assert (answer.status, renewed(answer)) == (200, True)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/stream", 200),
        ("HEAD", "/whom", 200),
        ("GET", "/open", 200),
        ("GET", "/refusal", 418),
        ("GET", "/crash", 500),
        ("GET", "/nowhere", 404),
        ("DELETE", "/whom", 405),
    ],
)
async def test_whatever_the_app_answers_carries_the_new_cookies(
    framework: str, method: str, path: str, status: int
) -> None:
    """Promise 1, attack 91: streams, errors, crashes and what no route answers."""
    rooms, device = await rendering(framework)
    await later(rooms)
    answer = await ask(rooms, device, path, ORIGIN, method=method, crashes=True)
    assert (answer.status, renewed(answer)) == (status, True)


async def test_an_answer_that_is_lost_loses_nothing(framework: str) -> None:
    """I1: the jar holds the old token, which is the parent of what was lost; at once, and after the window."""
    rooms, device = await rendering(framework)
    await later(rooms)
    for span in ("0s", "1s", "5m"):
        await later(rooms, span)
        answer = await ask(rooms, device)
        assert (answer.status, renewed(answer)) == (200, True), span
    device.keep(await ask(rooms, device))
    assert (await device.refresh()).status == 200


async def test_parallel_requests_of_a_page_share_one_refresh(framework: str) -> None:
    """W7, attack 36: one look-up and one rotation for eight, which all get the same refresh token."""
    rooms, device = await rendering(framework, limits="refresh=2/m")
    await later(rooms)
    loads = count_loads(rooms.home)
    answers = await asyncio.gather(*(ask(rooms, device) for _ in range(8)))
    assert {(answer.status, renewed(answer)) for answer in answers} == {(200, True)}
    assert len({refresh_token_of(answer) for answer in answers}) == 1
    assert len(loads) == 1
    device.keep(answers[3])
    assert (await device.refresh()).status == 200


async def test_requests_that_two_servers_answer_get_one_token_too(framework: str) -> None:
    """W7, F13: over one database, where no refresh is shared; the second one is told Repeat."""
    rooms, device = await rendering(framework)
    world = rooms.home.auth.world
    auth = Watchword(rooms.home.auth.settings, store=world.store, hasher=world.hasher, clock=world.clock)
    app = FastAPI() if framework == "fastapi" else Starlette()
    app.add_route("/whom", whom)
    twin = Rooms(app, replace(rooms.home, auth=auth, app=app))
    install(twin)
    await later(rooms)
    await poll(auth.world, None)
    answers = await asyncio.gather(*(ask(each, device) for each in (rooms, twin) * 3))
    assert {(answer.status, renewed(answer)) for answer in answers} == {(200, True)}
    assert len({refresh_token_of(answer) for answer in answers}) == 1


async def test_another_browser_with_the_same_token_does_not_share(framework: str) -> None:
    """I3: else a copy that comes at the same moment would leave no trace."""
    rooms, device = await rendering(framework)
    await later(rooms)
    loads = count_loads(rooms.home)
    thief = rooms.home.device(jar=dict(device.jar), user_agent="curl/8.0")
    await asyncio.gather(ask(rooms, device), ask(rooms, thief))
    assert len(loads) > 1


async def test_who_hangs_up_does_not_stop_the_refresh_for_the_others(framework: str) -> None:
    rooms, device = await rendering(framework)
    await later(rooms)
    gate, load = asyncio.Event(), rooms.home.auth.world.store.load_session

    async def slow(sid: str) -> Any:
        await gate.wait()
        return await load(sid)

    instead(rooms.home.auth.world.store, "load_session", slow)
    first, second = (asyncio.create_task(ask(rooms, device)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    gate.set()
    assert (await second).status == 200
    assert first.cancelled()


@pytest.mark.parametrize(
    ("path", "status", "code"), [("/whom", 503, "unavailable"), ("/open", 200, "nobody")]
)
async def test_while_nobody_can_be_asked_a_guarded_page_says_come_back_and_not_signed_out(
    framework: str, path: str, status: int, code: str
) -> None:
    """Promise 1, ASVS 16.5.2, 16.5.3; F3: a public page is served to nobody in particular, and no cookie is touched."""
    rooms, device = await rendering(framework)
    await later(rooms)
    broken = lambda: Unavailable(retry_after=1)  # noqa: E731
    break_store(rooms.home, broken)
    answer = await ask(rooms, device, path)
    assert (answer.status, answer.cookies) == (status, [])
    if status == 503:
        assert (answer.code, answer.get("retry-after")) == (code, "1")
    else:
        assert answer.body.decode() == code


async def test_a_limit_that_is_reached_says_when_to_come_back(framework: str) -> None:
    """ASVS 2.4.1: that of the session, as for POST /auth/refresh."""
    rooms, device = await rendering(framework, limits="refresh=1/m")
    await later(rooms)
    assert (await ask(rooms, device)).status == 200
    answer = await ask(rooms, device)
    assert (answer.status, answer.code, answer.cookies) == (429, "rate_limited", [])
    assert answer.get("retry-after")


async def test_a_token_that_a_newer_one_has_just_replaced_says_retry(framework: str) -> None:
    """DESIGN §4.1, Superseded: the jar holds a newer one by now, and nobody is signed out."""
    rooms, device = await rendering(framework)
    late = rooms.home.device(jar=dict(device.jar))
    for _ in range(2):
        await later(rooms, "1h")
        assert (await device.refresh()).status == 200
    answer = await ask(rooms, late)
    assert (answer.status, answer.code, answer.cookies) == (409, "refresh_superseded", [])
    await later(rooms)
    assert (await ask(rooms, device)).status == 200


@pytest.mark.parametrize(("path", "status"), [("/whom", 401), ("/open", 200)])
async def test_a_refresh_that_fails_sets_no_cookie(framework: str, path: str, status: int) -> None:
    """DESIGN §4.1, R38: signed out, unknown, garbage; the guard's own refusal is the answer."""
    rooms, device = await rendering(framework)
    await later(rooms)
    await rooms.home.auth.sessions.revoke_all(ADA)
    device.jar.pop("access_token")
    for token in (device.jar["refresh_token"], "wwr_" + "A" * 80, "x"):
        device.jar["refresh_token"] = token
        answer = await ask(rooms, device, path)
        assert (answer.status, answer.cookies) == (status, [])
        assert status == 401 or answer.body == b"nobody"


async def test_a_stolen_token_that_comes_by_a_page_ends_the_session(framework: str) -> None:
    """Attack 33, I3: as it would by POST /auth/refresh."""
    rooms, device = await rendering(framework)
    copy = rooms.home.device(jar=dict(device.jar), user_agent="curl/8.0")
    for _ in range(3):
        await later(rooms)
        assert (await device.refresh()).status == 200
    await later(rooms)
    assert (await ask(rooms, copy)).status == 401
    assert "refresh_reused" in rooms.home.told()
    assert (await device.refresh()).code == "session_ended"


SITE: Callable[[str], Header] = lambda site: ("sec-fetch-site", site)  # noqa: E731
MODE: Callable[[str], Header] = lambda mode: ("sec-fetch-mode", mode)  # noqa: E731
DEST: Callable[[str], Header] = lambda dest: ("sec-fetch-dest", dest)  # noqa: E731
EVIL: Header = ("origin", "http://evil.example")


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("GET", LINK, 200),
        ("GET", (SITE("none"), MODE("navigate"), DEST("document")), 200),
        ("GET", (SITE("same-origin"), MODE("no-cors"), DEST("image")), 200),
        ("GET", (), 200),
        ("GET", (SITE("cross-site"), MODE("no-cors"), DEST("image")), 401),
        ("GET", (SITE("cross-site"), MODE("navigate"), DEST("iframe")), 401),
        ("GET", (SITE("same-site"), MODE("no-cors"), DEST("script")), 401),
        ("GET", (SITE("cross-site"), MODE("cors"), DEST("empty"), EVIL), 401),
        ("GET", (EVIL,), 401),
        ("POST", (SITE("same-origin"), ORIGIN), 200),
        ("POST", (ORIGIN,), 200),
        ("POST", (SITE("cross-site"), MODE("navigate"), DEST("document"), EVIL), 403),
        ("POST", (EVIL,), 403),
        ("POST", (), 403),
    ],
)
async def test_only_a_visit_or_a_page_of_ours_renews(
    framework: str, method: str, headers: tuple[Header, ...], status: int
) -> None:
    """Attacks 81, 82, 85, ASVS 3.5.1: with SameSite=None, which leaves it all to these checks."""
    rooms, device = await rendering(framework)
    await later(rooms)
    loads = count_loads(rooms.home)
    answer = await ask(rooms, device, "/whom", *headers, method=method)
    assert (answer.status, renewed(answer)) == (status, status == 200)
    assert bool(loads) == (status == 200)


@pytest.mark.parametrize(("headers", "status"), [((ORIGIN,), 101), ((EVIL,), 403), ((), 403)])
async def test_a_web_socket_of_ours_is_renewed_and_a_strangers_is_not(
    framework: str, headers: tuple[Header, ...], status: int
) -> None:
    """ASVS 4.4.2: what accepts it carries the cookies."""
    rooms, device = await rendering(framework)
    await later(rooms)
    answer = await ask(rooms, device, "/socket", *headers, method=SOCKET)
    assert (answer.status, renewed(answer)) == (status, status == 101)


async def test_a_csrf_token_is_asked_for_where_it_is_demanded(framework: str) -> None:
    """ASVS 3.5.1, attack 83: of an unsafe request, by the session that the refresh token names."""
    rooms = await built(framework, csrf="token")
    device = rooms.home.device(app=rooms.home.auth.app)
    given = (await device.get("/auth/csrf")).json["csrf_token"]
    assert (await device.sign_in(headers=[("x-csrf-token", given)])).status == 200
    await later(rooms)
    assert (await ask(rooms, device, "/whom", ORIGIN, method="POST")).code == "csrf_rejected"
    proof = ("x-csrf-token", device.jar["csrf_token"])
    assert (await ask(rooms, device, "/whom", ORIGIN, proof, method="POST")).status == 200


async def test_two_refresh_cookies_are_none_and_go(framework: str) -> None:
    """Attack 25, DESIGN §4.6."""
    rooms, device = await rendering(framework)
    await later(rooms)
    answer = await ask(rooms, device, "/whom", ("cookie", "refresh_token=planted"))
    assert (answer.status, answer.code) == (401, "invalid_token")
    assert all(line.startswith("refresh_token=; Max-Age=0") for line in answer.cookies)


@pytest.mark.parametrize("mode", ["hybrid", "bearer"])
async def test_a_session_of_another_mode_is_not_renewed_by_a_page(framework: str, mode: str) -> None:
    """Decision 24: there a page's script holds the access token, and no cookie authenticates a route of the app."""
    rooms, _ = await rendering(framework, mode="cookies,hybrid,bearer")
    device = await rooms.home.signed_in(app=rooms.home.auth.app, mode=mode)
    await later(rooms)
    answer = await rooms.ask("GET", "/whom", ("cookie", f"refresh_token={device.held}"))
    assert (answer.status, answer.cookies) == (401, [])
    assert (await device.refresh()).status == 200, "its token is as good as before"
    await later(rooms)
    both = [("authorization", f"Bearer {device.access_token}"), ("cookie", f"refresh_token={device.held}")]
    assert (await rooms.ask("GET", "/whom", *both)).code == "token_expired"


async def test_a_mode_of_one_cookie_beside_it_changes_nothing(framework: str) -> None:
    rooms, device = await rendering(framework, mode="cookies,session")
    await later(rooms)
    answer = await ask(rooms, device)
    assert (answer.status, renewed(answer)) == (200, True)


async def test_without_renew_nothing_is_renewed(framework: str) -> None:
    rooms = await empty(LAX, fastapi=framework == "fastapi")
    rooms.app.add_route("/whom", whom)
    for_starlette.install(rooms.app, rooms.home.auth)
    device = await rooms.home.signed_in(app=rooms.home.auth.app)
    await later(rooms)
    answer = await ask(rooms, device)
    assert (answer.status, answer.cookies) == (401, [])


async def test_the_start_up_says_what_a_link_from_elsewhere_meets(
    framework: str, caplog: pytest.LogCaptureFixture
) -> None:
    for texts, level in (({}, logging.WARNING), ({"cookie_samesite": "Lax"}, logging.INFO)):
        caplog.clear()
        rooms = await empty({"mode": "cookies"} | texts, fastapi=framework == "fastapi")
        install(rooms)
        with caplog.at_level(logging.INFO, "watchword"):
            async with rooms.running():
                pass
        said = [record for record in caplog.records if record.getMessage().startswith("renew:")]
        assert [record.levelno for record in said] == [level]


@pytest.mark.parametrize(
    ("texts", "word"),
    [
        ({"mode": "hybrid"}, "mode cookies"),
        ({"mode": "cookies", "refresh_cookie_path": "/auth/refresh"}, "refresh_cookie_path"),
    ],
)
async def test_what_could_never_renew_is_refused_when_it_is_installed(
    framework: str, texts: dict[str, str], word: str
) -> None:
    rooms = await empty(texts, fastapi=framework == "fastapi")
    with pytest.raises(SettingsError, match=word):
        install(rooms)


async def test_a_sign_out_that_the_app_answers_by_itself_stays_one(framework: str) -> None:
    """R38: cookies that an answer clears are not set again by it."""
    rooms, device = await rendering(framework)

    async def leave(request: Request) -> Response:
        response = PlainTextResponse("bye")
        for name in ("access_token", "refresh_token"):
            response.delete_cookie(name)
        return response

    rooms.app.add_route("/leave", leave, methods=["POST"])
    await later(rooms)
    answer = await ask(rooms, device, "/leave", ORIGIN, method="POST")
    assert len(answer.cookies) == 2
    assert all("Max-Age=0" in line for line in answer.cookies)


async def test_a_renewed_sign_in_is_as_old_as_it_was(framework: str) -> None:
    """ASVS 7.5.1: a page that asks for a fresh one refuses it."""
    rooms, device = await rendering(framework)
    if framework == "fastapi":
        rooms.app.add_api_route(
            "/close", rooms.api("close"), dependencies=[for_fastapi.require(fresh="5m")], methods=["POST"]
        )
    else:
        rooms.app.add_route("/close", for_starlette.require(fresh="5m")(whom), methods=["POST"])
    await later(rooms)
    answer = await ask(rooms, device, "/close", ORIGIN, method="POST")
    assert (answer.status, answer.code) == (401, "reauthentication_required")
    device.keep(answer)
    assert (await device.post("/auth/reauthenticate", {"password": PASSWORD})).status == 200
    assert (await rooms.ask("POST", "/close", jar(device, access=True), ORIGIN)).status == 200
    assert timedelta(hours=1) > rooms.home.auth.settings.access_ttl
