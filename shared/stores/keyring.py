"""Where the wrapped keys of persons lie: in the state store, one set for all services."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import (
    Column,
    DateTime,
    LargeBinary,
    MetaData,
    String,
    Table,
    insert,
    select,
    update,
)

from shared import sealing
from shared.clock import MachineClock
from shared.stores.port import Store

KEYS = MetaData()
_subject_key = Table(
    "subject_key",
    KEYS,
    Column("subject", String, primary_key=True),
    Column("wrapped", LargeBinary),  # NULL: destroyed.
    Column("made_at", DateTime(timezone=True), nullable=False),
    Column("destroyed_at", DateTime(timezone=True)),
)


# Another process may erase a person. So long at most a key that was read before is still used here.
KEPT_SECONDS = 60.0


class StoredKeyring:
    """A ``Keyring`` whose wrapped keys lie in the state store. Safe for many threads and processes;
    what one erases the others know ``KEPT_SECONDS`` later at the latest."""

    def __init__(
        self, state: Store, master: bytes, seconds: Callable[[], float] = time.monotonic
    ) -> None:
        self._state = state
        self._wrapper = sealing.Wrapper(master)
        self._seconds = seconds
        self._known: dict[str, tuple[bytes, float]] = {}
        state.create(KEYS)
        self._check_master()

    def _check_master(self) -> None:
        # At the start, and not when the first name is to be read.
        sample = select(_subject_key).where(_subject_key.c.wrapped.is_not(None)).limit(1)
        with self._state.read() as connection:
            row = connection.execute(sample).first()
        if row is not None:
            self._wrapper.unwrap(row.subject, row.wrapped)

    def key(self, subject: str) -> bytes | None:
        """See ``Keyring.key``."""
        known = self._remembered(subject)
        if known is not None:
            return known
        row = next(iter(self._state.ask(_row_of(subject))), None)
        if row is None or row.wrapped is None:
            return None
        found = self._wrapper.unwrap(subject, row.wrapped)
        self._known[subject] = (found, self._seconds() + KEPT_SECONDS)
        return found

    def _remembered(self, subject: str) -> bytes | None:
        found, until = self._known.get(subject, (None, 0.0))
        return found if self._seconds() < until else None

    def make_key(self, subject: str) -> bytes | None:
        """See ``Keyring.make_key``. Two makers at once end up with the same key."""
        known = self._remembered(subject)
        if known is not None:
            return known
        with self._state.write() as connection:
            if connection.execute(_row_of(subject)).first() is None:
                wrapped = self._wrapper.wrap(subject, sealing.new_key())
                row = {"subject": subject, "wrapped": wrapped, "made_at": MachineClock().now()}
                connection.execute(insert(_subject_key).values(row))
        return self.key(subject)

    def destroy(self, subject: str) -> None:
        """Erases the person: from now on their fields read as ``Erased``."""
        now = MachineClock().now()
        gone = {"wrapped": None, "destroyed_at": now}
        with self._state.write() as connection:
            where = _subject_key.c.subject == subject
            done = connection.execute(update(_subject_key).where(where).values(gone))
            if not done.rowcount:  # Nothing was sealed yet, and nothing will be.
                connection.execute(
                    insert(_subject_key).values(subject=subject, made_at=now, **gone)
                )
        self._known.pop(subject, None)


def _row_of(subject: str) -> Any:
    return select(_subject_key).where(_subject_key.c.subject == subject)
