"""Of any number of processes over a database one sweeps; when it is killed, another does, once its lease is over.

The leases of the mail's messages are test_mail's. The spans are shortened in tests/faults/sweeping.py.
"""

import os
import secrets
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import psycopg
import pytest

from tests.needs import postgres_url
from tests.postgres import fresh_database
from watchword.storage.sql.migrate import migrate

ROOT = Path(__file__).parents[2]
PROCESSES = 3
ROUNDS = 20 if os.environ.get("FAULTS") == "full" else 5
ROWS = 7
PATIENCE = 60.0


class Sweeper:
    """One of the processes, and how many rows it has deleted."""

    def __init__(self, url: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.sweeping", url],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
            stdout=subprocess.PIPE,
            text=True,
        )
        self.here, self.gone = threading.Event(), 0
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.strip() == "here":
                self.here.set()
            else:
                self.gone += int(line)

    def end(self) -> None:
        """By SIGKILL."""
        self.process.kill()
        self.process.wait()
        self._reader.join(PATIENCE)
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    with ExitStack() as stack:
        if request.param == "sqlite":
            made = f"sqlite:///{tmp_path}/watchword.db"
        else:
            made = stack.enter_context(fresh_database(postgres_url()))
        migrate(made)
        yield made


def test_one_sweeps_and_when_it_is_killed_another_takes_over(url: str) -> None:
    """DESIGN §4.8, F2, F14."""
    with ExitStack() as stack:
        sweepers = [Sweeper(url) for _ in range(PROCESSES)]
        for sweeper in sweepers:
            stack.callback(sweeper.end)
        assert all(sweeper.here.wait(PATIENCE) for sweeper in sweepers)
        for number in range(ROUNDS):
            _expired(url)
            _until(sweepers, ROWS * (number + 1))
        [leader] = [sweeper for sweeper in sweepers if sweeper.gone]
        assert leader.gone == ROWS * ROUNDS
        leader.process.kill()
        others = [sweeper for sweeper in sweepers if sweeper is not leader]
        _expired(url)
        _until(others, ROWS)
        assert sorted(sweeper.gone for sweeper in others) == [0] * (PROCESSES - 2) + [ROWS]


def _expired(url: str) -> None:
    """Revocations that no access token can be of any more."""
    rows = [(secrets.token_hex(16), 1_000_000) for _ in range(ROWS)]
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"), timeout=PATIENCE)) as there, there:
            there.executemany("INSERT INTO ww_revocation (sid, created_at) VALUES (?, ?)", rows)
    else:
        with psycopg.connect(url) as connection:
            connection.cursor().executemany(
                "INSERT INTO ww_revocation (sid, created_at) VALUES (%s, %s)", rows
            )


def _until(sweepers: list[Sweeper], rows: int) -> None:
    """So many are gone."""
    deadline = time.monotonic() + PATIENCE
    while sum(sweeper.gone for sweeper in sweepers) != rows:
        assert time.monotonic() < deadline
        time.sleep(0.02)
