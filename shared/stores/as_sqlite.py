"""Tables for PostgreSQL with the columns that they have in SQLite, which knows no others."""

from __future__ import annotations

from typing import cast
from weakref import WeakKeyDictionary

from sqlalchemy import BigInteger, Integer, MetaData, String, Text
from sqlalchemy.types import TypeEngine

_forms: WeakKeyDictionary[MetaData, MetaData] = WeakKeyDictionary()


def as_sqlite_has(metadata: MetaData) -> MetaData:
    """The tables as SQLite has them: whole numbers of 64 bits, texts in the order of their bytes
    whatever the locale of the database is (a page of a list begins behind a text)."""
    found = _forms.get(metadata)
    if found is None:
        found = _forms[metadata] = MetaData()
        for table in metadata.sorted_tables:
            for column in table.to_metadata(found).columns:
                column.type = _stored_type(column.type)
    return found


def _stored_type(kind: TypeEngine[object]) -> TypeEngine[object]:
    if isinstance(kind, String):
        return cast("TypeEngine[object]", Text(collation="C"))
    return cast("TypeEngine[object]", BigInteger()) if isinstance(kind, Integer) else kind
