"""The command line as a whole: its verbs, its exit codes, what it costs and what it never shows."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import watchword
from tests.cli.programs import PASSWORD, Run, run, spoken
from watchword.cli import cli, listen, tables

HEAVY = {
    *("alembic", "argon2", "asyncio", "cryptography", "fastapi", "jinja2", "joserfc", "psycopg"),
    *("pydantic", "sqlalchemy", "starlette", "uvicorn"),
}
CANARY = "canary-S3cr3t-0123456789-abcdefghijklmnop"


def test_the_verbs_have_their_names() -> None:
    groups: dict[str, Any] = dict(cli.commands)
    assert set(groups) == {
        *("dev", "serve", "migrate", "secret", "user", "session", "mail", "openapi", "routes", "doctor"),
        *("events", "cleanup", "restore"),
    }
    assert set(groups["user"].commands) == {
        *("create", "list", "show", "enable", "disable", "password", "role", "factors", "delete")
    }
    assert set(groups["session"].commands) == {"list", "revoke"}
    assert set(groups["mail"].commands) == {"test"}


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["user", "--help"], ["serve", "--help"]])
def test_help_is_there_and_whole(words: list[str]) -> None:
    """No description in a list of verbs is cut off."""
    text = spoken(run(*words))
    assert text.startswith("Usage: ")
    assert "..." not in text.replace("[ARGS]...", "")


def test_help_loads_nothing_heavy() -> None:
    """How long it takes is measured by `bench import`."""
    script = (
        "import sys; from watchword.cli import cli; cli(['--help'], standalone_mode=False);"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert HEAVY.isdisjoint(done.stdout.splitlines()[-1].split())


def test_it_runs_as_a_module() -> None:
    words = [sys.executable, "-m", "watchword", "--version"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout == f"watchword {watchword.__version__}\n"


@pytest.mark.parametrize(
    "words", [["unknown"], ["user", "unknown"], ["secret", "--unknown"], ["user", "show"]]
)
def test_wrong_usage_is_exit_code_2(words: list[str]) -> None:
    assert run(*words).exit_code == 2


def test_an_interrupt_is_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(tables, "administer", interrupted)
    done = run("cleanup")
    assert (done.exit_code, done.output) == (130, "")


def test_a_bug_is_no_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody expected keeps its traceback."""

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(tables, "administer", broken)
    assert isinstance(CliRunner().invoke(cli, ["cleanup"]).exception, ZeroDivisionError)


def test_no_verb_shows_the_secret_or_a_password(
    verb: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Attack 96."""
    monkeypatch.setattr(listen, "run", lambda factory, listener, ready, **_: (ready(), listener.close()))
    (tmp_path / "secret").write_text(CANARY)
    lines = """
        user create bob@example.com --password-stdin | user list | user list --json | user show bob@example.com
        user password bob@example.com --password-stdin | user role bob@example.com admin
        user disable bob@example.com | user enable bob@example.com | session list bob@example.com --json
        session revoke --user bob@example.com --yes | session revoke nothing | user delete bob@example.com --yes
        mail test bob@example.com
        migrate | migrate --sql | cleanup | openapi | routes nothing:app | doctor | doctor --json
        serve --port=0 | dev --port=0 | secret | user show nobody | user create bad --password-stdin
    """
    verbs = [words.split() for line in lines.split("\n") for words in line.split("|") if words.strip()]
    for settings in ({"secret_file": str(tmp_path / "secret")}, {"secret": "canary"}):
        for words in verbs:
            done = verb(*words, stdin="my-canary-password\n", **settings)
            assert done.exit_code in (0, 1), done.output
            assert "canary" not in done.output
            assert "Traceback" not in done.output


def test_nothing_is_left_open_when_a_verb_ends(verb: Run) -> None:
    """A process that runs many verbs does not fill up."""
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    for _ in range(3):
        spoken(verb("user", "password", "ada", "--password-stdin", stdin=PASSWORD))
    if before:
        assert len(os.listdir("/proc/self/fd")) <= before + 1
