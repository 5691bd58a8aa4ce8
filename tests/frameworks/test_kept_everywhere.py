"""Sessions in one cookie in real apps: what their answers carry, and demands that read the row."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.websockets import WebSocket

from tests.frameworks.rooms import ORIGIN, SOCKET, Rooms, empty, install
from tests.http.asgi import Answer
from tests.http.devices import ADA, KEPT, PASSWORD, Device
from tests.http.doors import carried
from watchword import starlette as for_starlette
from watchword.errors import Forbidden
from watchword.fastapi import CurrentUser, OptionalUser, StoredUser, require
from watchword.flows.follow import poll
from watchword.routing.match import public

both_modes = pytest.mark.parametrize("mode", KEPT)
both_frameworks = pytest.mark.parametrize("framework", ["fastapi", "starlette"])


async def answer_of_its_own(request: Request) -> Response:
    return PlainTextResponse("own", int(request.path_params["status"]), {"cache-control": "public"})


async def stream(request: Request) -> Response:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"part"

    return StreamingResponse(parts())


async def refusal(request: Request) -> Response:
    raise HTTPException(418, "short and stout")


async def problem(request: Request) -> Response:
    raise Forbidden


async def crash(request: Request) -> Response:
    raise RuntimeError("out of cheese")


async def refuse_socket(websocket: WebSocket) -> None:
    await websocket.send_denial_response(PlainTextResponse("not today", 403))


async def answering(framework: str, mode: str) -> tuple[Rooms, Device]:
    """Every kind of answer, and Ada signed in."""
    rooms = await empty({"mode": mode}, fastapi=framework == "fastapi")
    rooms.app.add_route("/own/{status}", answer_of_its_own)
    for endpoint in (stream, refusal, problem, crash):
        rooms.app.add_route(f"/{endpoint.__name__}", endpoint)
    rooms.app.router.add_websocket_route("/socket", rooms.socket("socket"))
    rooms.app.router.add_websocket_route("/no-socket", refuse_socket)
    install(rooms)
    return rooms, await rooms.home.signed_in(app=rooms.home.auth.app)


async def an_hour_later(rooms: Rooms) -> None:
    rooms.home.clock.travel("1h")
    await poll(rooms.home.auth.world, None)


def renewed(answer: Answer, device: Device) -> bool:
    """Whether an answer carries a new cookie, and then for nobody's cache."""
    mine = [line for line in answer.cookies if line.startswith(f"{device.access_name}=")]
    assert not mine or answer.all("cache-control") == ["no-store"]
    device.keep(answer)
    return len(mine) == 1


@both_frameworks
@both_modes
@pytest.mark.parametrize(
    ("path", "status"),
    [
        *((f"/own/{status}", status) for status in (200, 404, 500)),
        *(("/stream", 200), ("/refusal", 418), ("/problem", 403)),
    ],
)
async def test_whatever_an_app_answers_it_carries_the_new_cookie(
    framework: str, mode: str, path: str, status: int
) -> None:
    """R45, attack 91, ASVS 14.3.2: its own errors, raised ones and streams too."""
    rooms, device = await answering(framework, mode)
    await an_hour_later(rooms)
    answer = await rooms.ask("GET", path, carried(device))
    assert (answer.status, renewed(answer, device)) == (status, mode == "jwt_cookie")
    assert not renewed(await rooms.ask("GET", path, carried(device)), device)


@both_frameworks
@both_modes
async def test_an_answer_from_outside_the_router_loses_the_cookie_and_nothing_else(
    framework: str, mode: str
) -> None:
    """Promise 1: no route, a crash; the browser's cookie is as good as before."""
    rooms, device = await answering(framework, mode)
    for path, status in (("/nowhere", 404), ("/crash", 500)):
        await an_hour_later(rooms)
        answer = await rooms.ask("GET", path, carried(device), crashes=True)
        assert answer.status == status
        device.keep(answer)
        assert (await rooms.ask("GET", "/own/200", carried(device))).status == 200


@both_frameworks
@both_modes
async def test_a_web_socket_carries_the_new_cookie_accepted_or_denied(framework: str, mode: str) -> None:
    """R45, ASVS 4.4.2."""
    rooms, device = await answering(framework, mode)
    for path, status in (("/socket", 101), ("/no-socket", 403)):
        await an_hour_later(rooms)
        answer = await rooms.ask(SOCKET, path, carried(device), ORIGIN)
        assert (answer.status, renewed(answer, device)) == (status, mode == "jwt_cookie")
        assert (await rooms.ask(SOCKET, path, carried(device))).code == "csrf_rejected"


async def demanding(framework: str, mode: str) -> tuple[Rooms, Device]:
    """Routes that read the row or want a fresh sign-in, and say whom they see."""
    rooms = await empty({"mode": mode}, fastapi=framework == "fastapi")
    if framework == "fastapi":

        async def current(user: CurrentUser) -> dict[str, Any]:
            return {"roles": user.roles}

        async def stored(user: StoredUser) -> dict[str, Any]:
            return {"roles": user.roles}

        async def optional(user: OptionalUser) -> dict[str, Any]:
            return {"roles": user.roles if user else None}

        rooms.app.get("/live", dependencies=[require(live=True)])(current)
        rooms.app.get("/owner", dependencies=[require(live=True, role="owner")])(current)
        rooms.app.get("/fresh", dependencies=[require(fresh="5m")])(current)
        rooms.app.get("/stored")(stored)
        rooms.app.get("/optional")(public(optional))
    else:

        async def whom(request: Request) -> Response:
            return JSONResponse({"roles": for_starlette.current_user(request).roles})

        async def row(request: Request) -> Response:
            return JSONResponse({"roles": (await for_starlette.stored_user(request)).roles})

        async def anybody(request: Request) -> Response:
            principal = rooms.home.auth.principal(request)
            return JSONResponse({"roles": principal.roles if principal else None})

        rooms.app.add_route("/live", for_starlette.require(live=True)(whom))
        rooms.app.add_route("/owner", for_starlette.require(live=True, role="owner")(whom))
        rooms.app.add_route("/fresh", for_starlette.require(fresh="5m")(whom))
        rooms.app.add_route("/stored", row)
        rooms.app.add_route("/optional", public(anybody))
    install(rooms)
    device = await rooms.home.signed_in(app=rooms.home.auth.app)
    await poll(rooms.home.auth.world, None)
    return rooms, device


@both_frameworks
@both_modes
async def test_a_demand_that_reads_the_row_sees_roles_that_nobody_has_told_of(
    framework: str, mode: str
) -> None:
    """ASVS 8.3.2: changed by another process a moment ago; the principal and the cookie follow, nobody is refused."""
    for path in ("/live", "/fresh", "/stored"):
        rooms, device = await demanding(framework, mode)
        assert (await rooms.ask("GET", path, carried(device))).json == {"roles": []}
        user = await rooms.home.auth.users.get(ADA)
        store, now = rooms.home.auth.world.store, rooms.home.clock.now()
        await store.change_roles(user.id, ("owner",), now=now)
        answer = await rooms.ask("GET", path, carried(device))
        assert (answer.status, answer.json) == (200, {"roles": ["owner"]}), path
        assert renewed(answer, device) is (mode == "jwt_cookie")


@both_frameworks
@both_modes
async def test_a_role_that_was_taken_away_elsewhere_is_missed_where_it_is_asked_live(
    framework: str, mode: str
) -> None:
    """ASVS 8.3.2: read anew, it is forbidden, and not for ever expired."""
    rooms, device = await demanding(framework, mode)
    await rooms.home.auth.users.set_roles(ADA, ["owner"])
    answer = await rooms.ask("GET", "/owner", carried(device))
    assert (answer.status, answer.json) == (200, {"roles": ["owner"]})
    device.keep(answer)
    user = await rooms.home.auth.users.get(ADA)
    await rooms.home.auth.world.store.change_roles(user.id, (), now=rooms.home.clock.now())
    answer = await rooms.ask("GET", "/owner", carried(device))
    assert (answer.status, answer.code) == (403, "forbidden")


@both_frameworks
@both_modes
async def test_a_proof_counts_at_once_whatever_was_looked_up_seconds_ago(framework: str, mode: str) -> None:
    """ASVS 7.2.4, 7.5.1: with the new cookie; a copy of the old one, which may be anybody's, has no part in it."""
    rooms, device = await demanding(framework, mode)
    await an_hour_later(rooms)
    answer = await rooms.ask("GET", "/fresh", carried(device))
    assert (answer.status, answer.code) == (401, "reauthentication_required")
    device.keep(answer)
    copy = rooms.home.device(app=rooms.home.auth.app, jar=dict(device.jar))
    assert (await device.post("/auth/reauthenticate", {"password": PASSWORD})).status == 200
    assert (await rooms.ask("GET", "/fresh", carried(copy))).code == "reauthentication_required"
    rooms.home.clock.travel("6s")
    await poll(rooms.home.auth.world, None)
    assert (await copy.refresh()).status == 200
    assert (await rooms.ask("GET", "/fresh", carried(copy))).code == "reauthentication_required"
    assert (await copy.delete("/auth/sessions")).code == "reauthentication_required"
    assert (await rooms.ask("GET", "/fresh", carried(device))).status == 200


@both_frameworks
@both_modes
async def test_a_public_route_names_who_is_signed_in_and_nobody_else(framework: str, mode: str) -> None:
    """R42."""
    rooms, device = await demanding(framework, mode)
    await an_hour_later(rooms)
    answer = await rooms.ask("GET", "/optional", carried(device))
    assert (answer.json, renewed(answer, device)) == ({"roles": []}, mode == "jwt_cookie")
    assert (await rooms.ask("GET", "/optional")).json == {"roles": None}
    await rooms.home.auth.sessions.revoke_all(ADA)
    answer = await rooms.ask("GET", "/optional", carried(device))
    assert (answer.status, answer.json) == (200, {"roles": None})
