"""A store in a schema of a PostgreSQL database. Only what names PostgreSQL in its settings loads
this module.

Writers of one store take turns, as in a file: those of one process by a lock of its own (so that
waiting costs no connection), those of several by an advisory lock that the transaction takes as its
first step. Thus "look, then write" needs no row locks and an insert of what is not there cannot
clash. Opening a transaction is one round trip. Why: docs/adr/0016-stores-in-postgresql.md.
"""

from __future__ import annotations

import contextlib
import re
import threading
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import cast
from weakref import WeakKeyDictionary

import psycopg2
from sqlalchemy import (
    BigInteger,
    Connection,
    Engine,
    Integer,
    MetaData,
    QueuePool,
    String,
    Text,
    create_engine,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnectionError
from sqlalchemy.types import TypeEngine

from shared.eventlog.postgres_pool import connect, translate, translate_is_loss
from shared.refusals import refusal

# Of one process to one store, never shared with another store: whoever waits here for a connection
# may hold one of another. With the log's own they are what max_connections is divided by.
CONNECTIONS = 8
PATIENCE = 30  # Seconds, for a connection and for one's turn.
_TURNS = 7_263_001  # The first half of the advisory locks' names.
# A plan is made for the values at hand: views are searched in many ways. Instants come back in UTC.
# What was acknowledged survives a power cut, also where the server's default is careless.
_PREPARE = """
SET TimeZone = 'UTC'; SET jit = off;
SET lock_timeout = '%ds'; SET idle_in_transaction_session_timeout = '60s';
SELECT set_config('synchronous_commit', 'on', false)
  WHERE current_setting('synchronous_commit') = 'off';
"""
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_NOT_THERE = "42P01"  # A table that another process makes and has not made yet.
_NOT_ALLOWED = "42501"


class PostgresStore:
    """A ``Store`` in a schema. ``address`` is libpq's (``postgresql://user@host:port/database``).

    Stores of the same schema share a process's connections, at most so many as the first one says;
    whoever finds none free waits.
    """

    def __init__(
        self,
        address: str,
        schema: str,
        *,
        durable: bool,
        connections: int = CONNECTIONS,
        patience: int = PATIENCE,
    ) -> None:
        if not _NAME.fullmatch(schema):
            message = f"{schema!r} is no plain name of a schema"
            raise ValueError(message)
        self.schema = schema
        self._place: tuple[str, str] | None = (address, schema)
        self._shared = _use(address, schema, connections, patience)
        self.engine: Engine = self._shared.engine
        self._made: set[MetaData] = set()
        here = f"SET LOCAL search_path = {schema};"
        self._look = f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {here}"
        lazily = "" if durable else "SET LOCAL synchronous_commit = off;"
        name = zlib.crc32(schema.encode()) - 2**31
        self._begin = f"BEGIN; {here}{lazily} SELECT pg_advisory_xact_lock({_TURNS}, {name})"

    def create(self, metadata: MetaData) -> None:
        """See ``Store.create``. Raises ``log_not_migrated`` where the schema is missing and this
        role may not make it."""
        if metadata in self._made:
            return
        with self.write() as connection:
            there = connection.exec_driver_sql("SELECT to_regnamespace(%s)", (self.schema,))
            if there.scalar() is None:
                connection.exec_driver_sql(f"CREATE SCHEMA {self.schema}")
            _stored_form(metadata).create_all(connection)
        self._made.add(metadata)

    def remake(self, connection: Connection, metadata: MetaData) -> None:
        """See ``Store.remake``."""
        metadata.drop_all(connection)
        _stored_form(metadata).create_all(connection)

    @contextlib.contextmanager
    def write(self) -> Iterator[Connection]:
        """See ``Store.write``."""
        with _translated(), _taken(self._shared), self._transaction(self._begin) as connection:
            yield connection
            _say(connection, "COMMIT")

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """See ``Store.read``."""
        with _translated(), self._transaction(self._look) as connection:
            yield connection
            _say(connection, "ROLLBACK")

    def close(self) -> None:
        """See ``Store.close``. Another store on the same schema keeps what it shares with this."""
        place, self._place = self._place, None
        if place is not None:
            _let_go(place)

    @contextlib.contextmanager
    def _transaction(self, opening: str) -> Iterator[Connection]:
        connection = self._begun(opening)
        try:
            yield connection
        except BaseException:
            _undo(connection)
            raise
        finally:
            connection.close()

    def _begun(self, opening: str) -> Connection:
        # Nothing was done yet, so a connection that was lost meanwhile may be replaced.
        try:
            return _opened(self.engine, opening)
        except psycopg2.Error as error:
            if not translate_is_loss(error):
                raise
            self.engine.dispose()  # The others were made before the server went away, too.
        return _opened(self.engine, opening)


@dataclass
class _Shared:
    """What the stores of one schema share in this process: connections, and whose turn it is."""

    engine: Engine
    patience: int
    turn: threading.Lock = field(default_factory=threading.Lock)
    users: int = 0


_open: dict[tuple[str, str], _Shared] = {}
_registry = threading.Lock()


def _use(address: str, schema: str, connections: int, patience: int) -> _Shared:
    with _registry:
        if (address, schema) not in _open:
            engine = _engine(address, connections, patience)
            _open[address, schema] = _Shared(engine, patience)
        found = _open[address, schema]
        found.users += 1
        return found


def _let_go(place: tuple[str, str]) -> None:
    with _registry:
        found = _open[place]
        found.users -= 1
        if found.users == 0:
            del _open[place]
            found.engine.dispose()


def _engine(address: str, connections: int, patience: int) -> Engine:
    # Transactions are ours (one round trip opens them); SQLAlchemy does not add its own.
    return create_engine(
        "postgresql+psycopg2://",
        creator=partial(_connect, address, patience),
        poolclass=QueuePool,
        pool_size=connections,
        max_overflow=0,
        pool_timeout=patience,
        pool_use_lifo=True,
        pool_reset_on_return=None,
        isolation_level="AUTOCOMMIT",
        executemany_mode="values_plus_batch",
        use_native_hstore=False,
    )


def _connect(address: str, patience: int) -> psycopg2.extensions.connection:
    connection = connect(address, _PREPARE % patience)
    psycopg2.extensions.register_type(_SUM, connection)
    return connection


def _whole(text: str | bytes | None, _cursor: object) -> int | None:
    return None if text is None else int(text)


# The sum of a column is "numeric" here. Ours are whole numbers, as everywhere else.
_SUM = psycopg2.extensions.new_type((1700,), "WHOLE", _whole)


def _opened(engine: Engine, opening: str) -> Connection:
    connection = engine.connect()
    try:
        _say(connection, opening)
    except BaseException:
        connection.invalidate()
        connection.close()
        raise
    return connection


def _say(connection: Connection, statement: str) -> None:
    with _driver(connection).cursor() as cursor:
        cursor.execute(statement)


def _driver(connection: Connection) -> psycopg2.extensions.connection:
    return cast("psycopg2.extensions.connection", connection.connection.driver_connection)


def _undo(connection: Connection) -> None:
    if connection.invalidated:  # The server has undone it.
        return
    try:
        _say(connection, "ROLLBACK")
    except psycopg2.Error:
        connection.invalidate()


@contextlib.contextmanager
def _taken(shared: _Shared) -> Iterator[None]:
    if not shared.turn.acquire(timeout=shared.patience):
        raise refusal("busy", "The data is locked by another writer.")
    try:
        yield
    finally:
        shared.turn.release()


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except NoConnectionError as error:
        raise refusal("busy", "No connection to the database has become free.") from error
    except psycopg2.Error as error:
        raise _told(error) from error
    except DBAPIError as error:
        told = _told(error.orig) if isinstance(error.orig, psycopg2.Error) else error.orig
        if told is None or told is error.orig:
            raise
        raise told from error


def _told(error: psycopg2.Error) -> Exception:
    if error.pgcode == _NOT_THERE:
        return refusal("service_unavailable", "What is read here is not made yet.")
    if error.pgcode == _NOT_ALLOWED:
        return refusal("log_not_migrated", "This role may not make its schema.")
    return translate(error, "The database of the stores does not answer.")


_forms: WeakKeyDictionary[MetaData, MetaData] = WeakKeyDictionary()


def _stored_form(metadata: MetaData) -> MetaData:
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
