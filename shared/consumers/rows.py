"""Rows of a projection in memory: a batch of events is folded here, then written at once.

Folding 1,000 events and writing the rows they changed is seven times as fast as one statement per
event (42 k/s against 5.7 k/s, measured).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Table

from shared.consumers.row_forms import Form, Key, Row, form_of

__all__ = ["Key", "Row", "Rows"]


class Rows:
    """The rows a batch touches, by table and primary key. ``None`` stands for "not there"."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._tables: dict[Table, _Known] = {}

    def prefetch(self, wanted: Iterable[tuple[Table, Key]]) -> None:
        """Loads rows that the batch will ask for, in few queries."""
        by_table: dict[Table, dict[Key, None]] = {}
        for table, key in wanted:
            by_table.setdefault(table, {})[key] = None
        for table, keys in by_table.items():
            known = self._of(table)
            known.load(self._connection, [key for key in keys if key not in known.rows])

    def get(self, table: Table, *key: Any) -> Row | None:
        """A row to read. To change it, use ``change``."""
        known = self._of(table)
        if key not in known.rows:
            known.load(self._connection, [key])
        return known.rows[key]

    def change(self, table: Table, *key: Any) -> Row:
        """A row to change in place. Raises ``KeyError`` if there is none: a fold must know."""
        row = self.get(table, *key)
        if row is None:
            raise KeyError(table.name, key)
        self._tables[table].changed[key] = None
        return row

    def put(self, table: Table, row: Row) -> None:
        """Adds or replaces a row; it names every column that has no default."""
        known = self._of(table)
        row = known.form.defaults | row
        key = known.form.key_of(row)
        known.rows[key] = row
        known.changed[key] = None

    def drop(self, table: Table, *key: Any) -> None:
        """Takes a row away, if it is there."""
        known = self._of(table)
        known.rows[key] = None
        known.changed[key] = None

    def flush(self) -> int:
        """Writes what changed; says how many rows that were."""
        return sum(known.flush(self._connection) for known in self._tables.values())

    def _of(self, table: Table) -> _Known:
        known = self._tables.get(table)
        if known is None:
            form = form_of(table, self._connection.dialect)
            known = self._tables[table] = _Known(form)
        return known


class _Known:
    """What is known of one table's rows, and which of them have to be written."""

    __slots__ = ("changed", "form", "rows")

    def __init__(self, form: Form) -> None:
        self.form = form
        self.rows: dict[Key, Row | None] = {}
        self.changed: dict[Key, None] = {}

    def load(self, connection: Connection, keys: list[Key]) -> None:
        self.rows.update(dict.fromkeys(keys))
        for row in self.form.select(connection, keys):
            self.rows[self.form.key_of(row)] = row

    def flush(self, connection: Connection) -> int:
        kept = [row for key in self.changed if (row := self.rows[key]) is not None]
        gone = [key for key in self.changed if self.rows[key] is None]
        self.form.upsert(connection, kept)
        self.form.delete(connection, gone)
        count = len(self.changed)
        self.changed.clear()
        return count
