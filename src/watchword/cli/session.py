"""`watchword session`: who is signed in, and signing out. Running servers notice within a second."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from watchword.cli.console import Refused, as_json, confirm, print_json, print_table, yes
from watchword.cli.opened import administer

if TYPE_CHECKING:
    from watchword.core.session import Session


@click.group()
def session() -> None:
    """Who is signed in, and signing out."""


@session.command("list")
@click.argument("login")
@as_json
def list_(login: str, as_json: bool) -> None:
    """The live sessions of a user, newest first."""
    shapes = [_shape(one) for one in administer(lambda auth: auth.sessions.list(login))]
    if as_json:
        print_json(shapes)
    else:
        print_table(
            [shape[name] for name in ("id", "label", "ip", "mode", "created_at", "last_used_at")]
            for shape in shapes
        )


@session.command()
@click.argument("sid", required=False)
@click.option("--user", "login", help="All sessions of this user.")
@yes
def revoke(sid: str | None, login: str | None, yes: bool) -> None:
    """End a session, or all of a user's."""
    if (sid is None) == (login is None):
        raise click.UsageError("Name one session, or a user by --user.")
    if login is not None:
        confirm(f"End all sessions of {login}?", yes=yes)
        ended = administer(lambda auth: auth.sessions.revoke_all(login))
        click.echo(f"{ended} sessions have ended")
    elif sid is not None:
        if not administer(lambda auth: auth.sessions.revoke(sid)):
            raise Refused(f"there is no session {sid} that could be ended")
        click.echo("the session has ended")


def _shape(one: Session) -> dict[str, Any]:
    from watchword.http.shapes import device_json, session_json

    # The whole address, as who looks into somebody's sessions has to tell one machine from the next.
    shape = device_json(one, current="") | session_json(one) | {"mode": one.mode.value, "ip": one.ip}
    del shape["current"]
    return shape
