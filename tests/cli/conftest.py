"""No WATCHWORD_ setting of the caller's reaches a verb, and verbs that are processes find this checkout's sources."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import Result

from tests.cli.programs import PASSWORD, Run, run, spoken

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session", autouse=True)
def _bare_environment() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith("WATCHWORD_"):
                patch.delenv(name)
        patch.setenv("PYTHONPATH", str(ROOT / "src"))
        yield


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """In a folder of the test's own, and with the environment as it was when `dev` and `serve` have set theirs."""
    monkeypatch.chdir(tmp_path)
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file with tables and nothing else, to be copied."""
    path = tmp_path_factory.mktemp("migrated") / "watchword.db"
    spoken(run("migrate", database_url=f"sqlite:///{path}"))
    return path


@pytest.fixture(scope="session")
def inhabited(migrated: Path) -> Path:
    """One with a user in it, to be copied."""
    path = migrated.with_name("inhabited.db")
    shutil.copy(migrated, path)
    create = ("user", "create", "ada@example.com", "--username=ada", "--role=owner", "--password-stdin")
    spoken(run(*create, stdin=PASSWORD + "\n", database_url=f"sqlite:///{path}"))
    return path


@pytest.fixture
def database(tmp_path: Path, migrated: Path) -> str:
    """The URL of a migrated SQLite file."""
    return f"sqlite:///{shutil.copy(migrated, tmp_path)}"


@pytest.fixture
def verb(tmp_path: Path, inhabited: Path) -> Run:
    """`run` over such a file, in which there is one user, without any secret."""
    url = f"sqlite:///{shutil.copy(inhabited, tmp_path / 'watchword.db')}"

    def in_database(*words: str, stdin: str = "", **settings: str) -> Result:
        return run(*words, stdin=stdin, **({"database_url": url} | settings))

    return in_database
