"""Our routes without a prefix, in the middle of an app's own: `/login` is ours, nothing else of it."""

from __future__ import annotations

import pytest
from fastapi import APIRouter, FastAPI

from tests.frameworks.rooms import Rooms, empty, install
from tests.http.devices import ADA, PASSWORD, Device
from watchword.errors import SettingsError

SETTINGS = {"mode": "hybrid", "prefix": "none", "pages": "off"}


both = pytest.mark.parametrize("framework", ["fastapi", "starlette"])


async def signed_in(made: Rooms) -> Device:
    device = made.home.device(app=made.app)
    assert (await device.post("/login", {"email": ADA, "password": PASSWORD})).status == 200
    return device


async def rooms(framework: str, *paths: str) -> Rooms:
    made = await empty(SETTINGS, fastapi=framework == "fastapi")
    for path in paths:
        made.app.add_route(path, made.plain(path))
    install(made)
    return made


@both
async def test_our_routes_stand_at_the_root_and_the_apps_stay_guarded(framework: str) -> None:
    """R43, R47: POST /login and /logout exist; attack 91: nothing of the app is taken for ours by its beginning."""
    made = await rooms(framework, "/profile", "/loginx", "/sessionsx", "/me2", "/health/own")
    async with made.running():
        for path in ("/profile", "/loginx", "/sessionsx", "/me2", "/health/own", "/", "/nowhere", "/login/x"):
            answer = await made.ask("GET", path)
            assert (answer.status, answer.code, made.ran) == (401, "invalid_token", []), path
        assert (await made.ask("GET", "/me")).code == "invalid_token"
        assert (await made.ask("GET", "/health/live")).status == 200
        assert (await made.ask("GET", "/login")).code == "method_not_allowed"
        device = await signed_in(made)
        answer = await device.get("/profile")
        assert (answer.status, made.ran) == (200, ["/profile"])
        assert (await device.get("/sessions")).json["sessions"][0]["current"] is True
        logged_out = await device.post("/logout")
        assert logged_out.json["message"] == "Logged out"
        assert (await device.get("/profile")).code == "session_ended"


@both
async def test_an_app_that_declares_one_of_our_paths_does_not_start(framework: str) -> None:
    """The guard would hand those requests to us, and nobody would ever see the app's own route."""
    made = await rooms(framework, "/me")
    with pytest.raises(SettingsError, match="prefix none: your app declares /me too"):
        async with made.running():
            pass


@pytest.mark.parametrize("path", ["/me", "/logout", "/sessions/{name}"])
async def test_a_route_of_an_included_router_that_nobody_would_see_stops_the_start_too(path: str) -> None:
    """DESIGN §6: refused at start, never while serving."""
    made = await empty(SETTINGS)
    router = APIRouter()
    router.get(path)(made.api(path))
    made.app.include_router(router)
    install(made)
    with pytest.raises(SettingsError, match="prefix none: your app declares"):
        async with made.running():
            pass


@both
async def test_what_lies_deeper_than_our_routes_is_the_apps(framework: str) -> None:
    """`/sessions/{sid}` is one segment."""
    made = await rooms(framework, "/sessions/report/today")
    async with made.running():
        device = await signed_in(made)
        assert (await device.get("/sessions/report/today")).status == 200
        assert made.ran == ["/sessions/report/today"]


async def test_fastapis_own_document_stays_the_apps_and_guarded() -> None:
    """DESIGN §7: documentation routes are the app's; ours is printed by `watchword openapi`."""
    made = await rooms("fastapi", "/profile")
    assert isinstance(made.app, FastAPI)
    async with made.running():
        assert (await made.ask("GET", "/openapi.json")).code == "invalid_token"
        device = await signed_in(made)
        assert (await device.get("/openapi.json")).json["info"]["title"] == made.app.title


async def test_without_an_app_around_our_own_document_is_there() -> None:
    """`watchword serve` with prefix none: nobody else answers there."""
    made = await rooms("starlette")
    async with made.running():
        assert "/login" in (await made.ask("GET", "/openapi.json")).json["paths"]
