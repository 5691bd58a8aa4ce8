"""`watchword user`: who may sign in. A login is an address, a username or an id."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import click

from watchword.cli.console import (
    as_json,
    confirm,
    password_stdin,
    print_json,
    print_table,
    read_password,
    yes,
)
from watchword.cli.opened import administer
from watchword.errors import SettingsError
from watchword.settings import Settings

if TYPE_CHECKING:
    from watchword.auth import Watchword
    from watchword.core.user import User

PAGE = 500


@click.group()
def user() -> None:
    """Who may sign in. LOGIN is an address, a username or an id."""


@user.command()
@click.argument("email")
@click.option("--username", help="A second name to sign in by.")
@click.option("--role", "roles", multiple=True, help="May be given again.")
@password_stdin
def create(email: str, username: str | None, roles: tuple[str, ...], password_stdin: bool) -> None:
    """Make an active user whose address counts as verified."""
    password = read_password(from_stdin=password_stdin)
    made = administer(lambda auth: auth.users.create(email, password, username=username, roles=roles))
    click.echo(f"created {made.email}, id {made.id}")


@user.command("list")
@as_json
def list_(as_json: bool) -> None:
    """All users, in the order of their creation."""

    async def print_all(auth: Watchword) -> None:
        everybody: list[dict[str, Any]] = []
        async for page in _pages(auth):
            if as_json:
                everybody.extend(_shape(one) for one in page)
            else:
                print_table(_line(one) for one in page)
        if as_json:
            print_json(everybody)

    administer(print_all)


@user.command()
@click.argument("login")
@as_json
def show(login: str, as_json: bool) -> None:
    """One user."""
    shape = _shape(administer(lambda auth: auth.users.get(login)))
    if as_json:
        print_json(shape)
    else:
        print_table((name, _text(value)) for name, value in shape.items())


@user.command()
@click.argument("login")
def enable(login: str) -> None:
    """Let somebody sign in again, or verify their address first."""
    status = administer(lambda auth: auth.users.enable(login))
    if status.value == "unverified":
        click.echo(f"enabled {login}, who must verify the address first: /email/verify/resend sends a link")
    else:
        click.echo(f"enabled {login}")


@user.command()
@click.argument("login")
def disable(login: str) -> None:
    """Let somebody sign in no more; all sessions end."""
    administer(lambda auth: auth.users.disable(login))
    click.echo(f"disabled {login}; all sessions have ended")


@user.command()
@click.argument("login")
@password_stdin
def password(login: str, password_stdin: bool) -> None:
    """Set a new password; all sessions end."""
    new = read_password(from_stdin=password_stdin)
    administer(lambda auth: auth.users.set_password(login, new))
    click.echo(f"set a new password for {login}; all sessions have ended")


@user.command()
@click.argument("login")
@click.argument("roles", nargs=-1)
@click.option("--clear", is_flag=True, help="No roles at all.")
def role(login: str, roles: tuple[str, ...], clear: bool) -> None:
    """Set somebody's roles: these and no others. Tokens that name the old ones stop counting."""
    if clear == bool(roles):
        raise click.UsageError("Name the roles that shall hold, or --clear for none.")
    administer(lambda auth: auth.users.set_roles(login, roles))
    click.echo(f"roles of {login}: {', '.join(sorted(set(roles))) or 'none'}")


@user.command()
@click.argument("login")
@click.option("--off", is_flag=True, help="Turn all of them off; all sessions end.")
@as_json
def factors(login: str, off: bool, as_json: bool) -> None:
    """Somebody's second steps; turn them off."""
    if off:
        if not Settings.from_env().secret:
            raise SettingsError(
                "WATCHWORD_SECRET is missing: the mail that tells the owner is sealed under it"
            )
        count = administer(lambda auth: auth.users.turn_off_factors(login))
        done = f"turned off the second step of {login}; all sessions have ended"
        click.echo(done if count else f"{login} has no second step")
        return
    from watchword.http.shapes import factor_json

    shapes = [factor_json(one) for one in administer(lambda auth: auth.users.factors(login))]
    if as_json:
        print_json(shapes)
    else:
        print_table([_text(shape[name]) for name in ("method", "created_at", "id")] for shape in shapes)


@user.command()
@click.argument("login")
@yes
def delete(login: str, yes: bool) -> None:
    """Forget a user and end all sessions. Cannot be undone."""
    confirm(f"Delete {login} for ever?", yes=yes)
    administer(lambda auth: auth.users.delete(login))
    click.echo(f"deleted {login}")


async def _pages(auth: Watchword) -> AsyncIterator[list[User]]:
    after: str | None = None
    while page := list(await auth.users.list(after=after, limit=PAGE)):
        yield page
        after = page[-1].id


def _shape(one: User) -> dict[str, Any]:
    from watchword.http.shapes import user_json

    return user_json(one) | {"status": one.status.value}


def _line(one: User) -> list[str]:
    shape = _shape(one)
    return [_text(shape[name]) for name in ("email", "username", "status", "roles", "created_at", "id")]


def _text(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)
