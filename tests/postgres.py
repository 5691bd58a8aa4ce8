"""Databases of a test's own on the PostgreSQL that is there."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg.sql import SQL, Identifier


@contextmanager
def fresh_database(server_url: str) -> Iterator[str]:
    """The URL of a new, empty database; dropped at the end, whoever is still connected."""
    name = f"ww_test_{secrets.token_hex(6)}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
        try:
            yield server_url.rpartition("/")[0] + "/" + name
        finally:
            connection.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))
