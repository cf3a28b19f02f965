"""What the stores of one schema share in a process: connections, and whose turn it is to write."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from sqlalchemy import Connection, Engine, PoolProxiedConnection, QueuePool

from shared.refusals import refusal
from shared.stores.postgres_engine import engine_of


@dataclass
class Shared:
    """At most so many ``connections``. One of them is kept aside for questions while there are
    others: taking it out of the pool and back takes half as long as the answer to a question."""

    engine: Engine
    connections: int
    patience: int
    turn: threading.Lock = field(default_factory=threading.Lock)
    waiting: deque[None] = field(default_factory=deque)  # One for each that waits for its turn.
    users: int = 0
    _kept: list[PoolProxiedConnection] = field(default_factory=list)

    def connect(self) -> Connection:
        """A connection for whoever wants more than an answer. Also the kept one, if it is the
        last."""
        if self._all_are_out():
            self._give_back()
        return self.engine.connect()

    def asking(self) -> _Asking:
        """A connection for one question, as a context manager."""
        return _Asking(self)

    def take(self) -> PoolProxiedConnection:
        """The kept one, if nobody else asks at the moment."""
        try:
            return self._kept.pop()
        except IndexError:
            return self.engine.raw_connection()

    def put_back(self, held: PoolProxiedConnection) -> None:
        """Keeps it, unless there is one or somebody may be waiting for it."""
        if self._kept or self._all_are_out():
            held.close()
        else:
            self._kept.append(held)

    def forget(self) -> None:
        """Ends the connections that nobody uses: they are as old as one that was found ended."""
        self._give_back()
        self.engine.dispose()

    def _give_back(self) -> None:
        with contextlib.suppress(IndexError):
            self._kept.pop().close()

    def _all_are_out(self) -> bool:
        pool = self.engine.pool
        return isinstance(pool, QueuePool) and pool.checkedout() >= self.connections


class _Asking(contextlib.AbstractContextManager[PoolProxiedConnection]):
    # No generator: it is part of every question.
    def __init__(self, shared: Shared) -> None:
        self._shared = shared

    def __enter__(self) -> PoolProxiedConnection:
        self._held = self._shared.take()
        return self._held

    def __exit__(self, kind: object, _error: object, _trace: object) -> None:
        if kind is None:
            self._shared.put_back(self._held)
        else:
            self._held.close()


_open: dict[tuple[str, str], Shared] = {}
_registry = threading.Lock()


def use(place: tuple[str, str], connections: int, patience: int) -> Shared:
    """What is shared by those who name the same place: address, and schemas as a search path."""
    with _registry:
        if place not in _open:
            engine = engine_of(*place, connections, patience)
            _open[place] = Shared(engine, connections, patience)
        found = _open[place]
        found.users += 1
        return found


def let_go(place: tuple[str, str]) -> None:
    """The last one of them ends the connections."""
    with _registry:
        found = _open[place]
        found.users -= 1
        if found.users == 0:
            del _open[place]
            found.forget()


@contextlib.contextmanager
def taken(shared: Shared) -> Iterator[None]:
    """One's turn to write among those of this process. Raises ``busy`` where it does not come."""
    shared.waiting.append(None)
    try:
        mine = shared.turn.acquire(timeout=shared.patience)
    finally:
        shared.waiting.pop()
    if not mine:
        raise refusal("busy", "The data is locked by another writer.")
    try:
        yield
    finally:
        shared.turn.release()
