"""`watchword routes` and `watchword openapi`."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.programs import refusal, run, spoken

FASTAPI = """
from fastapi import APIRouter, FastAPI
from watchword.fastapi import install, public
from watchword.testing import make_auth

app = FastAPI()
install(app, make_auth(), public=["/declared"])
inner = APIRouter(prefix="/inner")

@app.get("/open")
@public
async def opened(): ...

@app.get("/declared")
async def declared(): ...

@app.post("/closed")
async def closed(): ...

@inner.get("/closed")
async def below(): ...

app.include_router(inner)
"""
STARLETTE = """
from starlette.applications import Starlette
from starlette.routing import Mount, Route
from watchword.starlette import install
from watchword.testing import make_auth

async def home(request): ...
async def asset(scope, receive, send): ...

class Space:
    app = Starlette(routes=[Route("/", home), Mount("/static", asset), Mount("/private", asset)])

install(Space.app, make_auth(), public=["/static"])
"""


@pytest.fixture
def write(tmp_path: Path) -> Iterator[Callable[[str], None]]:
    """Writes the module `somebodys` into the working directory."""

    def written(text: str) -> None:
        (tmp_path / "somebodys.py").write_text(text)

    path = list(sys.path)
    yield written
    sys.path[:] = path
    sys.modules.pop("somebodys", None)


def openness(text: str) -> dict[str, bool]:
    return {entry["path"]: entry["public"] for entry in json.loads(text)}


def test_the_routes_of_a_fastapi_app_are_told_open_or_guarded(write: Callable[[str], None]) -> None:
    """R42, ASVS 8.1.1."""
    write(FASTAPI)
    found = openness(spoken(run("routes", "somebodys:app", "--json")))
    expected = {
        "/open": True,
        "/declared": True,
        "/closed": False,
        "/inner/closed": False,
        "/docs": False,
        "/openapi.json": False,
    }
    assert {path: found[path] for path in expected} == expected


def test_the_routes_of_a_starlette_app_are_told_open_or_guarded(write: Callable[[str], None]) -> None:
    write(STARLETTE)
    found = openness(spoken(run("routes", "somebodys:Space.app", "--json")))
    assert found == {"/auth": True, "/": False, "/static": True, "/private": False}


def test_without_a_prefix_our_routes_are_told_one_by_one_and_the_apps_front_door_stays_the_apps(
    write: Callable[[str], None],
) -> None:
    write(STARLETTE.replace("make_auth()", "make_auth(prefix='none', pages='off')"))
    found = openness(spoken(run("routes", "somebodys:Space.app", "--json")))
    expected = {"/": False, "/login": True, "/sessions/{sid}": True, "/private": False}
    assert {path: found[path] for path in expected} == expected


def test_routes_are_shown_to_people_line_by_line(write: Callable[[str], None]) -> None:
    write(FASTAPI)
    lines = [line.split() for line in spoken(run("routes", "somebodys:app")).splitlines()]
    assert ["guarded", "POST", "/closed", "closed"] in lines
    assert ["public", "GET", "/declared", "declared"] in lines


@pytest.mark.parametrize(
    ("text", "name", "reason"),
    [
        ("", "nobodys:app", "ModuleNotFoundError"),
        ("", "somebodys:app", "AttributeError"),
        ("raise ValueError('two\\nlines')", "somebodys:app", "ValueError: two lines"),
        ("from watchword import Watchword\nWatchword()", "somebodys:app", "WATCHWORD_SECRET is missing"),
        ("app = 7", "somebodys:app", "no FastAPI or Starlette app"),
        ("from fastapi import FastAPI\napp = FastAPI()", "somebodys:app", "install(app, auth)"),
    ],
)
def test_an_app_that_cannot_be_told_about_is_one_line(
    write: Callable[[str], None], text: str, name: str, reason: str
) -> None:
    write(text)
    assert reason in refusal(run("routes", name))


@pytest.mark.parametrize("name", ["somebodys", "somebodys:", ":app"])
def test_a_name_that_is_none_is_wrong_usage(name: str) -> None:
    assert run("routes", name).exit_code == 2


def test_openapi_describes_our_routes_without_a_database(tmp_path: Path) -> None:
    document = json.loads(spoken(run("openapi", database_url=f"sqlite:///{tmp_path}/none.db")))
    assert document["openapi"].startswith("3.")
    assert {"/auth/login", "/auth/refresh", "/auth/logout", "/auth/me"} <= set(document["paths"])
    assert list(tmp_path.iterdir()) == []


def test_openapi_follows_the_prefix() -> None:
    assert "/id/login" in json.loads(spoken(run("openapi", prefix="/id")))["paths"]


def test_openapi_without_a_prefix() -> None:
    document = json.loads(spoken(run("openapi", prefix="none", pages="off")))
    assert {"/login", "/refresh", "/me", "/.well-known/jwks.json"} <= set(document["paths"])
