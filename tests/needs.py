"""How a test asks for what may not be on the machine.

Each function returns the value, or skips the calling test with the reason and the variable that would help.
With TEST_REQUIRE=all, as in CI, it fails the test instead: a suite that skips has proved nothing.
"""

import os
import shutil
from functools import cache
from typing import NoReturn

import psycopg
import pytest

DEFAULT_POSTGRES_URL = "postgresql://postgres@127.0.0.1:5432/test"


def everything_is_required() -> bool:
    return os.environ.get("TEST_REQUIRE") == "all"


def postgres_url() -> str:
    """The URL of a database in which the caller may make and drop schemas and databases of its own."""
    url = os.environ.get("TEST_POSTGRES_URL", DEFAULT_POSTGRES_URL)
    fault = _connection_fault(url)
    if fault is not None:
        _missing(f"PostgreSQL is not reachable at {_without_password(url)} ({fault}); set TEST_POSTGRES_URL")
    return url


def chromium_path() -> str:
    """A Chromium that Playwright may start with executable_path=; nothing is ever downloaded."""
    return _program("Chromium", "TEST_CHROMIUM", "chromium", "chromium-browser", "google-chrome")


def node_path() -> str:
    return _program("Node", "TEST_NODE", "node", "nodejs")


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


def _without_password(url: str) -> str:
    try:
        known = psycopg.conninfo.conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        return "the address in TEST_POSTGRES_URL"
    return f"{known.get('host', 'the local socket')}:{known.get('port', 5432)}/{known.get('dbname', '')}"
