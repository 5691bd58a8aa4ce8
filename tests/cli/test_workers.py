"""Several workers of `watchword serve`: who dies is replaced, who insists is obeyed, and nobody is left behind."""

import errno
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import cast

import pytest

from tests.cli.programs import Program, Run, program
from tests.cli.test_serve import SECRET, Tab
from tests.servers import environment
from watchword.cli.console import Refused
from watchword.cli.workers import FIRST_PAUSE, LONGEST_PAUSE, Workers, _Worker

PATIENCE = 60.0


@pytest.fixture
def pair(verb: Run, tmp_path: Path) -> Iterator[tuple[Program, Tab]]:
    """A server of two workers."""
    origin = "http://127.0.0.1:8000"
    env = environment(f"sqlite:///{tmp_path}/watchword.db", url=origin, secret=SECRET)
    with program("serve", "--port=0", "--workers=2", env=env, cwd=tmp_path) as server:
        line = server.said_until("serving").splitlines()[-1]
        yield server, Tab(origin, address=line.split(" on ")[1].partition(",")[0])


def workers_of(server: Program) -> set[int]:
    """The processes that serve: multiprocessing has one more, which cleans up behind it."""
    pid = server.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return {int(child) for child in children if "spawn_main" in _command(int(child))}


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def _eventually(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_worker_that_dies_is_replaced_and_one_ctrl_c_stops_all_of_them(pair: tuple[Program, Tab]) -> None:
    """F2, F16: a terminal sends it to the whole group, and workers that took it for themselves would be asked twice."""
    server, tab = pair
    victim, other = sorted(workers_of(server))
    os.kill(victim, signal.SIGKILL)
    _eventually(lambda: len(workers_of(server) - {victim}) == 2)
    _eventually(lambda: server.complaints().count("Application startup complete") == 3)
    assert other in workers_of(server)
    assert {tab.send("GET", "/auth/health/ready").status for _ in range(10)} == {200}
    os.killpg(server.process.pid, signal.SIGINT)
    assert server.process.wait(PATIENCE) == 0
    assert "has ended with -9; another starts in 0.5 s" in server.complaints()
    assert "Traceback" not in server.complaints()


def test_one_that_cannot_start_is_tried_again_ever_more_rarely_and_takes_nobody_down(
    pair: tuple[Program, Tab], tmp_path: Path
) -> None:
    """F3: its database is away for a while, and there are those who serve on."""
    server, tab = pair
    database, away = tmp_path / "watchword.db", tmp_path / "away.db"
    victim, _ = sorted(workers_of(server))
    database.rename(away)
    os.kill(victim, signal.SIGKILL)
    _eventually(lambda: "has ended with 3; another starts in 2.0 s" in server.complaints())
    assert tab.send("GET", "/auth/health/live").status == 200
    away.rename(database)
    _eventually(lambda: server.complaints().count("Application startup complete") == 3)
    assert server.stop() == 0


def test_the_pause_before_a_new_start_doubles_up_to_half_a_minute() -> None:
    worker, pauses = _Worker(1), []
    for _ in range(9):
        worker.process = cast(SpawnProcess, Ended())
        worker.began_at = time.monotonic()
        worker.look()
        pauses.append(worker.due_at - time.monotonic())
    assert pauses[0] <= FIRST_PAUSE
    assert all(later > before for before, later in pairwise(pauses[:7]))
    assert LONGEST_PAUSE - 1 < pauses[-1] <= LONGEST_PAUSE


@pytest.fixture
def exhausted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system that has no room for another process."""

    def start(process: SpawnProcess) -> None:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(SpawnProcess, "start", start)


def nothing(listener: socket.socket, line: Connection) -> None: ...


def test_a_worker_that_there_is_no_room_for_is_tried_again_later_and_the_others_are_watched(
    exhausted: None, caplog: pytest.LogCaptureFixture
) -> None:
    """F2, F15: who watches survives it, and holds no more descriptors than before."""
    with socket.socket() as listener:
        workers = Workers(nothing, listener, count=2, notice=0)
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(3):
            for worker in workers._places:
                worker.due_at = 0.0
            workers._watch()
        assert len(os.listdir("/proc/self/fd")) == before
    for worker in workers._places:
        assert (worker.process, worker.line) == (None, None)
        assert 3 * FIRST_PAUSE < worker.due_at - time.monotonic() <= 4 * FIRST_PAUSE
        worker.clear()
    assert (
        "worker 2 cannot be started (Resource temporarily unavailable); tried again in 2.0 s" in caplog.text
    )


def test_without_room_for_the_first_the_server_is_refused_and_signals_are_as_before(exhausted: None) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with socket.socket() as listener:
        workers = Workers(nothing, listener, count=2, notice=0)
        with pytest.raises(Refused, match="worker 1 cannot be started: Resource temporarily unavailable"):
            workers.run(lambda: None)
    assert signal.getsignal(signal.SIGTERM) is before


def test_signals_are_as_before_even_if_a_worker_cannot_be_cleared_away(
    exhausted: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, cleared = signal.getsignal(signal.SIGTERM), []

    def clear(worker: _Worker) -> None:
        cleared.append(worker.number)
        raise OSError

    monkeypatch.setattr(_Worker, "clear", clear)
    with socket.socket() as listener, pytest.raises(OSError):  # noqa: PT011 - what `clear` raises
        Workers(nothing, listener, count=2, notice=0).run(lambda: None)
    assert sorted(cleared) == [1, 2]
    assert signal.getsignal(signal.SIGTERM) is before


class Ended:
    """What a process is that has exited with 3."""

    exitcode = 3

    def is_alive(self) -> bool:
        return False

    def kill(self) -> None: ...

    def join(self) -> None: ...

    def close(self) -> None: ...


@pytest.mark.parametrize("workers", [1, 2])
def test_a_second_signal_ends_at_once_what_the_first_would_wait_for(
    verb: Run, tmp_path: Path, workers: int
) -> None:
    """F16: exit code 1, as somebody was cut off."""
    origin = "http://127.0.0.1:8000"
    env = environment(f"sqlite:///{tmp_path}/watchword.db", url=origin, secret=SECRET)
    with program("serve", "--port=0", f"--workers={workers}", env=env, cwd=tmp_path) as server:
        line = server.said_until("serving").splitlines()[-1]
        tab = Tab(origin, address=line.split(" on ")[1].partition(",")[0])
        host, _, port = tab.address.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port)), timeout=PATIENCE) as connection:
            connection.sendall(
                b"POST /auth/login HTTP/1.1\r\nHost: tests\r\nContent-Type: application/json\r\n"
                b"Content-Length: 100\r\nExpect: 100-continue\r\n\r\n"
            )
            assert connection.recv(100).startswith(b"HTTP/1.1 100"), (
                "it waits for the body, which never comes"
            )
            server.process.send_signal(signal.SIGTERM)
            server.process.send_signal(signal.SIGINT)
            assert server.process.wait(PATIENCE) == 1


def test_workers_whose_watcher_is_gone_stop_by_themselves(pair: tuple[Program, Tab]) -> None:
    """F2: nobody is left who holds the port."""
    server, _ = pair
    workers = workers_of(server)
    assert len(workers) == 2
    server.process.kill()
    _eventually(lambda: not any("spawn_main" in _command(pid) for pid in workers))
    assert server.complaints().count("Finished server process") == 2
