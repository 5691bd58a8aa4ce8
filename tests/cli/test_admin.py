"""What `watchword serve` says and refuses about its admin listener, before anything is served."""

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from typing import Any

import pytest

from tests.cli.programs import Run, refusal
from watchword.cli import listen
from watchword.server.link import HUB

SECRET = "kVd3x1hVnqk0S5m3cO9lYpXyQ0oY4S6h"
MAILS = {"secret": SECRET, "smtp_url": "smtp://127.0.0.1"}


@pytest.fixture
def unserved(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that would have been started is not."""

    def told(factory: str, listener: socket.socket, *, ready: Any, **options: Any) -> None:
        ready()
        listener.close()

    monkeypatch.setattr(listen, "run", told)


@pytest.fixture
def taken() -> Iterator[int]:
    with closing(socket.socket()) as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        yield int(holder.getsockname()[1])


def test_its_address_is_printed_and_answers_while_the_server_runs(
    verb: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, int] = {}

    def run(factory: str, listener: socket.socket, *, ready: Any, **options: Any) -> None:
        ready()
        listener.close()
        assert HUB in os.environ
        [address] = [held for held in bound if held is not listener]
        for path in ("/health/live", "/metrics"):
            with closing(HTTPConnection("127.0.0.1", address.getsockname()[1], timeout=10)) as connection:
                connection.request("GET", path)
                asked[path] = connection.getresponse().status

    bound: list[socket.socket] = []
    bind = listen.bind

    def noted(*args: Any, **options: Any) -> socket.socket:
        bound.append(bind(*args, **options))
        return bound[-1]

    monkeypatch.setattr(listen, "bind", noted)
    monkeypatch.setattr(listen, "run", run)
    done = verb("serve", "--port=0", admin_bind="127.0.0.1:0", **MAILS)
    assert (done.exit_code, done.stderr) == (0, "")
    assert "; admin listener on http://127.0.0.1:" in done.stdout
    assert asked == {"/health/live": 503, "/metrics": 200}  # nobody serves yet, and that can be told


def test_a_taken_port_is_refused_by_its_setting(verb: Run, unserved: None, taken: int) -> None:
    refused = refusal(verb("serve", "--port=0", admin_bind=f"127.0.0.1:{taken}", **MAILS))
    assert refused.startswith(f"port {taken} on 127.0.0.1 is taken")
    assert refused.endswith("WATCHWORD_ADMIN_BIND")


def test_the_port_that_is_served_is_none_for_it(verb: Run, unserved: None, taken: int) -> None:
    refused = refusal(verb("serve", f"--port={taken}", admin_bind=f"127.0.0.1:{taken}", **MAILS))
    assert "is taken" in refused


def test_an_address_that_others_reach_is_served_and_warned_of(verb: Run, unserved: None) -> None:
    """ASVS 13.4.5."""
    done = verb("serve", "--port=0", admin_bind="0.0.0.0:0", **MAILS)
    [line] = done.stderr.splitlines()
    assert line.startswith("watchword: admin_bind 0.0.0.0 can be reached from other machines")
    assert done.exit_code == 0


def test_without_the_extra_it_is_refused_with_its_name(
    verb: Run, unserved: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    refused = refusal(verb("serve", "--port=0", admin_bind="127.0.0.1:0", **MAILS))
    assert refused == "Metrics need their library: pip install 'watchword[metrics]'."
    assert verb("serve", "--port=0", **MAILS).exit_code == 0


def test_the_doctor_misses_the_extra_too(verb: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    done = verb("doctor", admin_bind="127.0.0.1:9000", events_file="events.jsonl", **MAILS)
    assert done.stdout == "admin: Metrics need their library: pip install 'watchword[metrics]'.\n"
