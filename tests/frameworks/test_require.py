"""`require`, `CurrentUser`, `StoredUser` and `OptionalUser`: what a route asks for beyond a valid token."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fastapi import APIRouter
from fastapi import WebSocket as FastAPIWebSocket
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from tests.frameworks.rooms import SOCKET, Rooms, empty, install
from tests.http.asgi import Answer
from tests.http.devices import ADA, MODES, PASSWORD, SECRET, Device, instead
from tests.http.doors import carried
from watchword import fastapi as for_fastapi
from watchword import starlette as for_starlette
from watchword.auth import Watchword
from watchword.core.session import End
from watchword.core.user import Status
from watchword.drivers.hasher import Argon2Hasher
from watchword.errors import SettingsError, Unavailable
from watchword.fastapi import CurrentUser, OptionalUser, StoredUser
from watchword.flows.follow import poll
from watchword.routing.match import public
from watchword.settings import Settings

FRAMEWORKS = ("fastapi", "starlette")
both = pytest.mark.parametrize("framework", FRAMEWORKS)


def demanding(rooms: Rooms, path: str, *, opened: bool = False, **demands: Any) -> None:
    """A route with `require(**demands)`, in the way of the framework."""
    mark: Callable[[Any], Any] = public if opened else lambda endpoint: endpoint
    if hasattr(rooms.app, "get"):
        depends = [for_fastapi.require(**demands)]
        rooms.app.get(path, dependencies=depends)(mark(rooms.api(path)))
    else:
        rooms.app.add_route(path, for_starlette.require(**demands)(mark(rooms.plain(path))))


async def furnished(framework: str, mode: str = "bearer") -> tuple[Rooms, Device]:
    """A route for every demand, and Ada signed in."""
    rooms = await empty({"mode": mode}, fastapi=framework == "fastapi")
    demanding(rooms, "/fresh", fresh="5m")
    demanding(rooms, "/live", live=True)
    demanding(rooms, "/owner", role="owner")
    demanding(rooms, "/all", fresh="5m", live=True, role="owner")
    demanding(rooms, "/nothing")
    demanding(rooms, "/open", opened=True, live=True)
    install(rooms)
    return rooms, await rooms.home.signed_in(app=rooms.home.auth.app)


@both
@pytest.mark.parametrize("mode", MODES)
async def test_every_demand_is_met_by_a_fresh_live_owner_and_by_nobody_else(
    framework: str, mode: str
) -> None:
    """ASVS 8.2.1: fresh, live, role, all together, nothing, and on a route that is public otherwise."""
    rooms, device = await furnished(framework, mode)
    await rooms.home.auth.users.set_roles(ADA, ["owner", "team:7"])
    await device.refresh()
    async with rooms.running():
        for path in ("/fresh", "/live", "/owner", "/all", "/nothing", "/open"):
            answer = await rooms.ask("GET", path)
            assert (answer.status, answer.get("www-authenticate")) == (401, "Bearer"), path
            assert rooms.ran == []
            assert (await rooms.ask("GET", path, carried(device))).status == 200, path
            assert rooms.ran.pop() == path


@both
@pytest.mark.parametrize("mode", MODES)
async def test_an_old_sign_in_is_asked_to_prove_itself_again(framework: str, mode: str) -> None:
    """RFC 9470, ASVS 7.5.1, 7.5.3, 10.3.4: the challenge says what is missing and how old it may be; proving
    it renews auth_time."""
    rooms, device = await furnished(framework, mode)
    rooms.home.clock.travel("5m")
    assert (await rooms.ask("GET", "/fresh", carried(device))).status == 200, "exactly five minutes"
    rooms.home.clock.travel("1ms")
    answer = await rooms.ask("GET", "/fresh", carried(device))
    assert (answer.status, answer.code) == (401, "reauthentication_required")
    assert answer.get("www-authenticate") == 'Bearer error="insufficient_user_authentication", max_age="300"'
    await device.refresh()
    answer = await rooms.ask("GET", "/fresh", carried(device))
    assert answer.code == "reauthentication_required", "a refresh proves nothing"
    assert (await device.post("/auth/reauthenticate", {"password": PASSWORD})).status == 200
    assert (await rooms.ask("GET", "/fresh", carried(device))).status == 200


@both
@pytest.mark.parametrize("mode", MODES)
async def test_a_fresh_claim_in_the_token_does_not_outlive_its_session(framework: str, mode: str) -> None:
    """ASVS 7.4.1: `fresh` and `live` read the session, so what another process ended does not pass."""
    rooms, device = await furnished(framework, mode)
    async with rooms.running():
        world = rooms.home.auth.world
        assert (await rooms.ask("GET", "/nothing", carried(device))).status == 200
        sessions = await rooms.home.auth.sessions.list(ADA)
        for session in sessions:
            await world.store.end_session(session.sid, End.REVOKED, now=world.clock.now())
        assert (await rooms.ask("GET", "/nothing", carried(device))).status == 200, (
            "this process was not told"
        )
        for path in ("/fresh", "/live", "/open"):
            answer = await rooms.ask("GET", path, carried(device))
            assert (answer.status, answer.code) == (401, "session_ended"), path


@both
@pytest.mark.parametrize("mode", MODES)
async def test_a_role_that_was_taken_away_counts_no_longer_where_it_is_asked_live(
    framework: str, mode: str
) -> None:
    """ASVS 8.3.2: `require(live=True, role=…)` looks at the row, not at the token alone."""
    rooms, device = await furnished(framework, mode)
    await rooms.home.auth.users.set_roles(ADA, ["owner"])
    await device.refresh()
    async with rooms.running():
        assert (await rooms.ask("GET", "/all", carried(device))).status == 200
        user = await rooms.home.auth.users.get(ADA)
        await rooms.home.auth.world.store.change_roles(user.id, (), now=rooms.home.clock.now())
        answer = await rooms.ask("GET", "/all", carried(device))
        assert answer.code in ("token_expired", "forbidden")


@both
@pytest.mark.parametrize("mode", MODES)
async def test_a_missing_role_is_forbidden_and_no_reason_to_sign_in_again(framework: str, mode: str) -> None:
    """403 `forbidden`: a refresh would not help; roles are compared whole. ASVS 10.3.2."""
    rooms, device = await furnished(framework, mode)
    async with rooms.running():
        for roles in ([], ["own"], ["owners"], ["team:owner"]):
            await rooms.home.auth.users.set_roles(ADA, roles)
            await device.refresh()
            answer = await rooms.ask("GET", "/owner", carried(device))
            assert (answer.status, answer.code) == (403, "forbidden"), roles
            assert answer.get("www-authenticate") is None


@both
@pytest.mark.parametrize("mode", MODES)
async def test_a_database_that_is_away_is_never_taken_for_a_yes(framework: str, mode: str) -> None:
    """ASVS 16.5.3: 503 where the database must be asked; the others go on."""
    rooms, device = await furnished(framework, mode)
    async with rooms.running():
        assert (await rooms.ask("GET", "/nothing", carried(device))).status == 200

        async def away(_: str) -> Any:
            raise Unavailable(retry_after=1)

        instead(rooms.home.auth.world.store, "load_session", away)
        for path in ("/fresh", "/live", "/open"):
            answer = await rooms.ask("GET", path, carried(device))
            assert (answer.status, answer.code) == (503, "unavailable"), path
        assert (await rooms.ask("GET", "/nothing", carried(device))).status == 200
        assert rooms.ran == ["/nothing", "/nothing"]


@pytest.mark.parametrize("fresh", ["5 minutes", "", "-5m", "soon", "1y", "5M "])
@pytest.mark.parametrize("require", [for_fastapi.require, for_starlette.require])
def test_a_span_that_cannot_be_read_is_told_when_the_route_is_declared(
    require: Callable[..., Any], fresh: str
) -> None:
    """Not at the first request of somebody in need."""
    with pytest.raises(SettingsError, match="fresh"):
        require(fresh=fresh)


async def test_require_without_install_lets_nobody_pass() -> None:
    """A forgotten `install` is a crash, not an open door."""
    for framework in FRAMEWORKS:
        rooms = await empty(fastapi=framework == "fastapi")
        demanding(rooms, "/live", live=True)
        with pytest.raises(KeyError):
            await rooms.ask("GET", "/live")
        assert rooms.ran == []


def telling(rooms: Rooms) -> dict[str, Callable[..., Any]]:
    """Endpoints that say whom they see; new ones at each call, so that a mark on one is none on another."""

    async def current(user: CurrentUser) -> dict[str, Any]:
        rooms.ran.append("current")
        return {"id": user.id, "sid": user.sid, "roles": user.roles, "amr": user.amr, "claims": user.claims}

    async def stored(user: StoredUser) -> dict[str, Any]:
        rooms.ran.append("stored")
        return {"email": user.email}

    async def optional(user: OptionalUser) -> dict[str, Any]:
        rooms.ran.append("optional")
        return {"id": user.id if user else None}

    async def fast(request: Request) -> dict[str, Any]:
        principal = Watchword.principal(request)
        return {"id": principal.id if principal else None}

    return {"/current": current, "/stored": stored, "/optional": optional, "/fast": fast}


async def people() -> Rooms:
    """The endpoints above, without and with the public mark."""
    rooms = await empty()
    for path, endpoint in telling(rooms).items():
        rooms.app.get(path)(endpoint)
    for path, endpoint in telling(rooms).items():
        rooms.app.get(f"/open{path}")(public(endpoint))
    install(rooms)
    return rooms


async def test_the_parameters_name_who_is_signed_in() -> None:
    """DESIGN §7: the principal without I/O, the row with one look-up, and nobody where that is allowed."""
    rooms = await people()
    device = await rooms.home.signed_in(app=rooms.home.auth.app)
    ada = await rooms.home.auth.users.get(ADA)
    async with rooms.running():
        for prefix in ("", "/open"):
            told = (await rooms.ask("GET", f"{prefix}/current", carried(device))).json
            assert (told["id"], told["roles"], told["amr"], told["claims"]) == (ada.id, [], ["pwd"], {})
            assert (await rooms.ask("GET", f"{prefix}/stored", carried(device))).json == {"email": ADA}
            assert (await rooms.ask("GET", f"{prefix}/optional", carried(device))).json == {"id": ada.id}
            assert (await rooms.ask("GET", f"{prefix}/fast", carried(device))).json == {"id": ada.id}


async def test_on_public_routes_nobody_is_nobody() -> None:
    """`CurrentUser` there is a 401 as on any other route; `OptionalUser` is None, with a bad token too."""
    rooms = await people()
    async with rooms.running():
        for bad in ((), (("authorization", "Bearer nonsense"),)):
            for path in ("/open/current", "/open/stored"):
                answer = await rooms.ask("GET", path, *bad)
                assert (answer.status, answer.code) == (401, "invalid_token")
            assert (await rooms.ask("GET", "/open/optional", *bad)).json == {"id": None}
            assert (await rooms.ask("GET", "/open/fast", *bad)).json == {"id": None}
            assert (await rooms.ask("GET", "/optional", *bad)).status == 401, "it is not public by that"
        assert set(rooms.ran) == {"optional"}


async def test_a_stored_user_is_read_now() -> None:
    """ASVS 7.4.2: disabled a moment ago by another process is refused by the route that reads the row."""
    rooms = await people()
    device = await rooms.home.signed_in(app=rooms.home.auth.app)
    async with rooms.running():
        ada = await rooms.home.auth.users.get(ADA)
        await rooms.home.auth.world.store.change_status(ada.id, Status.DISABLED, now=rooms.home.clock.now())
        assert (await rooms.ask("GET", "/current", carried(device))).status == 200, "not told yet"
        assert (await rooms.ask("GET", "/stored", carried(device))).code == "session_ended"


async def test_the_apps_own_claims_reach_the_endpoint() -> None:
    """DESIGN §4.2: `claims=` adds them to the token; they come back as they went in."""
    auth = Watchword(
        Settings.parse({"secret": SECRET, "database_url": "memory:", "mode": "bearer"}),
        hasher=Argon2Hasher(threads=1, memory=8, passes=1),
        claims=lambda user: {"tenant": "acme", "mail": user.email},
    )
    await auth.users.create(ADA, PASSWORD)
    device = Device(auth.app, "bearer", auth.settings.url)
    await device.sign_in()
    await poll(auth.world, None)
    principal = auth.authenticate([(b"authorization", f"Bearer {device.access}".encode())])
    assert principal is not None
    assert principal.claims == {"tenant": "acme", "mail": ADA}


async def test_require_guards_whole_routers_and_sockets() -> None:
    """FastAPI's `dependencies=[…]` of a router, of an inclusion and of a WebSocket."""
    rooms = await empty()
    owners = APIRouter(dependencies=[for_fastapi.require(role="owner")])
    owners.get("/team")(rooms.api("team"))
    plain = APIRouter()
    plain.get("/team")(rooms.api("team"))
    rooms.app.include_router(owners, prefix="/a")
    rooms.app.include_router(plain, prefix="/b", dependencies=[for_fastapi.require(role="owner")])

    async def socket(websocket: FastAPIWebSocket, user: CurrentUser) -> None:
        rooms.ran.append(user.id)
        await websocket.accept()
        await websocket.close()

    rooms.app.websocket("/socket", dependencies=[for_fastapi.require(role="owner")])(socket)
    install(rooms)
    device = await rooms.home.signed_in(app=rooms.home.auth.app)
    async with rooms.running():
        for path in ("/a/team", "/b/team"):
            assert (await rooms.ask("GET", path, carried(device))).code == "forbidden"
        refused: Answer = await rooms.ask(SOCKET, "/socket", carried(device))
        assert refused.status in (403, 500)
        assert rooms.ran == []
        await rooms.home.auth.users.set_roles(ADA, ["owner"])
        await device.refresh()
        for path in ("/a/team", "/b/team"):
            assert (await rooms.ask("GET", path, carried(device))).status == 200
        assert (await rooms.ask(SOCKET, "/socket", carried(device))).status == 101
    assert len(rooms.ran) == 3


async def test_a_refused_socket_is_closed_with_the_reason() -> None:
    """A demand that is not met answers the handshake, instead of leaving the server to say 500."""
    rooms = await empty()
    rooms.app.websocket("/socket", dependencies=[for_fastapi.require(role="owner")])(rooms.socket("socket"))
    install(rooms)
    device = await rooms.home.signed_in(app=rooms.home.auth.app)
    async with rooms.running():
        answer = await rooms.ask(SOCKET, "/socket", carried(device))
        assert answer.status == 403
        assert (await rooms.ask(SOCKET, "/socket", carried(device), denial=False)).status == 403
    assert rooms.ran == []


async def test_starlettes_require_goes_with_the_public_mark_in_either_order() -> None:
    """A public endpoint that asks for more asks everybody, nobody included."""
    rooms = await empty(fastapi=False)

    async def endpoint(request: Request) -> Response:
        rooms.ran.append("ran")
        return JSONResponse({"id": for_starlette.current_user(request).id})

    async def other(request: Request) -> Response:
        rooms.ran.append("ran")
        return PlainTextResponse((await for_starlette.stored_user(request)).email)

    rooms.app.add_route("/one", public(for_starlette.require(live=True)(endpoint)))
    rooms.app.add_route("/two", for_starlette.require(live=True)(public(other)))
    install(rooms)
    device = await rooms.home.signed_in(app=rooms.home.auth.app)
    async with rooms.running():
        for path in ("/one", "/two"):
            assert (await rooms.ask("GET", path)).status == 401
            assert rooms.ran == []
        assert (await rooms.ask("GET", "/one", carried(device))).status == 200
        assert (await rooms.ask("GET", "/two", carried(device))).body == ADA.encode()


def test_require_refuses_a_function_that_would_run_before_it_is_checked() -> None:
    """A plain function would be called on the event loop and answer 500, its effects done."""
    with pytest.raises(SettingsError, match="async"):
        for_starlette.require(live=True)(lambda request: Response())  # type: ignore[arg-type, return-value]
