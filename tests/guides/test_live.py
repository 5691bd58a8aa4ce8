"""The app of docs/guides/sockets.md, served by uvicorn, its sessions ended by another process."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.servers import EMAIL, Browser, free_port, prepared, watchword

ROOT = Path(__file__).parents[2]


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    port = free_port()
    return prepared(f"sqlite:///{tmp_path}/watchword.db", url=f"http://127.0.0.1:{port}")


@contextmanager
def app(env: dict[str, str]) -> Iterator[Browser]:
    """The guide's app, and somebody signed in to it."""
    browser = Browser(env["WATCHWORD_URL"])
    port = browser.url.rpartition(":")[2]
    served = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "tests.guides.live:app", f"--port={port}", "--log-level=warning"],
        env=env,
        cwd=ROOT,
    )
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                browser.send("GET", "/auth/health/ready")
                break
            except (OSError, HTTPException):
                assert served.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.02)
        browser.sign_in()
        yield browser
    finally:
        os.kill(served.pid, signal.SIGTERM)
        served.wait(15)


def socket(browser: Browser) -> ClientConnection:
    jar = "; ".join(f"{name}={value}" for name, value in browser.jar.items())
    return connect(
        browser.url.replace("http", "ws", 1) + "/echo",
        additional_headers={"Cookie": jar, "Origin": browser.url},
        proxy=None,
    )


def test_an_open_socket_closes_when_another_process_ends_its_session(env: dict[str, str]) -> None:
    """ASVS 7.4.1, attack 21: and that of another session of the same user does not."""
    with app(env) as browser:
        other = Browser(browser.url)
        other.sign_in()
        with socket(browser) as mine, socket(other) as theirs:
            mine.send("hello")
            assert mine.recv(timeout=5) == "hello"
            sessions = browser.send("GET", "/auth/sessions").body["sessions"]
            [sid] = [row["id"] for row in sessions if row["current"]]
            watchword("session", "revoke", sid, env=env)
            since = time.monotonic()
            with pytest.raises(ConnectionClosed):
                mine.recv(timeout=10)
            assert time.monotonic() - since < 2
            assert (mine.close_code, mine.close_reason) == (1008, "session_ended")
            theirs.send("still here")
            assert theirs.recv(timeout=5) == "still here"


def test_an_open_socket_closes_when_the_user_is_disabled_or_gets_other_roles(env: dict[str, str]) -> None:
    """ASVS 7.4.2, 8.3.2."""
    with app(env) as browser:
        with socket(browser) as before:
            watchword("user", "role", EMAIL, "owner", env=env)
            with pytest.raises(ConnectionClosed):
                before.recv(timeout=10)
            assert before.close_reason == "token_expired"
        browser.send("POST", "/auth/refresh")
        with socket(browser) as after:
            watchword("user", "disable", EMAIL, env=env)
            with pytest.raises(ConnectionClosed):
                after.recv(timeout=10)
            assert after.close_reason == "session_ended"


def test_a_stream_ends_with_its_session(env: dict[str, str]) -> None:
    with app(env) as browser:
        connection = HTTPConnection(browser.url.removeprefix("http://"), timeout=10)
        jar = "; ".join(f"{name}={value}" for name, value in browser.jar.items())
        connection.request("GET", "/ticks", headers={"Cookie": jar})
        stream = connection.getresponse()
        assert stream.readline() == b"data: tick\n"
        assert browser.send("POST", "/auth/logout").status == 200
        assert stream.read().endswith(b"event: end\ndata: session_ended\n\n")
        connection.close()


def test_the_guide_shows_the_app_that_is_tested() -> None:
    guide = (ROOT / "docs/guides/sockets.md").read_text(encoding="utf-8")
    assert f"```python\n{(ROOT / 'tests/guides/live.py').read_text(encoding='utf-8')}```" in guide
