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

import psycopg2
from sqlalchemy import Connection, Engine, MetaData, QueuePool, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnectionError

from shared.errors import raise_because
from shared.eventlog.postgres_pool import connect, translate, translate_is_loss
from shared.refusals import refusal
from shared.stores.as_sqlite import as_sqlite_has

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
# A commit that waits for the disk would let the next writer wait, too. So a transaction ends
# without, its turn is over, and then its writer waits until the database's own log is on the disk
# up to here: the disk is asked once for all that wait together. Who builds on what is not on the
# disk yet comes later in that log, so the one is never kept without the other.
_LAZILY = "SET LOCAL synchronous_commit = off;"
_FLUSH = "SELECT pg_logical_emit_message(true, 'pbxim', '')"
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
        self._durable = durable
        name = zlib.crc32(schema.encode()) - 2**31
        self._begin = f"BEGIN; {here}{_LAZILY} SELECT pg_advisory_xact_lock({_TURNS}, {name})"

    def create(self, metadata: MetaData) -> None:
        """See ``Store.create``. Raises ``log_not_migrated`` where the schema is missing and this
        role may not make it."""
        if metadata in self._made:
            return
        with self.write() as connection:
            there = connection.exec_driver_sql("SELECT to_regnamespace(%s)", (self.schema,))
            if there.scalar() is None:
                connection.exec_driver_sql(f"CREATE SCHEMA {self.schema}")
            as_sqlite_has(metadata).create_all(connection)
        self._made.add(metadata)

    def remake(self, connection: Connection, metadata: MetaData) -> None:
        """See ``Store.remake``."""
        metadata.drop_all(connection)
        as_sqlite_has(metadata).create_all(connection)

    @contextlib.contextmanager
    def write(self) -> Iterator[Connection]:
        """See ``Store.write``."""
        with _translated(), contextlib.ExitStack() as at_last:
            with _taken(self._shared):
                connection = self._begun(self._begin)
                at_last.callback(connection.close)
                with _undone_after_an_error(connection):
                    yield connection
                    _say(connection, "COMMIT")
            if self._durable:
                _say(connection, _FLUSH)

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """See ``Store.read``."""
        with _translated(), contextlib.ExitStack() as at_last:
            connection = self._begun(self._look)
            at_last.callback(connection.close)
            at_last.enter_context(_undone_after_an_error(connection))
            yield connection
            _say(connection, "ROLLBACK")

    def close(self) -> None:
        """See ``Store.close``. Another store on the same schema keeps what it shares with this."""
        place, self._place = self._place, None
        if place is not None:
            _let_go(place)

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


@contextlib.contextmanager
def _undone_after_an_error(connection: Connection) -> Iterator[None]:
    try:
        yield
    except BaseException:
        if not connection.invalidated:  # Else the server has undone it.
            _undo(connection)
        raise


def _undo(connection: Connection) -> None:
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
        raise_because(_told(error), error)
    except DBAPIError as error:
        told = _told(error.orig) if isinstance(error.orig, psycopg2.Error) else error
        raise_because(error if told is error.orig else told, error)


def _told(error: psycopg2.Error) -> Exception:
    if error.pgcode == _NOT_THERE:
        return refusal("service_unavailable", "What is read here is not made yet.")
    if error.pgcode == _NOT_ALLOWED:
        return refusal("log_not_migrated", "This role may not make its schema.")
    return translate(error, "The database of the stores does not answer.")
