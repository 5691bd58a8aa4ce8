"""The admin listener of a real `watchword serve` with two workers, over HTTP: what it shows, what it does not, and what
is left of a worker that was killed."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.drivers.test_metrics import Numbers, numbers
from tests.servers import EMAIL, PASSWORD, Browser, Server, free_port, prepared, serving
from watchword import meters

SIGNED_IN = meters.LOGINS.name, "signed_in", "password"
ANSWERING, SILENT = (meters.WORKERS.name, "answering"), (meters.WORKERS.name, "silent")


@dataclass
class Watched:
    """A server and its admin listener."""

    server: Server
    admin: Browser

    def scrape(self) -> Numbers:
        answer = self.admin.send("GET", "/metrics")
        assert answer.status == 200
        return numbers(answer.body.encode())

    def status(self, path: str) -> int:
        return self.admin.send("GET", path).status

    def workers(self) -> set[int]:
        """The processes that serve, as Linux tells of their parent's children."""
        assert self.server.process is not None
        parent = self.server.process.pid
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        return {int(pid) for pid in children if b"spawn_main" in command_of(pid)}


def command_of(pid: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def until(true: Callable[[], bool], *, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture(scope="module")
def inhabited(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Mapping[str, str]]:
    """A database with one user, to be copied, and the environment that it was made in."""
    path = tmp_path_factory.mktemp("inhabited") / "watchword.db"
    return path, prepared(f"sqlite:///{path}", mode="bearer")


@contextmanager
def watching(folder: Path, inhabited: tuple[Path, Mapping[str, str]], *, workers: int) -> Iterator[Watched]:
    """A server over a copy of that database, all of whose workers report."""
    path, env = inhabited
    copy = shutil.copy(path, folder / "watchword.db")
    address = f"127.0.0.1:{free_port()}"
    env = {**env, "WATCHWORD_DATABASE_URL": f"sqlite:///{copy}", "WATCHWORD_ADMIN_BIND": address}
    with serving(env, workers=workers) as server:
        found = Watched(server, Browser(f"http://{address}"))
        until(lambda: found.scrape()[ANSWERING] == workers)
        yield found


@pytest.fixture(scope="module")
def watched(
    tmp_path_factory: pytest.TempPathFactory, inhabited: tuple[Path, Mapping[str, str]]
) -> Iterator[Watched]:
    with watching(tmp_path_factory.mktemp("watched"), inhabited, workers=2) as found:
        yield found


def test_a_scrape_is_the_sum_of_all_workers_and_a_killed_one_leaves_no_lies(watched: Watched) -> None:
    """ASVS 13.4.5; F1: whichever of the workers took a request, it is counted once, for good; what was going on in the
    one that is gone is not told as if it still were."""
    browser = Browser(watched.server.url)
    before = watched.scrape()
    for _ in range(6):
        browser.sign_in()
        browser.jar.clear()
    wanted = before[SIGNED_IN] + 6 if SIGNED_IN in before else 6
    known = watched.scrape()
    assert known[SIGNED_IN] == wanted
    assert known[meters.REQUESTS.name, "/auth/login", "2xx"] == wanted
    assert known[meters.EVENTS.name, "signed_in"] == wanted

    pids = watched.workers()
    killed = min(pids)
    os.kill(killed, signal.SIGKILL)
    until(lambda: len(watched.workers() - {killed}) == 2)
    until(lambda: (now := watched.scrape())[ANSWERING] == 2 and now[SILENT] == 0)
    after = watched.scrape()
    assert after[SIGNED_IN] == wanted
    assert after[meters.HASH_RUNNING.name,] == after[meters.HASH_WAITING.name,] == 0
    assert watched.workers() != pids

    browser.sign_in()
    assert watched.scrape()[SIGNED_IN] == wanted + 1


def test_a_worker_that_is_stopped_is_silent_and_its_feed_grows_older(watched: Watched) -> None:
    """F11. Stopped for less than the watchdog's patience, or replaced by it: both end well."""
    until(lambda: watched.scrape()[ANSWERING] == 2)
    pid = min(watched.workers())
    os.kill(pid, signal.SIGSTOP)
    try:
        known = watched.scrape()
        if known[SILENT]:  # else the watchdog has replaced it by now
            assert known[SILENT] == known[ANSWERING] == 1
            assert known[meters.FEED_AGE.name,] >= 2
    finally:
        try:
            os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            pass
    until(lambda: watched.scrape()[ANSWERING] == 2)


def test_health_is_there_and_on_the_public_address_too(watched: Watched) -> None:
    """DESIGN §5."""
    for path in ("/health/live", "/health/ready", "/auth/health/live", "/auth/health/ready"):
        answer = watched.admin.send("GET", path)
        assert (answer.status, answer.body) == (200, {"status": "ok"})
    public = Browser(watched.server.url)
    assert public.send("GET", "/auth/health/ready").status == 200


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/auth/", "/auth/login", "/auth/me", "/auth/refresh", "/auth/openapi.json", "/auth/errors"),
        *(
            "/auth/metrics",
            "/metrics/",
            "/.well-known/jwks.json",
            "/auth/revocations",
            "/health",
            "/../metrics",
        ),
    ],
)
def test_it_has_none_of_our_other_routes(watched: Watched, path: str) -> None:
    """ASVS 8.4.2, 13.4.5."""
    assert watched.status(path) == 404
    login = {"email": EMAIL, "password": PASSWORD}
    assert watched.admin.send("POST", path, login).status == 404


def test_it_only_reads(watched: Watched) -> None:
    answer = watched.admin.send("POST", "/metrics")
    assert (answer.status, answer.code) == (405, "method_not_allowed")
    assert dict(answer.headers)["allow"] == "GET, HEAD"
    assert watched.admin.send("HEAD", "/metrics").body == ""


@pytest.mark.parametrize("path", ["/metrics", "/auth/metrics", "/health/live"])
def test_the_public_address_shows_no_numbers_to_anybody(watched: Watched, path: str) -> None:
    """ASVS 13.4.2, 13.4.5."""
    public = Browser(watched.server.url)
    assert public.send("GET", path).status in (401, 404)
    token = public.sign_in().body["access_token"]
    answer = public.send("GET", path, Authorization=f"Bearer {token}")
    assert answer.status == 404
    assert "watchword_" not in str(answer.body)


def test_answers_are_not_kept_name_no_server_and_load_nothing(watched: Watched) -> None:
    """ASVS 3.2.1, 13.4.6, 14.3.2."""
    headers = {name.lower(): value for name, value in watched.admin.send("GET", "/metrics").headers}
    assert headers["cache-control"] == "no-store"
    assert headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert headers["x-content-type-options"] == "nosniff"
    assert "server" not in headers


def test_nothing_that_somebody_sent_is_in_a_scrape(watched: Watched) -> None:
    """Attack 96."""
    browser = Browser(watched.server.url)
    answer = browser.sign_in()
    browser.send(
        "POST", "/auth/login", {"email": "canary@example.com", "password": "canary"}, **{"X-A": "canary"}
    )
    browser.send("GET", "/auth/canary?canary")
    browser.send("DELETE", f"/auth/sessions/{answer.body['session']['id']}")
    told = watched.admin.send("GET", "/metrics").body
    body = answer.body
    secrets = (body["access_token"], body["refresh_token"], body["session"]["id"], body["user"]["id"])
    for secret in ("canary", EMAIL, PASSWORD, watched.server.env["WATCHWORD_SECRET"], "127.0.0.1", *secrets):
        assert secret not in told


def test_one_worker_is_watched_as_well(tmp_path: Path, inhabited: tuple[Path, Mapping[str, str]]) -> None:
    """In the process of the listener itself."""
    with watching(tmp_path, inhabited, workers=1) as found:
        Browser(found.server.url).sign_in()
        assert found.scrape()[SIGNED_IN] == 1
        assert found.status("/health/ready") == 200
