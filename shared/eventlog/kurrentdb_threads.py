"""gRPC in a process that eventlet has patched, which is what a nameko process is.

gRPC works with threads of the system. Imported after ``monkey_patch()`` it would take the green
ones for them, and hang in its first call. So it is imported against the original modules, and every
call is handed to one of eventlet's real threads: the hub goes on meanwhile. In any other process
nothing of this happens. What the log needs of the client is imported from here, never from there.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_ORIGINAL = ("threading", "time", "queue", "select", "socket")
# gRPC loads some of itself only when it is used. What is named here is loaded now; what is
# forgotten would meet the green modules. The names are private: that is why grpcio is pinned.
_WHOLE = (
    "grpc",
    *("grpc._channel", "grpc._interceptor", "grpc._plugin_wrapping", "grpc._auth"),
    *("grpc._utilities", "grpc._simple_stubs", "grpc.aio", "grpc_status.rpc_status"),
    "kurrentdbclient",
)


def _is_patched() -> bool:
    patcher = sys.modules.get("eventlet.patcher")
    return patcher is not None and bool(patcher.is_monkey_patched("thread"))


def _load() -> None:
    for name in _WHOLE:
        importlib.import_module(name)


def _load_against_originals() -> None:
    from eventlet import patcher  # noqa: PLC0415  # Who does not use it need not have it.

    early = [name for name in ("grpc", "kurrentdbclient") if name in sys.modules]
    green = {name: sys.modules[name] for name in _ORIGINAL}
    original = {name: patcher.original(name) for name in _ORIGINAL}
    sys.modules.update(original)
    try:
        _load()
    finally:
        sys.modules.update(green)
    channel = sys.modules["grpc._channel"]
    if early or channel.threading is not original["threading"]:
        message = "grpc was imported before shared.eventlog.kurrentdb_threads: its calls would hang"
        raise RuntimeError(message)


if _is_patched():
    _load_against_originals()
    from eventlet import tpool

    def native(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs it in a thread of the system. It must not touch locks of a patched module."""
        done: T = tpool.execute(work, *args, **kwargs)
        return done

else:
    _load()

    def native(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs it here, which is a thread of the system."""
        return work(*args, **kwargs)


# Only now: whatever stands above may be loaded before the original modules are in place.
from kurrentdbclient import (  # noqa: E402
    KurrentDBClient,
    NewEvent,
    RecordedEvent,
    StreamState,
    exceptions,
)
from kurrentdbclient.client import autoreconnect, retrygrpc  # noqa: E402

__all__ = [
    "KurrentDBClient",
    "NewEvent",
    "RecordedEvent",
    "StreamState",
    "autoreconnect",
    "exceptions",
    "native",
    "retrygrpc",
]
