"""Verbs in this process, and `watchword dev` and `serve` as processes of their own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from click.testing import CliRunner, Result

from tests.servers import BRISKLY
from watchword.cli import cli

PASSWORD = "correct horse battery staple"
Run = Callable[..., Result]


def run(*words: str, stdin: str = "", **settings: str) -> Result:
    """A verb under WATCHWORD_ settings, in this process; what it did is judged by the caller."""
    env = {f"WATCHWORD_{name.upper()}": value for name, value in settings.items()}
    return CliRunner().invoke(cli, words, input=stdin, env=env, catch_exceptions=False)


def spoken(result: Result) -> str:
    """The standard output of a verb that did its work without complaint."""
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout


def refusal(result: Result) -> str:
    """The one line with which a verb was refused."""
    assert (result.exit_code, result.stdout) == (1, ""), result.output
    [line] = result.stderr.splitlines()
    assert line.startswith("watchword: ")
    return line.removeprefix("watchword: ")


@dataclass
class Program:
    """A verb that runs until it is stopped. Its standard error is a file, which nobody needs to drain."""

    process: subprocess.Popen[str]
    errors: Path

    def said_until(self, mark: str, *, seconds: float = 90) -> str:
        """Its standard output up to the line with `mark` in it."""
        said = ""
        deadline = time.monotonic() + seconds
        assert self.process.stdout is not None
        while mark not in said:
            line = self.process.stdout.readline()
            assert line, f"it ended: {said}\n{self.complaints()}"
            assert time.monotonic() < deadline
            said += line
        return said

    def complaints(self) -> str:
        return self.errors.read_text()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Its exit code after a signal."""
        self.process.send_signal(number)
        return self.process.wait(10)


@contextmanager
def program(*words: str, env: Mapping[str, str], cwd: Path) -> Iterator[Program]:
    """`watchword …` in a group of its own, of which nothing is left at the end. A server stops without notice."""
    errors = cwd / f"stderr-{time.monotonic_ns()}"
    with errors.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-c", BRISKLY, *words],
            env=env,
            cwd=cwd,
            stdout=subprocess.PIPE,
            stderr=file,
            text=True,
            start_new_session=True,
        )
    try:
        yield Program(process, errors)
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait(10)
        assert process.stdout is not None
        process.stdout.close()
