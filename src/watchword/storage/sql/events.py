"""The statements about events, as clauses: rows are added, read and swept, and none is ever changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    ClauseElement,
    ColumnElement,
    Dialect,
    Text,
    bindparam,
    cast,
    column,
    func,
    literal_column,
    select,
    true,
)
from sqlalchemy.dialects import postgresql, sqlite

from watchword.storage.sql.clauses import Now, Script, compiled, limited, sweeping
from watchword.storage.sql.rows import EVENT
from watchword.storage.sql.tables import ww_event

_event = ww_event.c
_columns = (*(_event[name] for name in EVENT), _event.written_at)


@dataclass(frozen=True, slots=True)
class EventStatements:
    """The texts for one driver, as `statements.Statements` has the others."""

    list_theirs: str
    list_all: str
    read: str

    append: Script
    sweep: Script


def compose(dialect: Dialect) -> EventStatements:
    """Compile everything for one dialect."""
    return EventStatements(
        list_theirs=compiled(_listing(_event.user_id == bindparam("user_id")), dialect),
        list_all=compiled(_listing(), dialect),
        read=compiled(_since(), dialect),
        append=(compiled(_append(dialect), dialect),),
        sweep=(compiled(_sweep(), dialect),),
    )


def _append(dialect: Dialect) -> ClauseElement:
    """One text and one round trip for any number of rows (`rows.event_parameters`); those that are there stay. Only
    how a database takes JSON apart is its own."""
    given, names = bindparam("rows", type_=Text), [*EVENT, "written_at"]
    if dialect.name == "sqlite":
        rows = func.json_each(given).table_valued("value").alias("given")
        cells: list[ColumnElement[Any]] = [
            func.json_extract(rows.c.value, literal_column(f"'$[{place}]'")) for place in range(len(EVENT))
        ]
        # The condition keeps SQLite from reading ON CONFLICT as the end of a join.
        chosen = select(*cells, Now()).select_from(rows).where(true())
        added = sqlite.insert(ww_event).from_select(names, chosen)
        return added.on_conflict_do_nothing().returning(_event.id)
    elements = func.jsonb_array_elements(cast(given, postgresql.JSONB))
    values = elements.table_valued(column("value", postgresql.JSONB)).render_derived("given")
    cells = [
        cast(values.c.value.op("->>")(literal_column(str(place))), _event[name].type)
        for place, name in enumerate(EVENT)
    ]
    added_too = postgresql.insert(ww_event).from_select(names, select(*cells, Now()).select_from(values))
    return added_too.on_conflict_do_nothing().returning(_event.id)


def _listing(*which: ColumnElement[bool]) -> ClauseElement:
    """Newest first."""
    before = _event.id < bindparam("before")
    return limited(select(*_columns).where(before, *which).order_by(_event.id.desc()))


def _since() -> ClauseElement:
    """In the order of writing. The first condition is what the index knows."""
    since = bindparam("since", type_=BigInteger)
    behind = (_event.written_at > since) | (_event.id > bindparam("after"))
    recent = select(*_columns).where(_event.written_at >= since, behind)
    return limited(recent.order_by(_event.written_at, _event.id))


def _sweep() -> ClauseElement:
    """What has been there for long enough."""
    horizon = bindparam("horizon", type_=BigInteger)
    return sweeping(_event.id, _event.written_at < horizon)
