"""The link to KurrentDB: one client for many threads, which finds a server that was away again;
the client's errors as ours. Only what names KurrentDB in its settings loads this module."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

from shared.eventlog.kurrentdb_threads import (
    KurrentDBClient,
    RecordedEvent,
    autoreconnect,
    exceptions,
    native,
    retrygrpc,
)
from shared.refusals import refusal

T = TypeVar("T")

CALL_SECONDS = 10.0
NAME = "pbxim"  # What a log is called whose address names none.
# A new connection really is one, and does not wait as long as the old one had been told to.
_CHANNEL = (
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
)
_SIZES = (
    exceptions.MaximumAppendSizeExceededError,
    exceptions.RecordMaxSizeExceededError,
    exceptions.TransactionMaxSizeExceededError,
)
_DELETED = (exceptions.StreamIsDeletedError, exceptions.StreamTombstonedError)


def log_name(address: str) -> str:
    """The path of the address: what the streams of this log begin with."""
    return urlsplit(address).path.strip("/") or NAME


def translate(error: exceptions.KurrentDBClientError) -> Exception:
    """The client's errors → ours. It has many for a server that cannot be used now, and says of
    none that repeating is unsafe: whatever else it is, the log does not answer."""
    if isinstance(error, _SIZES):
        return refusal("append_too_large", f"KurrentDB refuses it by its size: {error}.")
    if isinstance(error, _DELETED):
        return refusal("log_has_hole", f"A stream was deleted in KurrentDB: {error}.")
    if isinstance(error, exceptions.InvalidCommitPositionError):
        return refusal("log_went_back", "KurrentDB has no event at the position asked for.")
    return refusal("log_unavailable", f"KurrentDB does not answer ({type(error).__name__}).")


class Client(KurrentDBClient):
    """The client, with what it lacks."""

    seconds = CALL_SECONDS

    @retrygrpc
    @autoreconnect
    def get_all(self, **what: Any) -> tuple[RecordedEvent, ...]:
        """What ``read_all`` reads, tried again as ``get_stream`` is: that one only begins to read
        when the client has no part in it any more."""
        with self._read_all(**what) as found:
            return tuple(found)

    def _construct_grpc_channel(self, grpc_target: str, grpc_options: Any = ()) -> Any:
        return super()._construct_grpc_channel(grpc_target, (*grpc_options, *_CHANNEL))

    def _get_commit_position(self, **options: Any) -> int:
        # It does this whenever it connects anew, and without any time limit.
        return super()._get_commit_position(**{"timeout": self.seconds, **options})


class Link:
    """Calls the server, and stops doing so when it is closed. Safe for many threads."""

    def __init__(self, address: str, seconds: float) -> None:
        self._closed = False
        try:
            self._client = native(Client, address)
        except exceptions.KurrentDBClientError as error:
            raise translate(error) from error
        except (ValueError, OSError) as error:
            # Its message repeats the address, and with it the password.
            said = f"PBXIM_LOG is no address of KurrentDB ({type(error).__name__})."
            raise refusal("setting_invalid", said, param="PBXIM_LOG") from None
        self._client.seconds = seconds
        if self._client.connection_spec.options.node_preference != "leader":
            # Whoever was told of an event must find it, and a follower may be late.
            self.close()
            said = "PBXIM_LOG has a nodePreference; allowed is leader, which is the default."
            raise refusal("setting_invalid", said, param="PBXIM_LOG")

    def call(self, work: Callable[[Client], T]) -> T:
        """Does the work with the client, which tries once more by itself: it must be safe to
        repeat. ``WrongCurrentVersionError`` and ``NotFoundError`` are answers, and pass."""
        if self._closed:
            raise refusal("log_unavailable", "This log was closed.")
        try:
            return native(work, self._client)
        except (exceptions.WrongCurrentVersionError, exceptions.NotFoundError):
            raise
        except exceptions.KurrentDBClientError as error:
            raise translate(error) from error
        except ValueError as error:  # So gRPC calls a connection that another thread let go.
            if "channel" not in str(error).lower():
                raise
            raise refusal("log_unavailable", "The connection to KurrentDB was closed.") from error

    def close(self) -> None:
        """Ends every call that is still under way."""
        self._closed = True
        native(self._client.close)
