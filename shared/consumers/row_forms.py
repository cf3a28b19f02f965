"""How the rows of one table pass to and from the database: worked out once per table and database.

SQLAlchemy builds the statements and knows how each type is stored. What it would do again for every
row of a batch (look at each parameter, write a list of keys into the statement) is done here: a
rebuild of all views takes 29 s of CPU time instead of 42 (500,000 events, measured).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC
from functools import lru_cache
from itertools import islice
from operator import itemgetter
from typing import Any, TypeVar

import msgspec
from sqlalchemy import (
    JSON,
    Column,
    Connection,
    DateTime,
    Delete,
    Dialect,
    Insert,
    Integer,
    LargeBinary,
    Select,
    String,
    Table,
    any_,
    bindparam,
    column,
    delete,
    func,
    select,
    tuple_,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.schema import ScalarElementColumnDefault

Key = tuple[Any, ...]
Row = dict[str, Any]
T = TypeVar("T")
_Convert = Callable[[Any], Any]
_AT_ONCE = 400
_ROWS = 5000
_PLAIN = frozenset({String, Integer})  # Types of keys that are stored as Python has them.


@lru_cache(maxsize=256)
def form_of(table: Table, dialect: Dialect) -> Form:
    """The form of a table in a database."""
    if dialect.name == "sqlite":
        return _SqliteForm(table, dialect)
    raw = any(isinstance(c.type, LargeBinary) for c in table.columns)  # JSON has no bytes.
    return Form(table, dialect) if raw else _PostgresForm(table, dialect)


class Form:
    """Reads and writes rows by SQLAlchemy alone: any database."""

    def __init__(self, table: Table, dialect: Dialect) -> None:
        self.names = tuple(c.name for c in table.columns)
        # All rows of one statement name the same columns, else the database would drop odd ones.
        self.defaults: Row = {c.name: _default(c) for c in table.columns}
        self._keys = tuple(c.name for c in table.primary_key)
        self.key_of: Callable[[Row], Key] = _picker(self._keys)
        self._instants = tuple(c.name for c in table.columns if isinstance(c.type, DateTime))
        self._selection = _selection(table)
        self._upsertion = _upsertion(table, dialect)
        self._deletion = _deletion(table)

    def select(self, connection: Connection, keys: Sequence[Key]) -> Iterator[Row]:
        """The rows that are there. Instants are in UTC and say so."""
        for some in _chunks(keys):
            wanted = some if len(self._keys) > 1 else [key[0] for key in some]
            for found in connection.execute(self._selection, {"keys": wanted}):
                yield self._row(found)

    def upsert(self, connection: Connection, rows: Sequence[Row]) -> None:
        """Adds rows, or replaces those of the same key."""
        if rows:
            connection.execute(self._upsertion, [self._in_utc(row) for row in rows])

    def delete(self, connection: Connection, keys: Sequence[Key]) -> None:
        """Takes rows away that may be there."""
        if keys:
            gone = [{f"key_{n}": part for n, part in enumerate(key)} for key in keys]
            connection.execute(self._deletion, gone)

    def _row(self, found: Iterable[Any]) -> Row:
        # SQLite gives instants back without their zone; a fold compares them with those of events.
        row = dict(zip(self.names, found, strict=True))
        for name in self._instants:
            if row[name] is not None and row[name].tzinfo is None:
                row[name] = row[name].replace(tzinfo=UTC)
        return row

    def _in_utc(self, row: Row) -> Row:
        return row | {name: _utc(row[name]) for name in self._instants}


class _SqliteForm(Form):
    """Hands finished tuples to the driver, and keys as one JSON list instead of so many marks."""

    def __init__(self, table: Table, dialect: Dialect) -> None:
        super().__init__(table, dialect)
        self._insert = str(self._upsertion.compile(dialect=dialect))
        self._remove = str(self._deletion.compile(dialect=dialect))
        self._values = _picker(self.names)
        converts = {n: _convert(c, dialect) for n, c in enumerate(table.columns)}
        self._converts = [(n, convert) for n, convert in converts.items() if convert is not None]
        self._plain_keys = all(type(c.type) in _PLAIN for c in table.primary_key)
        self._by_list = _by_list(table)

    def select(self, connection: Connection, keys: Sequence[Key]) -> Iterator[Row]:
        """See ``Form.select``."""
        if len(self._keys) > 1 or not self._plain_keys:
            yield from super().select(connection, keys)
        elif keys:
            wanted = _json_text([key[0] for key in keys])
            yield from map(self._row, connection.execute(self._by_list, {"keys": wanted}))

    def upsert(self, connection: Connection, rows: Sequence[Row]) -> None:
        """See ``Form.upsert``."""
        if rows:
            connection.exec_driver_sql(self._insert, [self._stored(row) for row in rows])

    def delete(self, connection: Connection, keys: Sequence[Key]) -> None:
        """See ``Form.delete``."""
        if not self._plain_keys:
            super().delete(connection, keys)
        elif keys:
            connection.exec_driver_sql(self._remove, list(keys))

    def _stored(self, row: Row) -> tuple[Any, ...]:
        values = self._values(row)
        if not self._converts:
            return values
        changed = list(values)
        for n, convert in self._converts:
            changed[n] = convert(changed[n])
        return tuple(changed)


class _PostgresForm(Form):
    """Hands all rows over as one JSON text, and keys as one list: so wide a statement with a mark
    for every value takes the driver and the server ten times as long."""

    def __init__(self, table: Table, dialect: Dialect) -> None:
        super().__init__(table, dialect)
        self._insert = _insert_of_json(table, dialect)
        self._values = _picker(self.names)
        self._keyed: Any = None
        if len(self._keys) == 1:
            (key,) = table.primary_key
            self._keyed = key == any_(bindparam("keys", type_=postgresql.ARRAY(key.type)))
            self._by_list = select(table).where(self._keyed)
            self._remove = delete(table).where(self._keyed)

    def select(self, connection: Connection, keys: Sequence[Key]) -> Iterator[Row]:
        """See ``Form.select``."""
        if self._keyed is None:
            yield from super().select(connection, keys)
        elif keys:
            wanted = {"keys": [key[0] for key in keys]}
            yield from map(self._row, connection.execute(self._by_list, wanted))

    def upsert(self, connection: Connection, rows: Sequence[Row]) -> None:
        """See ``Form.upsert``."""
        for some in _chunks(rows, _ROWS):
            for row in some:
                self._values(row)  # Raises KeyError where one is missing: JSON would say nothing.
            connection.exec_driver_sql(self._insert, (_json_rows(some),))

    def delete(self, connection: Connection, keys: Sequence[Key]) -> None:
        """See ``Form.delete``."""
        if self._keyed is None:
            super().delete(connection, keys)
        elif keys:
            connection.execute(self._remove, {"keys": [key[0] for key in keys]})


def _insert_of_json(table: Table, dialect: Dialect) -> str:
    quote = dialect.identifier_preparer.quote
    columns = ", ".join(quote(c.name) for c in table.columns)
    keys = [c.name for c in table.primary_key]
    changed = [quote(c.name) for c in table.columns if c.name not in keys]
    values = ", ".join(f"{name} = excluded.{name}" for name in changed)
    name, place = quote(table.name), ", ".join(map(quote, keys))
    rows = f"json_populate_recordset(NULL::{name}, %s)"
    action = f"UPDATE SET {values}" if changed else "NOTHING"  # nosec B608  # Our own words.
    clash = f"ON CONFLICT ({place}) DO {action}"
    return f"INSERT INTO {name} ({columns}) SELECT {columns} FROM {rows} {clash}"  # nosec B608  # Our own words.


def _json_rows(rows: Sequence[Row]) -> str:
    text = _json_text(rows)
    if "\\u0000" in text:  # No text of this database may have that character.
        text = _json_text([{k: _without_nul(v) for k, v in row.items()} for row in rows])
    return text


def _without_nul(value: Any) -> Any:
    return value.replace("\0", "\ufffd") if isinstance(value, str) else value


def _picker(names: tuple[str, ...]) -> Callable[[Row], tuple[Any, ...]]:
    if len(names) > 1:
        return itemgetter(*names)
    (name,) = names
    return lambda row: (row[name],)


def _default(one: Column[Any]) -> Any:
    return one.default.arg if isinstance(one.default, ScalarElementColumnDefault) else None


def _utc(at: Any) -> Any:
    return at if at is None or at.tzinfo is UTC else at.astimezone(UTC)


def _convert(one: Column[Any], dialect: Dialect) -> _Convert | None:
    if isinstance(one.type, JSON):
        return _json_text
    stored: _Convert | None = one.type.dialect_impl(dialect).bind_processor(dialect)
    if stored is None or not isinstance(one.type, DateTime):
        return stored
    return lambda at: stored(_utc(at))


def _json_text(value: Any) -> str:
    # What SQLAlchemy reads back with the standard library, written four times as fast.
    return msgspec.json.encode(value).decode()


def _chunks(all_of_them: Iterable[T], size: int = _AT_ONCE) -> Iterator[list[T]]:
    rest = iter(all_of_them)
    while some := list(islice(rest, size)):
        yield some


def _selection(table: Table) -> Select[Any]:
    columns = list(table.primary_key)
    key: Any = columns[0] if len(columns) == 1 else tuple_(*columns)
    return select(table).where(key.in_(bindparam("keys", expanding=True)))


def _by_list(table: Table) -> Select[Any]:
    wanted = func.json_each(bindparam("keys", type_=String)).table_valued(column("value"))
    (key, *_) = table.primary_key
    return select(table).where(key.in_(select(wanted.c.value)))


def _upsertion(table: Table, dialect: Dialect) -> Insert:
    make = postgresql.insert if dialect.name == "postgresql" else sqlite.insert
    statement = make(table)
    names = [c.name for c in table.primary_key]
    changed = {c.name: statement.excluded[c.name] for c in table.columns if c.name not in names}
    if changed:
        return statement.on_conflict_do_update(index_elements=names, set_=changed)
    return statement.on_conflict_do_nothing(index_elements=names)


def _deletion(table: Table) -> Delete:
    same = (c == bindparam(f"key_{n}") for n, c in enumerate(table.primary_key))
    return delete(table).where(*same)
