"""The browser client's story in every mode, told in Node to a running `watchword serve`, with codes by mail."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.nodes import run_node
from tests.seeds.mailbox import receiving
from tests.servers import EMAIL, PASSWORD, prepared, serving

MODES = ("cookies", "hybrid", "bearer", "jwt_cookie", "session")
SECONDS = 3
"""Several access tokens."""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What Node says of each mode, which its client asks for: the server offers all of them."""
    folder = tmp_path_factory.mktemp("client")
    with receiving(folder / "mail") as (mailbox, smtp_url):
        env = prepared(
            f"sqlite:///{folder}/watchword.db",
            mode=",".join(MODES),
            access_ttl="1s",
            rotation_window="5s",
            two_factor="required",
            smtp_url=smtp_url,
        )
        with serving(env) as server:
            house = {"url": server.url, "email": EMAIL, "password": PASSWORD, "seconds": SECONDS}
            said = run_node(
                "client_story.mjs",
                stdin={"houses": [{**house, "mode": mode} for mode in MODES], "mailbox": str(mailbox.folder)},
                seconds=180,
            )
            yield dict(zip(MODES, said, strict=True))


@pytest.mark.parametrize("mode", MODES)
def test_the_client_tells_the_story(told: dict[str, Any], mode: str) -> None:
    """R24, R28, R29, R43, R47, R48, W1, W2, attack 48: told wrong, signed in by password and code, renewed unnoticed,
    loaded again, signed out here and in another tab."""
    assert "fault" not in told[mode], told[mode]["fault"]
