"""`watchword dev`: everything that a first look needs, on this machine alone.

What it makes is kept in `.watchword/`: a secret, a database and the demo user's password. No password is the same on
two machines (ASVS 5.0 6.3.2), and nothing listens beyond loopback (SECURITY-TARGET attack 100).
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from watchword.cli import listen
from watchword.cli.console import Refused
from watchword.cli.opened import administer, lasting
from watchword.errors import NotFound, SettingsError
from watchword.settings import ENV_PREFIX, Settings

if TYPE_CHECKING:
    from watchword.auth import Watchword

HOST = "127.0.0.1"
FOLDER = Path(".watchword")
DATABASE = f"sqlite:///{FOLDER.as_posix()}/dev.db"
DEMO = "demo@example.com"


@click.command()
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535))
def dev(port: int) -> None:
    """Try it out: SQLite, a demo user and a page behind the sign-in.

    Listens on this machine alone, and keeps what it makes in .watchword/.
    """
    _check(Settings.from_env())
    with listen.bind(HOST, port) as listener:
        try:
            password = _prepare(listener.getsockname()[1])
        except OSError as error:
            raise Refused(f"cannot write to {FOLDER}/: {error.strerror}") from None
        settings = Settings.from_env()

        from watchword.storage.sql.migrate import migrate

        migrate(settings.database_url)
        if settings.database_url == DATABASE:
            known = administer(lambda auth: _demo_login(auth, password), settings=settings)
            login = f"{DEMO}, " + (f"password {password}" if known else "with the password that somebody set")
        else:  # somebody's database, and nobody's place to make users in
            login = "as the users of that database; `watchword user create` makes one"
        banner = _banner(settings, login)
        app = "watchword.server.dev:create_app"
        listen.run(app, listener, ready=lambda: click.echo(banner), log_level="warning")


def _check(settings: Settings) -> None:
    if not settings.loopback:
        raise SettingsError(
            f"WATCHWORD_URL is {settings.url}: `watchword dev` is for this machine alone, use `watchword serve`"
        )
    lasting(settings)


def _prepare(port: int) -> str:
    """Make what is missing in `.watchword/`, and point those settings there that the environment does not name.
    Returns the demo user's password."""
    FOLDER.mkdir(mode=0o700, exist_ok=True)
    FOLDER.chmod(0o700)
    _kept(FOLDER / ".gitignore", lambda: "*")
    if not _named("SECRET"):
        os.environ[f"{ENV_PREFIX}SECRET_FILE"] = str(
            _kept(FOLDER / "secret", lambda: secrets.token_urlsafe(48))
        )
    if not _named("DATABASE_URL"):
        os.environ[f"{ENV_PREFIX}DATABASE_URL"] = DATABASE
    if not _named("URL"):
        os.environ[f"{ENV_PREFIX}URL"] = f"http://{HOST}:{port}"
    return _kept(FOLDER / "demo-password", _pronounceable).read_text(encoding="utf-8").strip()


def _named(setting: str) -> bool:
    names = {name.upper() for name in os.environ}
    return not names.isdisjoint({ENV_PREFIX + setting, f"{ENV_PREFIX}{setting}_FILE"})


def _kept(path: Path, make: Callable[[], str]) -> Path:
    """A file for its owner's eyes, made once, and whole or not at all."""
    if not path.exists():
        new = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
        with open(os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
            file.write(make() + "\n")
        new.replace(path)
    path.chmod(0o600)
    return path


def _pronounceable() -> str:
    """`bako-lime-tuvo-pesa`: 50 bits, easy to type from one window into another."""
    syllables = [secrets.choice("bdfghklmnprstvz") + secrets.choice("aeiou") for _ in range(8)]
    return "-".join(a + b for a, b in zip(syllables[::2], syllables[1::2], strict=True))


async def _demo_login(auth: Watchword, password: str) -> bool:
    """Make the demo user if there is none. Returns whether this is its password: somebody may have set another."""
    try:
        demo = await auth.users.get(DEMO)
    except NotFound:
        demo = await auth.users.create(DEMO, password)
    return await auth.world.hasher.verify(demo.digest, password)


def _banner(settings: Settings, login: str) -> str:
    from watchword.pages import inbox, promises
    from watchword.pages.render import signs_in
    from watchword.storage.sql.urls import parse

    database = parse(settings.database_url)
    kept = (
        str(database.path.absolute())
        if database.kind == "sqlite"
        else "PostgreSQL, from WATCHWORD_DATABASE_URL"
    )
    home = settings.url + settings.prefix
    if signs_in(settings):
        ways_in = [
            f"  Sign in   {home}/",
            f"  Profile   {settings.url}/profile",
            f"  Account   {home}/account",
            f"  Promises  {settings.url}{promises.PATH.format(settings.prefix)}",
        ]
    else:
        ways_in = [f"  Sign in   POST {home}/login with email and password, as JSON"]
    if settings.pages:
        ways_in.append(f"  Mail      {settings.url}{inbox.PATH.format(settings.prefix)}")
    lines = [
        "Watchword for development, on this machine alone.",
        "",
        *ways_in,
        f"  Login     {login}",
        f"  OpenAPI   {home}/openapi.json",
        f"  Database  {kept}",
    ]
    if settings.database_url == DATABASE:
        lines.append(f"            for other verbs: export WATCHWORD_DATABASE_URL={DATABASE}")
    return "\n".join([*lines, "", "Ctrl+C stops it."])
