"""What statements are made of beyond SQLAlchemy's own: the clock that decides, a hint, and a limit. No statement."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Integer, Select, Text, bindparam, literal_column
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class Now(FunctionElement[int]):
    """The instant by the clock that decides about sessions: PostgreSQL's own, so that all hosts share one; on SQLite
    the host's, which the store registers as the function `ww_now`."""

    type = BigInteger()
    inherit_cache = True


@compiles(Now, "sqlite")
def _now_sqlite(element: Now, compiler: SQLCompiler, **options: Any) -> str:
    return "ww_now()"


@compiles(Now, "postgresql")
def _now_postgresql(element: Now, compiler: SQLCompiler, **options: Any) -> str:
    # Not now(), which stands still in a transaction: what waited for a lock would be dated before the wait.
    return "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"


CHANNEL = "ww_revoked"
"""Where PostgreSQL's hints come by. Channels are the database's own: another installation's is another one."""


class Hint(FunctionElement[str]):
    """A column, of no meaning, of a statement that changes what feeds of revocations read: on PostgreSQL whoever
    listens is told when the transaction commits, once however many rows there are. SQLite needs none."""

    type = Text()
    inherit_cache = True


@compiles(Hint, "sqlite")
def _hint_sqlite(element: Hint, compiler: SQLCompiler, **options: Any) -> str:
    return "NULL"


@compiles(Hint, "postgresql")
def _hint_postgresql(element: Hint, compiler: SQLCompiler, **options: Any) -> str:
    return f"pg_notify('{CHANNEL}', '')::text"


def limited(query: Select[Any]) -> Select[Any]:
    """At most `:limit` rows."""
    # The offset is written out because SQLite's dialect would make a parameter of it.
    return query.limit(bindparam("limit", type_=BigInteger)).offset(literal_column("0", Integer))
