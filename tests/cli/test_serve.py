"""`watchword serve`: what it refuses before it listens, and real processes that answer, stop and notice."""

import json
import os
import secrets
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from tests.cli.programs import PASSWORD, Program, Run, program, refusal, run, spoken
from tests.servers import Answer, Browser, environment
from watchword.cli import listen
from watchword.cli.serve import exposure
from watchword.drivers.hasher import available_cores
from watchword.settings import Settings

SECRET = secrets.token_urlsafe(48)
NOWHERE = "/nowhere"
"""A path that only the guard decides about, with no look at the database: 404 for the signed-in, 401 for all else."""


@dataclass
class Tab(Browser):
    """A browser of the site `url`, which listens at `address` behind nothing."""

    address: str = ""

    def send(
        self, method: str, path: str, body: Any = None, *, to: str | None = None, **headers: str
    ) -> Answer:
        return super().send(method, path, body, to=to or self.address, **headers)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """How uvicorn would have been started, instead of starting it."""
    made: list[dict[str, Any]] = []

    def told(factory: str, listener: socket.socket, **options: Any) -> None:
        made.append({"factory": factory, "address": listener.getsockname(), **options})
        listener.close()

    monkeypatch.setattr(listen, "run", told)
    return made


@contextmanager
def serving(tmp_path: Path, *words: str, port: int = 0, **settings: str) -> Iterator[tuple[Program, Tab]]:
    """A server over the file that the fixture `verb` made, and a browser for it."""
    origin = "http://127.0.0.1:8000"
    env = environment(f"sqlite:///{tmp_path}/watchword.db", url=origin, **({"secret": SECRET} | settings))
    with program("serve", f"--port={port}", *words, env=env, cwd=tmp_path) as server:
        line = server.said_until("serving").splitlines()[-1]
        yield server, Tab(origin, address=line.split(" on ")[1].partition(",")[0])


@contextmanager
def connected(tab: Tab) -> Iterator[HTTPConnection]:
    with closing(HTTPConnection(tab.address.removeprefix("http://"), timeout=10)) as connection:
        yield connection


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"secret": ""}, "WATCHWORD_SECRET is missing: `watchword secret` makes one"),
        ({"secret": "short"}, "secret has 5 characters, 32 are needed: `watchword secret` makes one"),
        ({"secret": "a" * 64}, "secret has too few different characters: `watchword secret` makes one"),
        (
            {"secret": "change-me-before-production-0123456789"},
            "WATCHWORD_SECRET looks like a placeholder: `watchword secret` makes one",
        ),
        (
            {"url": "http://app.example.com"},
            "WATCHWORD_URL is http://app.example.com: outside this machine it must be https",
        ),
        ({"database_url": "memory:"}, "a memory store forgets everybody; use sqlite:/// or postgresql://"),
        ({"database_url": "sqlite:///none.db"}, "needs `watchword migrate`."),
        ({"database_url": "postgresql://nobody:canary@127.0.0.1:1/none"}, "The database does not answer: "),
        ({"acess_ttl": "15m"}, "is not a setting; did you mean WATCHWORD_ACCESS_TTL?"),
    ],
)
def test_what_is_not_fit_for_production_is_refused_in_one_line(
    verb: Run, calls: list[dict[str, Any]], settings: dict[str, str], reason: str
) -> None:
    """ASVS 6.3.2, 13.3.1; W13: no placeholder secrets."""
    line = refusal(verb("serve", **({"secret": SECRET} | settings)))
    assert reason in line
    assert "canary" not in line
    assert calls == []


def test_a_stale_schema_is_refused_in_one_line(verb: Run, calls: list[Any], tmp_path: Path) -> None:
    """F18."""
    with closing(sqlite3.connect(tmp_path / "watchword.db")) as connection, connection:
        connection.execute("UPDATE ww_schema_version SET version_num = '0000'")
    assert "watchword migrate" in refusal(verb("serve", secret=SECRET))
    assert calls == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_taken_port_is_refused_in_one_line(verb: Run, calls: list[Any], host: str) -> None:
    with listen.bind(host, 0) as holder:
        port = holder.getsockname()[1]
        line = refusal(verb("serve", "--host", host, "--port", str(port), secret=SECRET))
    assert line == f"port {port} on {host} is taken: stop what listens there, or choose another with --port"
    assert calls == []


@pytest.mark.parametrize("host", ["nowhere.invalid", "203.0.113.1", "not a host"])
def test_an_address_of_another_machine_is_refused_in_one_line(verb: Run, calls: list[Any], host: str) -> None:
    assert host in refusal(verb("serve", "--host", host, "--port", "0", secret=SECRET))
    assert calls == []


@pytest.mark.parametrize("words", [["--port=70000"], ["--port=x"], ["--workers=0"], ["--wrokers=2"], ["x"]])
def test_what_is_no_option_is_wrong_usage(verb: Run, calls: list[Any], words: list[str]) -> None:
    assert verb("serve", *words, secret=SECRET).exit_code == 2
    assert calls == []


def test_workers_share_the_cores_for_hashing(verb: Run, calls: list[dict[str, Any]]) -> None:
    """ASVS 15.2.2."""
    spoken(verb("serve", "--port=0", "--workers=2", secret=SECRET, smtp_url="smtp://127.0.0.1"))
    assert (calls[0]["workers"], calls[0]["factory"]) == (2, "watchword.server.app:create_app")
    assert os.environ["WATCHWORD_HASH_THREADS"] == str(max(1, available_cores() // 2))


def test_the_number_of_hashing_threads_can_be_set(
    verb: Run, calls: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHWORD_HASH_THREADS", "7")
    spoken(verb("serve", "--port=0", "--workers=2", secret=SECRET, smtp_url="smtp://127.0.0.1"))
    assert os.environ["WATCHWORD_HASH_THREADS"] == "7"


@pytest.mark.parametrize(
    ("texts", "host", "words"),
    [
        ({}, "127.0.0.1", None),
        ({}, "::1", None),
        ({}, "localhost", None),
        ({}, "0.0.0.0", "WATCHWORD_URL"),
        ({"url": "https://app.example.com"}, "127.0.0.1", "WATCHWORD_TRUSTED_PROXIES"),
        ({"url": "https://app.example.com", "trusted_proxies": "10.0.0.0/8"}, "0.0.0.0", None),
    ],
)
def test_what_works_and_is_hardly_wanted_is_said(texts: dict[str, str], host: str, words: str | None) -> None:
    """ASVS 4.1.3."""
    said = exposure(Settings.parse(texts), host)
    assert [words in line for line in said if words] == ([True] if words else [])


def test_such_advice_stops_nobody(verb: Run, calls: list[Any]) -> None:
    done = verb("serve", "--port=0", secret=SECRET, url="https://app.example.com")
    proxy, mail = done.stderr.splitlines()
    assert "WATCHWORD_TRUSTED_PROXIES" in proxy
    assert "smtp_url is not set" in mail
    assert (done.exit_code, len(calls)) == (0, 1)


def test_a_signal_stops_a_server_with_connections_that_idle(verb: Run, tmp_path: Path) -> None:
    """F16; ASVS 13.4.6: the server does not name itself."""
    with serving(tmp_path) as (server, tab):
        ready = tab.send("GET", "/auth/health/ready")
        names = {name.lower() for name, _ in ready.headers}
        assert (ready.status, "server" in names, "date" in names) == (200, False, True)
        with connected(tab) as idle:
            idle.request("GET", "/auth/health/live")
            assert idle.getresponse().read()
            assert server.stop(signal.SIGINT) == 0
        assert "Traceback" not in server.complaints()


def test_a_request_under_way_is_answered_before_the_stop(verb: Run, tmp_path: Path) -> None:
    """F16."""
    body = json.dumps({"email": "ada@example.com", "password": PASSWORD}).encode()
    with serving(tmp_path) as (server, tab), connected(tab) as connection:
        connection.putrequest("POST", "/auth/login")
        connection.putheader("Origin", tab.url)
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body[:5])
        time.sleep(0.3)  # until the server has seen it
        server.process.terminate()
        time.sleep(0.3)
        connection.send(body[5:])
        answer = connection.getresponse()
        assert (answer.status, json.loads(answer.read())["user"]["username"]) == (200, "ada")
        assert server.process.wait(10) == 0


def test_two_workers_answer_and_stop_gracefully(verb: Run, tmp_path: Path) -> None:
    """F16, on several processes over one socket and one file."""
    with serving(tmp_path, "--workers=2") as (server, tab):
        assert tab.send("GET", "/auth/me").status == 401
        tab.sign_in()
        assert [tab.send("GET", "/auth/me").status for _ in range(20)] == [200] * 20
        assert server.stop() == 0
        assert "Traceback" not in server.complaints()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, inhabited: Path) -> Iterator[tuple[Tab, str]]:
    """One server for all that do not stop it, and the URL of its database."""
    folder = tmp_path_factory.mktemp("served")
    shutil.copy(inhabited, folder / "watchword.db")
    with serving(folder) as (_, tab):
        yield tab, f"sqlite:///{folder}/watchword.db"


def test_the_port_of_a_running_server_is_taken(served: tuple[Tab, str]) -> None:
    tab, database_url = served
    port = tab.address.rpartition(":")[2]
    refused = run("serve", "--port", port, secret=SECRET, database_url=database_url)
    assert refusal(refused).startswith(f"port {port} on 127.0.0.1 is taken")


def test_a_refusal_is_one_line_and_exit_code_1_for_a_process_too(tmp_path: Path) -> None:
    env = environment("sqlite:///none.db", secret="short")
    done = subprocess.run(
        [sys.executable, "-m", "watchword", "serve"], env=env, cwd=tmp_path, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["session", "revoke", "--user", "EMAIL", "--yes"], "session_ended"),
        (["session", "revoke", "SID"], "session_ended"),
        (["user", "disable", "EMAIL"], "session_ended"),
        (["user", "password", "EMAIL", "--password-stdin"], "session_ended"),
        (["user", "delete", "EMAIL", "--yes"], "session_ended"),
        (["user", "role", "EMAIL", "--clear"], "token_expired"),
    ],
    ids=lambda value: "-".join(value[:3]) if isinstance(value, list) else None,
)
def test_what_a_verb_ends_a_running_server_refuses_within_a_second(
    served: tuple[Tab, str], words: list[str], code: str
) -> None:
    """ASVS 7.4.1, 7.4.2, 7.4.3, 7.4.5, 8.3.2: the verb writes it into the table, the feed carries it on."""
    tab, database_url = served
    tab.jar.clear()
    email = f"{secrets.token_hex(4)}@example.com"
    create = ("user", "create", email, "--role=owner", "--password-stdin")
    spoken(run(*create, stdin=PASSWORD, database_url=database_url))
    sid = tab.sign_in(email).body["session"]["id"]
    assert tab.send("GET", NOWHERE).status == 404

    names = {"SID": sid, "EMAIL": email}
    spoken(run(*(names.get(word, word) for word in words), stdin=PASSWORD + "!", database_url=database_url))
    since = time.monotonic()
    while (answer := tab.send("GET", NOWHERE)).status == 404:
        assert time.monotonic() - since < 1
    assert (answer.status, answer.code) == (401, code)
