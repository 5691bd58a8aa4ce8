"""Who is compared, in which operations, and what starts them. What each does per operation stands in its adapter."""

from __future__ import annotations

import ast
import secrets
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.apps import PASSWORD
from bench.databases import Texts, sqlite, within
from bench.peers import environments, wires
from bench.peers.environments import HERE, installed
from bench.peers.processes import Process
from watchword import Watchword

PEOPLE = 8


@dataclass(frozen=True)
class Contestant:
    """`adapter` is its file below bench/peers, and "" for ours. `settings` may name `{place}`, `{unique}` and
    `{postgres}`; who names the latter needs a server there."""

    name: str
    wire: type[wires.Wire]
    adapter: str
    operations: tuple[str, ...]
    settings: Mapping[str, str] = field(default_factory=dict)
    app: str = ""
    """Of bench.apps, where it is ours."""

    def start(self, place: Path, postgres: str | None) -> Process:
        """Raises NotInstalledError."""
        if self.app:
            return _ours(self.app, place, self.settings)
        values = {"place": str(place), "unique": secrets.token_hex(4), "postgres": postgres or ""}
        if postgres is None and any("{postgres}" in text for text in self.settings.values()):
            raise environments.NotInstalledError("no PostgreSQL answers at TEST_POSTGRES_URL")
        named = {name: text.format_map(values) for name, text in self.settings.items()}
        secret = secrets.token_urlsafe(48)
        env = {"PEER_SECRET": secret, "PEER_PASSWORD": PASSWORD, "PEER_PEOPLE": str(PEOPLE), **named}
        return _STARTS[self.adapter](env)

    @property
    def warm_up(self) -> int:
        """Seconds of load before it is measured: Node doubles its rate while it compiles what is used most."""
        return 10 if self.adapter.endswith(".mjs") else 1

    @property
    def does(self) -> str:
        """What its adapter says of itself."""
        file = HERE / self.adapter
        text = file.read_text(encoding="utf-8")
        if file.suffix == ".mjs":
            return text.partition("/*\n")[2].partition("*/")[0].strip()
        return ast.get_docstring(ast.parse(text)) or ""

    @property
    def versions(self) -> str:
        try:
            return _VERSIONS[self.adapter]()
        except environments.NotInstalledError:
            return "not installed"


def _listener() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0), backlog=128)


def _ours(app: str, place: Path, more: Texts) -> Process:
    texts = sqlite(place, synchronous="full", **more)
    within(texts, _people)
    listener = _listener()
    env = {f"WATCHWORD_{name.upper()}": value for name, value in texts.items()}
    command = [sys.executable, "-m", "bench.apps", app, "", str(listener.fileno())]
    return Process(command, env, listener, Path.cwd())


async def _people(auth: Watchword) -> None:
    for number in range(PEOPLE):
        await auth.users.create(f"user{number}@example.com", PASSWORD)


def _asgi(peer: str) -> Callable[[dict[str, str]], Process]:
    def start(env: dict[str, str]) -> Process:
        interpreter = environments.python(peer)
        listener = _listener()
        command = [
            str(interpreter),
            str(HERE / "asgi.py"),
            str(HERE / peer / "app.py"),
            str(listener.fileno()),
        ]
        return Process(command, env, listener, HERE)

    return start


def _gunicorn(env: dict[str, str]) -> Process:
    interpreter = environments.python("simplejwt")
    Process.run([str(interpreter), "app.py"], env, HERE / "simplejwt")
    listener = _listener()
    how = ["--workers", "1", "--threads", "8", "--keep-alive", "600", "--no-control-socket"]
    where = ["--log-level", "warning", "--graceful-timeout", "1", "--bind", f"fd://{listener.fileno()}"]
    command = [str(interpreter), "-m", "gunicorn", *how, *where, "app:application"]
    return Process(command, env, listener, HERE / "simplejwt")


def _node(env: dict[str, str]) -> Process:
    place = environments.node("better_auth")
    listener = _listener()
    command = ["node", "serve.mjs", str(listener.fileno())]
    return Process(command, {**env, "NODE_ENV": "production"}, listener, place)


def _node_versions() -> str:
    packages = environments.node_packages("better_auth")
    return f"Node {environments.node_version()}, " + ", ".join(packages)


_STARTS: dict[str, Callable[[dict[str, str]], Process]] = {
    "authx/app.py": _asgi("authx"),
    "fastapi_users/app.py": _asgi("fastapi_users"),
    "simplejwt/app.py": _gunicorn,
    "better_auth/serve.mjs": _node,
    "better_auth_server/app.py": _asgi("better_auth_server"),
    "s1/app.py": _asgi("s1"),
}
_VERSIONS: dict[str, Callable[[], str]] = {
    "authx/app.py": lambda: installed("authx", "authx", "fastapi", "uvicorn"),
    "fastapi_users/app.py": lambda: installed(
        "fastapi_users", "fastapi-users", "sqlalchemy", "aiosqlite", "asyncpg", "fastapi", "uvicorn"
    ),
    "simplejwt/app.py": lambda: installed(
        "simplejwt", "djangorestframework-simplejwt", "djangorestframework", "django", "gunicorn"
    ),
    "better_auth/serve.mjs": _node_versions,
    "better_auth_server/app.py": lambda: installed(
        "better_auth_server", "better-auth-server", "sqlalchemy", "aiosqlite", "fastapi", "uvicorn"
    ),
    "s1/app.py": lambda: installed("s1", "bcrypt", "pyjwt", "fastapi", "uvicorn"),
}

_LITE = {"PEER_DATABASE": "{place}/{unique}.db"}
_ALCHEMY = {"PEER_DATABASE": "sqlite+aiosqlite:///{place}/{unique}.db"}
_CACHED = {"PEER_CACHE": "on", "PEER_UPDATE_AGE": "86400"}
_UNCACHED = {"PEER_CACHE": "off", "PEER_UPDATE_AGE": "86400"}
_ALWAYS = {"PEER_CACHE": "off", "PEER_UPDATE_AGE": "0"}
OURS = "Watchword"
"""What the others are compared with: on FastAPI with `CurrentUser` for a guard, the whole server else."""

CONTESTANTS: Sequence[Contestant] = (
    Contestant(OURS, wires.Ours, "", ("guard",), app="fastapi_current_user"),
    Contestant("Watchword, request.scope", wires.Ours, "", ("guard",), app="fastapi_guarded"),
    Contestant("Watchword on Starlette", wires.Ours, "", ("guard",), app="starlette_guarded"),
    Contestant(OURS, wires.Ours, "", ("refresh", "login"), {"rotation_window": "1ms"}, app="whole"),
    Contestant("bare FastAPI", wires.Nobody, "", ("guard",), app="fastapi_bare"),
    Contestant("bare Starlette", wires.Nobody, "", ("guard",), app="starlette_bare"),
    Contestant("AuthX", wires.Wire, "authx/app.py", ("guard", "refresh")),
    Contestant(
        "fastapi-users, SQLite", wires.FastAPIUsers, "fastapi_users/app.py", ("guard", "login"), _ALCHEMY
    ),
    Contestant(
        "fastapi-users, PostgreSQL",
        wires.FastAPIUsers,
        "fastapi_users/app.py",
        ("guard",),
        {"PEER_DATABASE": "{postgres}"},
    ),
    Contestant("SimpleJWT", wires.SimpleJWT, "simplejwt/app.py", ("guard", "refresh", "login"), _LITE),
    Contestant(
        "better-auth, cookie cache", wires.BetterAuth, "better_auth/serve.mjs", ("guard",), _LITE | _CACHED
    ),
    Contestant(
        "better-auth, database", wires.BetterAuth, "better_auth/serve.mjs", ("guard",), _LITE | _UNCACHED
    ),
    Contestant(
        "better-auth", wires.BetterAuth, "better_auth/serve.mjs", ("refresh", "login"), _LITE | _ALWAYS
    ),
    Contestant(
        "better-auth-server, cookie cache",
        wires.BetterAuth,
        "better_auth_server/app.py",
        ("guard",),
        _ALCHEMY | _CACHED,
    ),
    Contestant(
        "better-auth-server, database",
        wires.BetterAuth,
        "better_auth_server/app.py",
        ("guard",),
        _ALCHEMY | _UNCACHED,
    ),
    Contestant(
        "better-auth-server",
        wires.BetterAuth,
        "better_auth_server/app.py",
        ("refresh", "login"),
        _ALCHEMY | _ALWAYS,
    ),
    Contestant("S1", wires.S1, "s1/app.py", ("guard", "refresh", "login"), _LITE),
)
