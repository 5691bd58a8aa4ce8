"""Any path, any method, any host: nobody ever gets an answer from a route that is not public."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.frameworks.rooms import SOCKET, Rooms, furnished
from tests.http.asgi import Answer

# Words that routes of the app are made of, and what lies between them in all kinds of trickery.
PIECES = st.sampled_from(
    [
        *(
            "profile",
            "open",
            "a",
            "b",
            "inner",
            "again",
            "team",
            "open-team",
            "team-mount",
            "open-team-mount",
        ),
        *("static", "open-mount", "secret.txt", "auth", "me", "login", "sub", "x", "docs", "ui", "7", "acme"),
        *("..", ".", "", "%2e%2e", "%2f", "%5c", "\\", "*", "~", ";a=b", "%00", "\u2024", "%c0%ae", ".css"),
        *("openapi.json", ".well-known", "jwks.json", "team-static", "starlette", "class", "socket"),
    ]
)
PATHS = st.one_of(
    st.lists(PIECES, max_size=6).map(lambda pieces: "/" + "/".join(pieces)),
    st.lists(PIECES, max_size=5).map("".join),
    st.text(alphabet=st.characters(codec="utf-8", exclude_characters="?#"), max_size=30).map(
        lambda t: "/" + t
    ),
)
METHODS = st.sampled_from(["GET", "GET", "POST", "HEAD", "OPTIONS", "DELETE", "TRACE", SOCKET])
HOSTS = st.sampled_from(["testserver", "admin.example.com", "acme.tenants.example.com", "open", ""])
ROOTS = st.sampled_from(["", "", "/a", "/open", "/auth", "/au", "/"])


@pytest.mark.parametrize("framework", ["fastapi", "starlette"])
def test_nobody_gets_an_answer_of_a_private_route_by_any_path(framework: str, tmp_path: Path) -> None:
    """ASVS 8.3.1: endpoints remember that they ran; no 2xx or redirect comes from anything but a public one."""
    rooms: Rooms = anyio.run(furnished, framework, tmp_path / "web")

    async def ask(method: str, path: str, **options: Any) -> Answer:
        return await rooms.ask(method, path, **options)

    @settings(max_examples=400, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
    @given(METHODS, PATHS, HOSTS, ROOTS)
    @example("GET", "/open/../profile", "testserver", "")
    @example("GET", "/a/open-team/../team", "testserver", "/a")
    def never(method: str, path: str, host: str, root: str) -> None:
        rooms.ran.clear()
        root = root if method != SOCKET else ""
        options = {"root_path": root} if root else {}
        step = ask(method, path, host=host, **options)
        try:
            step.send(None)
        except StopIteration as done:
            answer: Answer = done.value
        else:
            raise AssertionError("nothing here waits for anything")
        assert set(rooms.ran) <= {"open"}
        ours = "/auth" in path or ".well-known" in path
        if answer.status < 400 and not ours:
            assert rooms.ran == ["open"], (answer.status, answer.body)
        assert b"file" not in answer.body

    never()
