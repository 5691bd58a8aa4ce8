"""A version is replaced by the next one while it serves (F18): the tables are migrated beside it, then both answer at
once. The next version is this one with one more step, made for the test: a column each for users and sessions, and a
table. `FAULTS=full` does it on both databases, otherwise on PostgreSQL.
"""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

import watchword
from tests.drivers.neighbours import jars
from tests.faults.clients import REFRESH, Client, asking
from tests.needs import postgres_url
from tests.postgres import fresh_database
from tests.servers import Answer, Browser, prepared, serving
from watchword.storage.sql.migrate import current
from watchword.storage.sql.migrations import HEAD

FULL = os.environ.get("FAULTS") == "full"
NEXT = f"{int(HEAD) + 1:04}"
CLIENTS = 8
VERSIONS = Path("storage/sql/migrations/versions")
STEP = f'''"""Made for a test."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "{NEXT}", "{HEAD}"


def upgrade():
    op.add_column("ww_user", sa.Column("colour", sa.Text, nullable=False, server_default="blue"))
    op.add_column("ww_session", sa.Column("colour", sa.Text))
    # (here it may be aborted)
    op.create_table("ww_colour", sa.Column("name", sa.Text, primary_key=True))
'''
ABORTED = STEP.replace(
    "# (here it may be aborted)", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
)


@pytest.fixture(params=["postgresql", "sqlite"] if FULL else ["postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/watchword.db"
    else:
        with fresh_database(postgres_url()) as url:
            yield url


def next_version(folder: Path, step: str) -> str:
    """Where Python finds this version with one more step."""
    package = folder / "watchword"
    shutil.copytree(Path(watchword.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / VERSIONS / f"{NEXT}_colours.py").write_text(step)
    init = package / VERSIONS.parent / "__init__.py"
    init.write_text(init.read_text().replace(f'HEAD = "{HEAD}"', f'HEAD = "{NEXT}"'))
    return str(folder)


def migrate(env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "watchword", "migrate"]
    return subprocess.run(command, env=env, capture_output=True, text=True)


def test_workers_of_two_versions_serve_at_once_and_the_tables_change_beside_them(
    database_url: str, tmp_path: Path, measured: Callable[[str], None]
) -> None:
    """F18: no answer is an error; a migration that was killed is run again; nobody waits for a second for its locks."""
    old = prepared(database_url, rotation_window="20ms")
    new = old | {"PYTHONPATH": next_version(tmp_path / "next", STEP)}
    aborted = old | {"PYTHONPATH": next_version(tmp_path / "aborted", ABORTED)}
    stop = threading.Event()
    with serving(old) as before:
        refused = subprocess.run(
            [sys.executable, "-m", "watchword", "serve", "--port=0"], env=new, capture_output=True, text=True
        )
        assert "watchword migrate" in refused.stderr, "it does not serve before its tables are there"
        clients = [
            Timed(Browser(before.url, jar), stop, pause=0.1, seed=number, asks=[REFRESH, ("GET", "/auth/me")])
            for number, jar in enumerate(jars(old, before.url, CLIENTS))
        ]
        with asking(clients, stop):
            assert migrate(aborted).returncode == -9
            assert current(database_url) == HEAD, "nothing of it is there"
            renewed = [client.renewed for client in clients]
            done = migrate(new)
            assert done.returncode == 0, done.stderr
            assert current(database_url) == NEXT
            assert migrate(new).returncode == 0, "once more, with nothing left to do"
            with serving(new, origin=before.url) as after:
                for client in clients:
                    client.goes_to(before.address, after.address)
                deadline = time.monotonic() + 180
                while any(
                    client.renewed < count + 10 for client, count in zip(clients, renewed, strict=True)
                ):
                    assert time.monotonic() < deadline
                    time.sleep(0.05)
                Browser(before.url).sign_in()
                everybody = Browser(before.url)
                everybody.sign_in()
                assert everybody.send("POST", "/auth/logout/all", to=after.address).status == 200
                stop.set()
    assert [refusal for client in clients for refusal in client.refused] == []
    assert sum(client.lost for client in clients) == 0
    answers = sum(client.answers.total() for client in clients)
    assert sum(client.answers[503] for client in clients) == 0
    measured(
        f"{answers} answers of two versions, none an error, the slowest after {max(c.slowest for c in clients):.2f} s"
    )


class Timed(Client):
    """Knows how long it waited, and may be sent elsewhere."""

    slowest = 0.0

    def goes_to(self, *addresses: str) -> None:
        self._to = addresses

    def _send(self, method: str, path: str, to: str) -> Answer:
        since = time.monotonic()
        answer = super()._send(method, path, to)
        self.slowest = max(self.slowest, time.monotonic() - since)
        return answer


HARMLESS = {"create_table", "create_index", "add_column"}


@pytest.mark.parametrize(
    "path", sorted((Path(watchword.__file__).parent / VERSIONS).glob("[0-9]*.py")), ids=lambda path: path.stem
)
def test_a_step_only_adds_what_the_version_before_it_need_not_know(path: Path) -> None:
    """F18: tables, and columns that may be left out; making an index of rows that are there would lock them."""
    tables = set()
    for call in (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)):
        if not (isinstance(call.func, ast.Attribute) and getattr(call.func.value, "id", "") == "op"):
            continue
        assert call.func.attr in HARMLESS, f"op.{call.func.attr}"
        names = [str(argument.value) for argument in call.args if isinstance(argument, ast.Constant)]
        if call.func.attr == "create_table":
            tables.add(names[0])
        elif call.func.attr == "create_index":
            assert names[1] in tables, f"{names[0]} is on a table with rows"
        else:
            column = call.args[1]
            assert isinstance(column, ast.Call)
            given = {keyword.arg: keyword.value for keyword in column.keywords}
            nullable = given.get("nullable")
            needed = isinstance(nullable, ast.Constant) and nullable.value is False
            assert not needed or "server_default" in given, f"{names[0]} must not need a new column"
