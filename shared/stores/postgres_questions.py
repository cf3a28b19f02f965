"""Questions that are asked again and again, prepared on the connections that ask them.

SQLAlchemy needs about as long to hand a statement of forty columns over as PostgreSQL to plan it,
and each of them several times as long as the answer takes. So a query object that was asked before
(one that is made once, at import) becomes a prepared statement; what is built anew for each call is
asked as before. A statement lives as long as its connection. PostgreSQL plans it for the values at
hand five times, from then on for any, and anew whenever its tables were changed or analysed.

A row comes as one JSON text: to describe forty columns and to read them one by one takes both sides
longer.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from weakref import WeakKeyDictionary

import msgspec
from psycopg2.extensions import AsIs
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    DateTime,
    Dialect,
    Integer,
    LargeBinary,
    PoolProxiedConnection,
    Row,
    Select,
    String,
    Text,
)
from sqlalchemy.engine import result_tuple

from shared.eventlog.postgres_pool import Connection

# The connection has forgotten it (DISCARD), has it already, or its columns had other types when it
# was prepared. On a new connection it is answered.
OUTDATED = ("26000", "42P05", "0A000")
# On one connection, so that no server's memory fills where queries are made on the way.
_MOST = 200
_MOST_COLUMNS = 100  # That a function takes.
_PREPARED = "questions"

Make = Callable[[Any], Any]


def _raw(text: str) -> bytes:
    return bytes.fromhex(text[2:])


# What a column may be, and what makes its value of what JSON says; before that the type of a value
# that is asked with, if it may be one.
_KINDS: dict[type, tuple[str, Make | None]] = {
    String: ("text", None),
    Text: ("text", None),
    Integer: ("bigint", None),
    BigInteger: ("bigint", None),
    Boolean: ("boolean", None),
    JSON: ("", None),
    DateTime: ("timestamptz", datetime.fromisoformat),
    LargeBinary: ("bytea", _raw),
}
_numbers = itertools.count(1)
_known: WeakKeyDictionary[Select[Any], Question | None] = WeakKeyDictionary()
_read = msgspec.json.Decoder().decode


@dataclass(eq=False, slots=True)
class Question:
    """A query with a name in the database. It is asked with values for exactly its ``names``."""

    name: str
    names: frozenset[str]
    prepare: str
    fixed: Mapping[str, Any]  # What else stands in its text.
    ask: str
    row: Callable[[Sequence[Any]], Row[Any]]
    makes: Sequence[tuple[int, Make]]
    can_be_prepared: bool


def question_of(query: Select[Any], values: Mapping[str, Any], dialect: Dialect) -> Question | None:
    """The question to ask with these values, if the query was asked before and can be prepared."""
    if query not in _known:
        _known[query] = None
        return None
    found = _known[query]
    if found is None:
        found = _known[query] = _question(query, dialect)
    return found if found.can_be_prepared and found.names == values.keys() else None


def answer(
    question: Question, held: PoolProxiedConnection, values: Mapping[str, Any]
) -> Sequence[Row[Any]]:
    """The rows, in one round trip; where the connection does not know the question, in two. Raises
    ``psycopg2.Error``."""
    driver = cast("Connection", held.driver_connection)
    with driver.cursor() as cursor:
        _prepare(question, held, cursor)
        driver.brief = True
        try:
            cursor.execute(question.ask, values)
        finally:
            driver.brief = False
        return [_row(question, text) for (text,) in cursor.fetchall()]


def _prepare(question: Question, held: PoolProxiedConnection, cursor: Any) -> None:
    there = held.info.setdefault(_PREPARED, set())
    if question.name in there:
        return
    if len(there) >= _MOST:
        there.clear()
        cursor.execute("DEALLOCATE ALL")
    cursor.execute(question.prepare, question.fixed)
    there.add(question.name)


def _row(question: Question, text: str) -> Row[Any]:
    values = _read(text)
    for place, make in question.makes:
        if values[place] is not None:
            values[place] = make(values[place])
    return question.row(values)


def _question(query: Select[Any], dialect: Dialect) -> Question:
    compiled = query.compile(dialect=dialect)
    names = [name for name, bind in compiled.binds.items() if bind.required]
    name = f"question_{next(_numbers)}"
    columns = list(query.selected_columns)
    asked = [_KINDS.get(type(compiled.binds[mark].type), ("", None))[0] for mark in names]
    marks = {mark: AsIs(f"${n}") for n, mark in enumerate(names, 1)}
    return Question(
        name=name,
        names=frozenset(names),
        prepare=f"PREPARE {name}{_listed(asked)} AS {_as_json(str(compiled), len(columns))}",
        fixed={**compiled.params, **marks},
        ask=f"EXECUTE {name}{_listed(f'%({mark})s' for mark in names)}",
        row=result_tuple([str(column.key) for column in columns]),
        makes=_makes(columns),
        can_be_prepared=all(asked)
        and len(columns) <= _MOST_COLUMNS
        and all(_can_be_read(column) for column in columns)
        and not compiled.post_compile_params,  # As with a list of values.
    )


def _makes(columns: Sequence[Any]) -> list[tuple[int, Make]]:
    found = ((n, _KINDS.get(type(column.type))) for n, column in enumerate(columns))
    return [(n, kind[1]) for n, kind in found if kind is not None and kind[1] is not None]


def _can_be_read(column: Any) -> bool:
    # One without a name is named by SQLAlchemy when it asks.
    return type(column.type) in _KINDS and (column.key or "").isidentifier()


def _listed(words: Iterable[str]) -> str:
    found = ", ".join(words)
    return f" ({found})" if found else ""


def _as_json(query: str, columns: int) -> str:
    # Rows stay in the order of the inner query: nothing is done with them but making texts.
    names = ", ".join(f"c{n}" for n in range(columns))
    return f"SELECT json_build_array({names})::text FROM ({query}) AS asked ({names})"  # nosec B608  # Our own words.
