"""What every store does, whatever database it lies in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from sqlalchemy import Connection, Engine, MetaData, Row, Select


class Store(Protocol):
    """A database of our own tables. ``durable`` means: what was committed survives a power cut.

    Its own tables are the only ones it sees: names need no schema. Everything raises
    ``storage_full``, ``busy`` and, where the database is a server, ``log_unavailable``.
    """

    engine: Engine

    def create(self, metadata: MetaData) -> None:
        """Makes the tables that are not there yet. Several processes may do so at once."""

    def remake(self, connection: Connection, metadata: MetaData) -> None:
        """Makes tables anew and empty, as part of a transaction of ``write``."""

    def write(self, *, lazily: bool = False) -> AbstractContextManager[Connection]:
        """A transaction that writes: all of it or nothing. Writers of one store take turns, those
        of other processes too: what was read in it is still so when it ends.

        ``lazily``: it does not wait for the disk. A power cut may take it back, and then all that
        was written later as well; for what is done again then, with the same result."""

    def read(self) -> AbstractContextManager[Connection]:
        """A consistent look at the store; it does not wait for writers and cannot write."""

    def ask(
        self, query: Select[Any], values: Mapping[str, Any] | None = None
    ) -> Sequence[Row[Any]]:
        """The rows of one query: ``read`` for a single look, and cheaper. It is asked again where
        the connection had been lost."""

    def has(self, connection: Connection, metadata: MetaData) -> bool:
        """Whether all of these tables are there, as seen by a transaction of this store."""

    def draft(self) -> Store:
        """The place beside it where tables are filled that are to take the place of its own. Each
        call opens it anew; it is to be closed."""

    def take_draft(self, connection: Connection, metadata: MetaData) -> None:
        """Replaces tables by those of the draft with what was committed there, as part of a
        transaction of ``write``. A reader has the old ones or the new ones, whole. Raises ``busy``
        where others look at the old ones for too long. Whether the draft keeps its own is left
        open: they are of no use any more."""

    def close(self) -> None:
        """Closes every connection."""
