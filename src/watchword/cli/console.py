"""How verbs speak and fail: tables and JSON on standard output, refusals on standard error, passwords from where."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import IO, Any

import click

from watchword.errors import Problem, WatchwordError

MAX_LINE = 8192
"""Of a password on standard input, in bytes: more than any valid one, so that none is cut off to a valid one."""

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
yes = click.option("--yes", is_flag=True, help="Do not ask.")
password_stdin = click.option(
    "--password-stdin", is_flag=True, help="Read the password from the first line of standard input."
)


class Refused(click.ClickException):
    """What a verb will not or cannot do: exit code 1, and one line for each reason."""

    exit_code = 1

    def __init__(self, *reasons: str) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = reasons

    def show(self, file: IO[Any] | None = None) -> None:
        for reason in self.reasons:
            click.echo(f"watchword: {one_line(reason)}", file=file, err=True)


class Root(click.Group):
    """The command line as a whole. Expected failures of any verb end here, as lines instead of tracebacks."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, click.Abort):
            ctx.exit(130)
        except Problem as problem:
            fields = [f"{error.field}: {error.message}" for error in problem.errors]
            raise Refused(*(fields or [str(problem)])) from problem
        except WatchwordError as error:
            raise Refused(str(error)) from error


def one_line(text: object) -> str:
    """What others wrote, as one line without control characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())


def print_json(value: object) -> None:
    click.echo(json.dumps(value, indent=2))


def print_table(rows: Iterable[Sequence[str]]) -> None:
    """Columns, two spaces apart; the last one is not padded."""
    lines = [[one_line(cell) or "-" for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = [cell.ljust(width) for cell, width in zip(line, widths, strict=True)]
        click.echo("  ".join(cells).rstrip())


def asks_a_person() -> bool:
    """Whether somebody sits at standard input."""
    return sys.stdin.isatty()


def confirm(question: str, *, yes: bool) -> None:
    """Ask a person; whoever is none says --yes."""
    if yes:
        return
    if not asks_a_person():
        raise click.UsageError("This cannot be undone: add --yes.")
    if not click.confirm(question, err=True):
        raise Refused("nothing was changed")


def read_password(*, from_stdin: bool) -> str:
    """One line of standard input as it is, or asked for twice. What is acceptable is not decided here."""
    if not from_stdin:
        if not asks_a_person():
            raise click.UsageError(
                "There is no terminal to ask for the password: give it as one line with --password-stdin."
            )
        answer: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
        return answer
    line = sys.stdin.buffer.readline(MAX_LINE)
    if not line:
        raise Refused("there is no password on standard input")
    try:
        return line.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8")
    except UnicodeDecodeError:
        raise Refused("the password on standard input is not UTF-8 text") from None
