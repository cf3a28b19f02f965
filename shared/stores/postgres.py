"""A store in a schema of a PostgreSQL database. Only what names PostgreSQL in its settings loads
this module.

Writers of one store take turns, as in a file: those of one process by a lock of its own (so that
waiting costs no connection), those of several by an advisory lock that the transaction takes as its
first step. Thus "look, then write" needs no row locks and an insert of what is not there cannot
clash. Opening a transaction is one round trip, a single question none but its own. Why:
docs/adr/0016-stores-in-postgresql.md.
"""

from __future__ import annotations

import contextlib
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import psycopg2
from sqlalchemy import Connection, Engine, MetaData, Row, Select, inspect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnectionError

from shared.errors import raise_because
from shared.eventlog.postgres_pool import translate, translate_is_loss
from shared.refusals import refusal
from shared.stores.as_sqlite import as_sqlite_has
from shared.stores.postgres_draft import draft_of, take_draft
from shared.stores.postgres_questions import OUTDATED, answer, question_of
from shared.stores.postgres_shared import let_go, taken, use

# Of one process to one store, never shared with another store: whoever waits here for a connection
# may hold one of another. With the log's own they are what max_connections is divided by.
CONNECTIONS = 8
PATIENCE = 30  # Seconds, for a connection and for one's turn.
_TURNS = 7_263_001  # The first half of the advisory locks' names.
_LOOK = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
# A commit that waits for the disk would let the next writer wait, too. So where others wait for
# their turn, a transaction ends without, its turn is over, and then its writer waits until the
# database's own log is on the disk up to here: the disk is asked once for all that wait together.
# Who builds on what is not on the disk yet comes later in that log, so the one is never kept
# without the other.
_LAZILY = "SET LOCAL synchronous_commit = off; COMMIT"
_FLUSH = "SELECT pg_logical_emit_message(true, 'pbxim', '')"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_NOT_THERE = "42P01"  # A table that another process makes and has not made yet.
_NOT_ALLOWED = "42501"


class PostgresStore:
    """A ``Store`` in a schema. ``address`` is libpq's (``postgresql://user@host:port/database``).

    Stores of the same schema share a process's connections, at most so many as the first one says;
    whoever finds none free waits. Tables that are not in it are looked for in the schemas
    ``beside`` it.
    """

    def __init__(
        self,
        address: str,
        schema: str,
        *,
        durable: bool,
        connections: int = CONNECTIONS,
        patience: int = PATIENCE,
        beside: Sequence[str] = (),
    ) -> None:
        if not _NAME.fullmatch(schema):
            message = f"{schema!r} is no plain name of a schema"
            raise ValueError(message)
        self.schema = schema
        self._address = address
        place = (address, ", ".join((schema, *beside)))
        self._place: tuple[str, str] | None = place
        self._shared = use(place, connections, patience)
        self.engine: Engine = self._shared.engine
        self._made: set[MetaData] = set()
        self._durable = durable
        name = zlib.crc32(schema.encode()) - 2**31
        self._begin = f"BEGIN; SELECT pg_advisory_xact_lock({_TURNS}, {name})"

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
    def write(self, *, lazily: bool = False) -> Iterator[Connection]:
        """See ``Store.write``."""
        waits = self._durable and not lazily
        with _translated, contextlib.ExitStack() as at_last:
            with taken(self._shared):
                connection = self._begun(self._begin)
                at_last.callback(connection.close)
                with _undone_after_an_error(connection):
                    yield connection
                    at_once = waits and not self._shared.waiting
                    _say(connection, "COMMIT" if at_once else _LAZILY)
            if waits and not at_once:
                _say(connection, _FLUSH)

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """See ``Store.read``."""
        with _translated, contextlib.ExitStack() as at_last:
            connection = self._begun(_LOOK)
            at_last.callback(connection.close)
            at_last.enter_context(_undone_after_an_error(connection))
            yield connection
            _say(connection, "ROLLBACK")

    def ask(
        self, query: Select[Any], values: Mapping[str, Any] | None = None
    ) -> Sequence[Row[Any]]:
        """See ``Store.ask``."""
        with _translated:
            try:
                return self._asked(query, values)
            except (psycopg2.Error, DBAPIError) as error:
                if not _is_over(error):
                    raise
            self._shared.forget()  # The others are as old.
            return self._asked(query, values)

    def _asked(self, query: Select[Any], values: Mapping[str, Any] | None) -> Sequence[Row[Any]]:
        given = values or {}
        question = question_of(query, given, self.engine.dialect)
        if question is None:
            with self._shared.connect() as connection:
                return connection.execute(query, given).all()
        with self._shared.asking() as held:
            return answer(question, held, given)

    def has(self, connection: Connection, metadata: MetaData) -> bool:
        """See ``Store.has``."""
        return all(inspect(connection).has_table(table.name) for table in metadata.sorted_tables)

    def draft(self) -> PostgresStore:
        """See ``Store.draft``. Another schema, made by ``pbxim migrate``."""
        return PostgresStore(self._address, draft_of(self.schema), durable=False, connections=2)

    def take_draft(self, connection: Connection, metadata: MetaData) -> None:
        """See ``Store.take_draft``."""
        take_draft(connection, self.schema, metadata)

    def close(self) -> None:
        """See ``Store.close``. Another store on the same schema keeps what it shares with this."""
        place, self._place = self._place, None
        if place is not None:
            let_go(place)

    def _begun(self, opening: str) -> Connection:
        # Nothing was done yet, so a connection that was lost meanwhile may be replaced.
        try:
            return self._opened(opening)
        except psycopg2.Error as error:
            if not translate_is_loss(error):
                raise
            self._shared.forget()  # The others were made before the server went away, too.
        return self._opened(opening)

    def _opened(self, opening: str) -> Connection:
        connection = self._shared.connect()
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


def _is_over(error: psycopg2.Error | DBAPIError) -> bool:
    """Whether another connection may do, because of what this one was or knew."""
    told = error.orig if isinstance(error, DBAPIError) else error
    if not isinstance(told, psycopg2.Error):
        return False
    return told.pgcode in OUTDATED or translate_is_loss(told)


class _Translated(contextlib.AbstractContextManager[None]):
    # No generator: it is part of every question.
    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, NoConnectionError):
            raise refusal("busy", "No connection to the database has become free.") from error
        if isinstance(error, psycopg2.Error):
            raise_because(_told(error), error)
        if isinstance(error, DBAPIError):
            told = _told(error.orig) if isinstance(error.orig, psycopg2.Error) else error
            raise_because(error if told is error.orig else told, error)


_translated = _Translated()


def _told(error: psycopg2.Error) -> Exception:
    if error.pgcode == _NOT_THERE:
        return refusal("service_unavailable", "What is read here is not made yet.")
    if error.pgcode == _NOT_ALLOWED:
        return refusal("log_not_migrated", "This role may not make its schema.")
    return translate(error, "The database of the stores does not answer.")
