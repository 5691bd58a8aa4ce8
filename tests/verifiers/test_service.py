"""The service of docs/guides/keys.md, as a process of its own beside a running Watchword."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

import pytest

from tests.nodes import NO_PROXY
from tests.proxies import proxying
from tests.servers import EMAIL, PASSWORD, Browser, free_port, prepared, serving, watchword

ROOT = Path(__file__).parents[2]
FEED_TOKEN = "Zr6Q2vNn0gJt7yKc4mXbW9pLhD3sAe1u"


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    url = f"sqlite:///{tmp_path}/watchword.db"
    return prepared(url, mode="bearer", algorithm="ES256", feed_token=FEED_TOKEN)


@contextmanager
def service(issuer: str, program: str, *options: str) -> Iterator[str]:
    """The address of the guide's program, which asks `issuer`."""
    port = free_port()
    env = {
        "ISSUER": issuer,
        "ALGORITHM": "ES256",
        "FEED_TOKEN": FEED_TOKEN,
        "NO_PROXY": NO_PROXY,
        "no_proxy": NO_PROXY,
    }
    served = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", program, f"--port={port}", "--log-level=warning", *options],
        env=os.environ | env,
        cwd=ROOT,
    )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        os.kill(served.pid, signal.SIGTERM)
        served.wait(15)


def asked(address: str, token: str) -> tuple[int, str]:
    """Status and detail."""
    request = Request(f"{address}/whoami", headers={"Authorization": f"Bearer {token}"})
    try:
        with build_opener(ProxyHandler({})).open(request, timeout=10) as answer:
            return answer.status, json.load(answer)["id"]
    except HTTPError as error:
        with error:
            return error.code, json.load(error)["detail"]
    except OSError:
        return 0, "not there yet"


def until(address: str, token: str, status: int, *, seconds: float) -> str:
    """The detail of the first answer of this status; fails unless it comes soon enough."""
    began = time.monotonic()
    while (answer := asked(address, token))[0] != status:
        assert time.monotonic() - began < seconds, answer
    return answer[1]


def token_of(browser: Browser) -> str:
    answer = browser.send("POST", "/auth/login", {"email": EMAIL, "password": PASSWORD})
    token = answer.body["access_token"]
    assert isinstance(token, str)
    return token


def test_another_service_refuses_who_signed_out_and_who_got_other_roles(env: dict[str, str]) -> None:
    """R48, ASVS 7.4.1, 8.3.2, 8.3.3: it verifies by the published keys, and hears of it by the feed."""
    with serving(env) as server, service(server.url, "tests.verifiers.service:app") as elsewhere:
        browser = Browser(server.url)
        first, second = token_of(browser), token_of(browser)
        assert until(elsewhere, first, 200, seconds=20) == until(elsewhere, second, 200, seconds=5)
        bearer = {"Authorization": f"Bearer {first}"}
        assert browser.send("POST", "/auth/logout", **bearer).status == 200
        assert until(elsewhere, first, 401, seconds=3) == "session_ended"
        assert asked(elsewhere, second)[0] == 200
        watchword("user", "role", EMAIL, "owner", env=env)
        assert until(elsewhere, second, 401, seconds=4) == "token_expired"
        assert asked(elsewhere, "no.token.at-all") == (401, "invalid_token")


def test_it_passes_nothing_once_it_hears_nothing(env: dict[str, str], tmp_path: Path) -> None:
    """I6: the address of the Watchword is a proxy's, which begins to swallow what it is sent. Here it believes what it
    heard for 2 seconds, not 20."""
    program = (ROOT / "tests/verifiers/service.py").read_text(encoding="utf-8")
    impatient = program.replace("BELIEVED_SECONDS = 20", "BELIEVED_SECONDS = 2").replace("wait=5", "wait=1")
    (tmp_path / "impatient.py").write_text(impatient, encoding="utf-8")
    port = free_port()
    with ExitStack() as stack:
        proxy, issuer = stack.enter_context(proxying(f"http://127.0.0.1:{port}", port))
        server = stack.enter_context(serving(env, origin=issuer, port=port))
        token = token_of(Browser(server.address))
        elsewhere = stack.enter_context(service(issuer, "impatient:app", f"--app-dir={tmp_path}"))
        until(elsewhere, token, 200, seconds=20)
        proxy.swallow()
        assert until(elsewhere, token, 503, seconds=5) == "unavailable"
        proxy.mend()
        until(elsewhere, token, 200, seconds=15)


def test_the_guide_shows_the_service_that_is_tested() -> None:
    guide = (ROOT / "docs/guides/keys.md").read_text(encoding="utf-8")
    assert f"```py\n{(ROOT / 'tests/verifiers/service.py').read_text(encoding='utf-8')}```" in guide
