"""The app of docs/guides/sync.md on a threading WSGI server, its users signed in and out by another process."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers import EMAIL, Browser, Server, free_port, prepared, serving

ROOT = Path(__file__).parents[2]
TRIALS = 3


@contextmanager
def pair(tmp_path: Path) -> Iterator[tuple[Server, str, "subprocess.Popen[bytes]"]]:
    """`watchword serve`, and the address of the app beside it."""
    env = prepared(f"sqlite:///{tmp_path}/watchword.db")
    with serving(env) as server:
        port = free_port()
        beside = subprocess.Popen(
            [sys.executable, "-m", "tests.guides.sync_server", str(port)],
            env=env | {"WATCHWORD_URL": server.url},
            cwd=ROOT,
        )
        address = f"http://127.0.0.1:{port}"
        try:
            deadline = time.monotonic() + 60
            while True:
                try:
                    Browser(address).send("GET", "/profile")
                    break
                except OSError:
                    assert beside.poll() is None
                    assert time.monotonic() < deadline
                    time.sleep(0.02)
            yield server, address, beside
        finally:
            beside.kill()
            beside.wait()


def test_a_wsgi_app_hears_of_revocations_as_any_other_does(tmp_path: Path) -> None:
    """DESIGN §4.3; ASVS 7.4.1, R33: within a second, in threads that know no event loop."""
    with pair(tmp_path) as (server, address, beside):
        stranger = Browser(server.url).send("GET", "/profile", to=address)
        assert (stranger.status, stranger.code) == (401, "invalid_token")
        assert dict(stranger.headers)["content-type"] == "application/problem+json"
        took = []
        for _ in range(TRIALS):
            browser = Browser(server.url)
            browser.sign_in()
            assert browser.send("GET", "/profile", to=address).status == 200
            assert browser.send("GET", "/address", to=address).body == {"email": EMAIL}
            assert browser.send("GET", "/nowhere", to=address).status == 404
            stolen = Browser(server.url, dict(browser.jar))
            assert browser.send("POST", "/auth/logout").status == 200
            since = time.monotonic()
            while (answer := stolen.send("GET", "/profile", to=address)).status == 200:
                assert time.monotonic() - since < 5
            took.append(time.monotonic() - since)
            assert (answer.status, answer.code) == (401, "session_ended")
        assert min(took) < 1.0
        beside.send_signal(signal.SIGTERM)
        assert beside.wait(30) == 0


def test_the_guide_shows_the_app_that_is_tested() -> None:
    page = (ROOT / "docs/guides/sync.md").read_text(encoding="utf-8")
    shown = page.partition("```python\n")[2].partition("```\n")[0]
    assert shown == (Path(__file__).parent / "sync_app.py").read_text(encoding="utf-8")
