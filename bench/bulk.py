"""Rows by the thousand, made by the database itself: what a table of years holds, in seconds."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass

import psycopg

from watchword.spans import DAY


@dataclass(frozen=True)
class Dialect:
    """How a database says what the other says in its own way: numbers from 1 on, and 32 bytes that nobody else has."""

    numbers: str
    digest: str


LITE = Dialect(
    "WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < {count})",
    "randomblob(32)",
)
BIG = Dialect(
    "WITH number(n) AS (SELECT generate_series(1, {count}))",
    "decode(md5(random()::text || n::text) || md5(n::text), 'hex')",
)


def dialect_of(url: str) -> Dialect:
    return LITE if url.startswith("sqlite") else BIG


def fill(url: str, statements: Iterable[str]) -> None:
    """Run them, and leave the database as one that has been there for a while."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            for statement in statements:
                connection.execute(statement)
            connection.commit()
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return
    with psycopg.connect(url, autocommit=True) as postgres:
        for statement in statements:
            postgres.execute(statement.encode())
        postgres.execute("VACUUM ANALYZE")
        postgres.execute("CHECKPOINT")


def insert(dialect: Dialect, table: str, count: int, columns: dict[str, str]) -> str:
    names, values = ", ".join(f'"{name}"' for name in columns), ", ".join(columns.values())
    numbers = dialect.numbers.format(count=count)
    return f"INSERT INTO {table} ({names}) {numbers} SELECT {values} FROM number"


def id_of(prefix: str) -> str:
    return f"'{prefix}' || (10000000 + n) || '-0000-7000-8000-000000000000'"


def owner(count: int) -> str:
    """One of so many users of `users`, scattered."""
    return f"'u' || (10000001 + n % {count} * 7919 % {count}) || '-0000-7000-8000-000000000000'"


def users(now: int) -> dict[str, str]:
    return {
        "id": id_of("u"),
        "email": "'expired' || n || '@example.com'",
        "email_verified": "1 = 1",
        "status": "'active'",
        "roles": "'[]'",
        "tokens_from": "0",
        "created_at": str(now),
        "two_factor": "1 = 0",
    }


def sessions(dialect: Dialect, *, owners: int, began: str, until: str) -> dict[str, str]:
    """Of as many users in turn: `began` and `until` are what SQL makes instants of."""
    zeros = dict.fromkeys(
        ("parent", "floor", "before", "minted_at", "rotated_at", "crossings", "crossed"), "0"
    )
    return zeros | {
        "sid": id_of("0"),
        "user_id": owner(owners),
        "mode": "'cookies'",
        "seed": dialect.digest,
        "newest": "1",
        "context": "''",
        "created_at": began,
        "auth_time": began,
        "amr": "'[\"pwd\"]'",
        "idle_until": until,
        "idle_day": f"({until}) / {DAY} * {DAY}",
        "ends_at": until,
        "last_used_at": began,
        "ip": "'192.0.2.1'",
        "user_agent": f"'{'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'}'",
    }
