"""How a test asks for what may not be on the machine.

Each function returns the value, or skips the calling test with the reason and the variable that would help.
With TEST_REQUIRE=all, as in CI, it fails the test instead: a suite that skips has proved nothing.
"""

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import NoReturn

import psycopg
import pytest
import redis

DEFAULT_POSTGRES_URL = "postgresql://postgres@127.0.0.1:5432/test"
DEFAULT_REDIS_URL = "redis://127.0.0.1:6379/0"
OLDEST_NODE = 18
"""The oldest release that has what the packages of tests/node use: Debian 12's."""


def everything_is_required() -> bool:
    return os.environ.get("TEST_REQUIRE") == "all"


def postgres_url() -> str:
    """The URL of a database in which the caller may make and drop schemas and databases of its own."""
    url = os.environ.get("TEST_POSTGRES_URL", DEFAULT_POSTGRES_URL)
    fault = _connection_fault(url)
    if fault is not None:
        _missing(f"PostgreSQL is not reachable at {_without_password(url)} ({fault}); set TEST_POSTGRES_URL")
    return url


def redis_url() -> str:
    """The URL of a Redis in which the caller may make keys that expire."""
    url = os.environ.get("TEST_REDIS_URL", DEFAULT_REDIS_URL)
    if not _redis_answers(url):
        _missing("Redis does not answer at its address; set TEST_REDIS_URL")
    return url


def chromium_path() -> str:
    """A Chromium that Playwright may start with executable_path=; nothing is ever downloaded."""
    return _program("Chromium", "TEST_CHROMIUM", "chromium", "chromium-browser", "google-chrome")


def postgres_binaries() -> Path:
    """The folder with initdb and pg_ctl, for a server of a test's own. As root it takes the user that Debian makes."""
    named = os.environ.get("TEST_POSTGRES_BINARIES")
    found = [Path(named)] if named else sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_release)
    if not found or not os.access(found[-1] / "initdb", os.X_OK):
        _missing("PostgreSQL's initdb is not in /usr/lib/postgresql; set TEST_POSTGRES_BINARIES")
    if os.geteuid() == 0 and (shutil.which("runuser") is None or not _known("postgres")):
        _missing("PostgreSQL does not run as root, and there is no user postgres to run it as")
    return found[-1]


def redis_server_path() -> str:
    """The program, for a server of a test's own."""
    return _program("redis-server", "TEST_REDIS_SERVER", "redis-server", "valkey-server")


@contextmanager
def small_disk(megabytes: int) -> Iterator[Path]:
    """A folder on a disk of its own that is easily filled: in memory, unmounted at the end."""
    folder = Path(mkdtemp(prefix="watchword-disk-"))
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0700", "watchword-test", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, text=True)
        if mounted.returncode != 0:
            _missing(f"a small disk cannot be mounted, which takes root: {mounted.stderr.strip()}")
        try:
            yield folder
        finally:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
    finally:
        folder.rmdir()


def strace_path() -> str:
    """A strace that may look at a process which it starts: not everywhere, in a container."""
    path = _program("strace", "TEST_STRACE", "strace")
    traced = subprocess.run([path, "-o", os.devnull, "true"], capture_output=True, text=True)
    if traced.returncode != 0:
        _missing(f"strace may trace nothing here: {traced.stderr.strip()}")
    return path


def pgbouncer_path() -> str:
    return _program("PgBouncer", "TEST_PGBOUNCER", "pgbouncer", "/usr/sbin/pgbouncer")


def node_path() -> str:
    path = _program("Node", "TEST_NODE", "node", "nodejs")
    if node_release(path) < OLDEST_NODE:
        _missing(f"Node at {path} is older than {OLDEST_NODE}; set TEST_NODE")
    return path


def npm_path() -> str:
    return _program("npm", "TEST_NPM", "npm")


@cache
def node_release(path: str) -> int:
    """The first number of a Node's version."""
    said = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout
    return int(said.removeprefix("v").partition(".")[0])


def node_modules(folder: str = "tests/node") -> Path:
    """Where the packages are that the package.json of a folder names; they are installed by `make node` alone."""
    path = Path(__file__).parents[1] / folder / "node_modules"
    if not (path / ".package-lock.json").is_file():  # npm writes it last
        _missing(f"the packages of {folder} are not installed in {path}; with npm on the machine: make node")
    return path


def _release(binaries: Path) -> int:
    """Of /usr/lib/postgresql/15/bin."""
    return int(binaries.parent.name) if binaries.parent.name.isdigit() else 0


def _known(user: str) -> bool:
    try:
        return bool(pwd.getpwnam(user))
    except KeyError:
        return False


def _missing(reason: str) -> NoReturn:
    if everything_is_required():
        pytest.fail(f"{reason} (TEST_REQUIRE=all)", pytrace=False)
    pytest.skip(reason)


def _program(title: str, variable: str, *names: str) -> str:
    named = os.environ.get(variable)
    for name in (named,) if named else names:
        path = shutil.which(name)
        if path is not None:
            return path
    if named:
        _missing(f"{title}: {variable}={named} is not an executable file")
    _missing(f"{title} is not on this machine ({', '.join(names)}); set {variable}")


@cache
def _connection_fault(url: str) -> str | None:
    try:
        psycopg.connect(url, connect_timeout=3).close()
    except psycopg.Error as error:
        return str(error).strip().splitlines()[0]
    return None


@cache
def _redis_answers(url: str) -> bool:
    try:
        with redis.Redis.from_url(url, socket_connect_timeout=3) as client:
            return bool(client.ping())
    except (redis.RedisError, ValueError):
        return False


def _without_password(url: str) -> str:
    try:
        known = psycopg.conninfo.conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        return "the address in TEST_POSTGRES_URL"
    return f"{known.get('host', 'the local socket')}:{known.get('port', 5432)}/{known.get('dbname', '')}"
