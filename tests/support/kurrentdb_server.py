"""KurrentDB's protocol as far as the event log speaks it.

``python -m tests.support.kurrentdb_server PORT FILE`` serves it. No KurrentDB, and no promise that
one behaves like this. It was written after the protocol's stubs, which the client ships, and after
the source of the server (26.0):

* positions in ``$all`` are places in a file; one at which no event begins cannot be read;
* an append at an older version is known again if the same ids stand at just that place; at the
  current version it is written, whatever its ids are;
* ids of zeros, and appends of more than a MiB, are refused;
* streams of its own (``$…``) stand between the others in ``$all``.

What it answers, FILE has (``kurrentdb_book.py``).
"""

from __future__ import annotations

import bisect
import re
import sys
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import any_pb2
from kurrentdbclient.protos.v1 import shared_pb2, status_pb2, streams_pb2, streams_pb2_grpc

from tests.support.kurrentdb_book import Book, Event, WrongVersionError

_LARGEST_APPEND = 1024 * 1024
_ZEROS = str(uuid.UUID(int=0))
_FAILED_PRECONDITION, _INVALID_ARGUMENT = 9, 3
_LOOK_SECONDS = 1.0


class Streams(streams_pb2_grpc.StreamsServicer):
    """The service ``event_store.client.streams.Streams``."""

    def __init__(self, book: Book) -> None:
        self._book = book

    def BatchAppend(self, requests: Iterable[Any], context: Any) -> Iterator[Any]:  # noqa: N802
        for request in requests:
            answer = streams_pb2.BatchAppendResp(
                correlation_id=request.correlation_id,
                stream_identifier=request.options.stream_identifier,
            )
            self._append(request, answer)
            yield answer

    def _append(self, request: Any, answer: Any) -> None:
        options = request.options
        kind = options.WhichOneof("expected_stream_position")
        assert kind in {"stream_position", "no_stream"}, kind
        expected = options.stream_position if kind == "stream_position" else -1
        events = [_proposed(message) for message in request.proposed_messages]
        refused = _refused(events)
        if refused is not None:
            answer.error.CopyFrom(refused)
            return
        try:
            last = self._book.append(_name(options.stream_identifier), expected, events)
        except WrongVersionError as error:
            answer.error.CopyFrom(_wrong_version(error.last))
        else:
            answer.success.current_revision = last.revision
            answer.success.position.commit_position = last.position
            answer.success.position.prepare_position = last.position

    def Read(self, request: Any, context: Any) -> Iterator[Any]:  # noqa: N802
        options = request.options
        if options.WhichOneof("count_option") == "subscription":
            yield from self._follow(options, context)
        elif options.WhichOneof("stream_option") == "stream":
            yield from self._read_stream(options)
        else:
            yield from self._read_all(options, context)

    def Delete(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._book.delete(_name(request.options.stream_identifier))
        return streams_pb2.DeleteResp(no_position=shared_pb2.Empty())

    def _read_stream(self, options: Any) -> Iterator[Any]:
        identifier = options.stream.stream_identifier
        found = self._book.visible(_name(identifier))
        if not found:
            missing = streams_pb2.ReadResp.StreamNotFound(stream_identifier=identifier)
            yield streams_pb2.ReadResp(stream_not_found=missing)
            return
        assert options.read_direction == options.Forwards, "nobody asks for this"
        if options.stream.WhichOneof("revision_option") == "revision":
            found = [event for event in found if event.revision >= options.stream.revision]
        yield from map(_answer, found[: options.count])

    def _read_all(self, options: Any, context: Any) -> Iterator[Any]:
        book, wanted = self._book, _filter(options)
        many = len(book.all)
        if options.read_direction == options.Backwards:
            assert options.all.WhichOneof("all_option") == "end", "nobody asks for this"
            places: Iterable[int] = range(many - 1, -1, -1)
        else:
            places = range(self._first(options, context), many)
        left = options.count
        for place in places:
            if left == 0:
                return
            if wanted(book.all[place]):
                left -= 1
                yield _answer(book.all[place])

    def _first(self, options: Any, context: Any) -> int:
        if options.all.WhichOneof("all_option") == "start":
            return 0
        position, places = options.all.position.commit_position, self._book.places
        found = bisect.bisect_left(places, position)
        if found < len(places) and places[found] != position:
            said = "Unexpected FilteredReadAllResult: InvalidPosition"
            context.abort(grpc.StatusCode.UNKNOWN, said)
        return found

    def _follow(self, options: Any, context: Any) -> Iterator[Any]:
        assert options.all.WhichOneof("all_option") == "end", "nobody asks for this"
        book, wanted = self._book, _filter(options)
        seen = len(book.all)
        confirmed = streams_pb2.ReadResp.SubscriptionConfirmation(subscription_id=str(uuid.uuid4()))
        yield streams_pb2.ReadResp(confirmation=confirmed)
        yield streams_pb2.ReadResp(caught_up=streams_pb2.ReadResp.CaughtUp())
        while context.is_active():
            with book.changed:
                if seen == len(book.all):
                    book.changed.wait(_LOOK_SECONDS)
                fresh = book.all[seen:]
            seen += len(fresh)
            yield from map(_answer, filter(wanted, fresh))


def _name(identifier: Any) -> str:
    name: str = identifier.stream_name.decode()
    return name


def _proposed(message: Any) -> Event:
    return Event(
        id=message.id.string or _structured(message.id.structured),
        type=message.metadata["type"],
        content_type=message.metadata["content-type"],
        data=message.data,
        metadata=message.custom_metadata,
    )


def _structured(found: Any) -> str:
    halves = found.most_significant_bits, found.least_significant_bits
    high, low = (half % 2**64 for half in halves)
    return str(uuid.UUID(int=high << 64 | low))


def _refused(events: list[Event]) -> Any:
    if any(event.id == _ZEROS for event in events):
        return _status(_INVALID_ARGUMENT, shared_pb2.BadRequest(message="Empty eventId provided."))
    if sum(len(event.data) + len(event.metadata) for event in events) > _LARGEST_APPEND:
        large = shared_pb2.MaximumAppendSizeExceeded(maxAppendSize=_LARGEST_APPEND)
        return _status(_INVALID_ARGUMENT, large)
    return None


def _wrong_version(last: int) -> Any:
    if last >= 0:
        return _status(
            _FAILED_PRECONDITION, shared_pb2.WrongExpectedVersion(current_stream_revision=last)
        )
    nothing = shared_pb2.WrongExpectedVersion()
    nothing.current_no_stream.SetInParent()
    return _status(_FAILED_PRECONDITION, nothing)


def _status(code: int, detail: Any) -> Any:
    packed = any_pb2.Any()
    packed.Pack(detail)
    return status_pb2.Status(code=code, message=type(detail).__name__, details=packed)


def _filter(options: Any) -> Callable[[Event], bool]:
    kind = options.WhichOneof("filter_option")
    if kind == "no_filter":
        return lambda _event: True
    of = options.filter.WhichOneof("filter")
    expression = getattr(options.filter, of)
    prefixes, regex = tuple(expression.prefix), re.compile(expression.regex)

    def wanted(event: Event) -> bool:
        text = event.stream if of == "stream_identifier" else event.type
        return text.startswith(prefixes) if prefixes else regex.search(text) is not None

    return wanted


def _answer(event: Event) -> Any:
    of = streams_pb2.ReadResp.ReadEvent
    stored = of.RecordedEvent(
        id=shared_pb2.UUID(string=event.id),
        stream_identifier=shared_pb2.StreamIdentifier(stream_name=event.stream.encode()),
        stream_revision=event.revision,
        prepare_position=event.position,
        commit_position=event.position,
        metadata={
            "type": event.type,
            "content-type": event.content_type,
            "created": str(event.created),
        },
        custom_metadata=event.metadata,
        data=event.data,
    )
    return streams_pb2.ReadResp(event=of(event=stored, commit_position=event.position))


def main(port: str, path: str) -> None:
    """Serves until it is ended."""
    server = grpc.server(
        ThreadPoolExecutor(64),
        options=[("grpc.max_receive_message_length", 17 * 1024 * 1024), ("grpc.so_reuseport", 0)],
    )
    streams_pb2_grpc.add_StreamsServicer_to_server(Streams(Book(Path(path))), server)
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    main(*sys.argv[1:])
