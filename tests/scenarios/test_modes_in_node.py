"""The story of every mode, told by a client in Node to a running `watchword serve`."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.nodes import run_node
from tests.servers import EMAIL, PASSWORD, Server, prepared

SHORT = {"access_ttl": "1s", "rotation_window": "5s"}
SECONDS = 13
"""Two access tokens and the leeway of each, where nothing but their end makes a client renew."""
MODES: dict[str, dict[str, str]] = {
    "cookies": SHORT,
    "hybrid": SHORT,
    "bearer": SHORT,
    "jwt_cookie": SHORT,
    "session": {"access_ttl": "1s", "refresh_ttl": "6s", "rotation_window": "1s"},
    # The refresh cookie goes to few paths, and a CSRF token must be given for it all the same.
    "hybrid, csrf token": SHORT | {"csrf": "token", "refresh_cookie_path": "/auth/refresh"},
}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What Node says of each mode. The servers share a database, so that it is prepared once."""
    env = prepared(f"sqlite:///{tmp_path_factory.mktemp('modes')}/watchword.db")
    houses = []
    with ExitStack() as running:
        for name, settings in MODES.items():
            mode = name.partition(",")[0]
            named = {f"WATCHWORD_{key.upper()}": value for key, value in {"mode": mode, **settings}.items()}
            server = Server({**env, **named})
            server.launch()
            running.callback(server.stop)
            house = {
                "url": server.url,
                "mode": mode,
                "email": EMAIL,
                "password": PASSWORD,
                "seconds": SECONDS,
            }
            houses.append((server, house | {"csrf": "csrf" in settings}))
        for server, _ in houses:
            server.await_ready()
        said = run_node("modes.mjs", stdin=[house for _, house in houses])
        yield dict(zip(MODES, said, strict=True))


@pytest.mark.parametrize("name", MODES)
def test_node_tells_the_story(told: dict[str, Any], name: str) -> None:
    """R1–R8, R12–R29, R34–R43, R45–R47, W2, W7."""
    assert "fault" not in told[name], told[name]["fault"]
