"""The sandbox's book: one SQLite file, and a reader that tests use as the truth from outside.

`charges` and `refunds` are append-only ledgers (triggers refuse UPDATE and DELETE); `resources`
holds the objects as Stripe would show them now.  Amounts are in minor units of the currency,
times in whole seconds since 1970 (machine time, not the platform's test clock).
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

BOOK_NAME = "payments.db"
PAGE = 10_000

_SCHEMA = """
CREATE TABLE IF NOT EXISTS resources (
  serial INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,  -- begins with the kind, then the time: every list is a range of it
  customer TEXT,
  tag TEXT,  -- the payment intent of a charge or refund, the type of an event
  body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS resources_by_customer ON resources (customer, id)
  WHERE customer IS NOT NULL;
CREATE INDEX IF NOT EXISTS resources_by_tag ON resources (tag, id) WHERE tag IS NOT NULL;

CREATE TABLE IF NOT EXISTS charges (
  serial INTEGER PRIMARY KEY,
  payment_intent TEXT NOT NULL, charge TEXT NOT NULL, customer TEXT, payment_method TEXT NOT NULL,
  amount_minor INTEGER NOT NULL, currency TEXT NOT NULL, metadata TEXT NOT NULL,
  status TEXT NOT NULL, created INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS refunds (
  serial INTEGER PRIMARY KEY,
  refund TEXT NOT NULL, charge TEXT NOT NULL, payment_intent TEXT NOT NULL,
  amount_minor INTEGER NOT NULL, currency TEXT NOT NULL, metadata TEXT NOT NULL,
  status TEXT NOT NULL, created INTEGER NOT NULL);

CREATE TABLE IF NOT EXISTS detached (payment_method TEXT PRIMARY KEY) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS idempotency (
  serial INTEGER PRIMARY KEY, scope TEXT NOT NULL, key TEXT NOT NULL, created INTEGER NOT NULL,
  fingerprint TEXT NOT NULL, request TEXT NOT NULL, status INTEGER NOT NULL, body TEXT NOT NULL,
  UNIQUE (scope, key));

CREATE TABLE IF NOT EXISTS deliveries (
  serial INTEGER PRIMARY KEY,
  event TEXT NOT NULL, created INTEGER NOT NULL, due REAL NOT NULL, rank INTEGER NOT NULL,
  held INTEGER NOT NULL, wrong_signature INTEGER NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0, state TEXT NOT NULL DEFAULT 'pending');
CREATE INDEX IF NOT EXISTS deliveries_due ON deliveries (due, rank) WHERE state = 'pending';
"""
_TRIGGER = """CREATE TRIGGER IF NOT EXISTS {table}_no_{verb} BEFORE {verb} ON {table}
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;"""


class BookedCharge(NamedTuple):
    """One attempt to take money; `status` is `succeeded` or `failed`."""

    payment_intent: str
    charge: str
    customer: str | None
    payment_method: str
    amount_minor: int
    currency: str
    metadata: dict[str, str]
    status: str
    created: int


class BookedRefund(NamedTuple):
    """Money given back."""

    refund: str
    charge: str
    payment_intent: str
    amount_minor: int
    currency: str
    metadata: dict[str, str]
    status: str
    created: int


def connect(path: Path) -> sqlite3.Connection:
    """A connection for writing; WAL and synchronous FULL, so what was answered survives a crash."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    # Most pages are written again by the next charge: copy them to the file less often (16 MB).
    connection.execute("PRAGMA wal_autocheckpoint = 4000")
    connection.execute("PRAGMA cache_size = -16000")
    connection.row_factory = sqlite3.Row
    return connection


def create(path: Path) -> None:
    """Make the tables, if they are not there yet."""
    with closing(connect(path)) as connection:
        connection.executescript(_SCHEMA)
        for table in ("charges", "refunds"):
            for verb in ("UPDATE", "DELETE"):
                connection.execute(_TRIGGER.format(table=table, verb=verb))


class Book:
    """Reads the ledgers of a data folder, also while the sandbox is running."""

    def __init__(self, path: Path | str) -> None:
        given = Path(path)
        self.path = given / BOOK_NAME if given.is_dir() else given

    def charges(self, after: int = 0, limit: int = -1) -> list[BookedCharge]:
        """Every charge in the order booked, refused ones too; `after` skips that many rows."""
        rows = self._rows("charges", BookedCharge._fields, after, limit)
        return [BookedCharge._make(row) for row in rows]

    def refunds(self, after: int = 0, limit: int = -1) -> list[BookedRefund]:
        """Every refund in the order booked; `after` skips that many rows."""
        rows = self._rows("refunds", BookedRefund._fields, after, limit)
        return [BookedRefund._make(row) for row in rows]

    def _rows(
        self, table: str, fields: tuple[str, ...], after: int, limit: int
    ) -> Iterator[list[object]]:
        # Rows are never deleted, so the n-th row has serial n; names are constants of this file.
        query = f"SELECT {', '.join(fields)} FROM {table} WHERE serial > ? ORDER BY serial LIMIT ?"  # nosec B608
        with closing(sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=ro", uri=True)) as book:
            rows = book.execute(query, (after, limit)).fetchall()
        metadata = fields.index("metadata")
        for row in rows:
            yield [*row[:metadata], json.loads(row[metadata]), *row[metadata + 1 :]]
