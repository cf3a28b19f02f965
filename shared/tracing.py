"""Traces, where ``PBXIM_OTLP`` names a collector: requests, calls, commands and effects as spans.

What joins them is the ``traceparent`` (W3C) that travels anyway: in the call context, in an event's
metadata, in the headers of the bus. Whoever begins a span hands its ``traceparent`` on. Without the
setting nothing is made, and what came in is handed on as it is. Spans hold names and outcomes of
ours and no values: nothing personal. Sent as OTLP over HTTP, in JSON: ``shared/otlp.py``.
"""

from __future__ import annotations

import contextlib
import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Literal

from shared.errors import PbxError, Refusal

Kind = Literal["internal", "server", "client"]
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_SAMPLED = 1


def valid(traceparent: str) -> bool:
    """Whether it is of W3C's form."""
    return _TRACEPARENT.fullmatch(traceparent) is not None


@dataclass(slots=True)
class Span:
    """Some work, from when to when. Times are nanoseconds since 1970; ``parent`` is a span's id."""

    name: str
    kind: Kind
    trace: str
    id: str
    parent: str
    began: int
    ended: int = 0
    failed: bool = False
    attributes: dict[str, str | int] = field(default_factory=dict)

    @property
    def traceparent(self) -> str:
        """What those within this work are told."""
        return f"00-{self.trace}-{self.id}-01"


class _Tracing:
    """Where ended spans go; nowhere until it is set up."""

    take: Callable[[Span], None] | None = None


_tracing = _Tracing()


def set_up(take: Callable[[Span], None] | None) -> None:
    """From now on spans are made and given to ``take``; with ``None`` no more."""
    _tracing.take = take


def begin(name: str, traceparent: str, kind: Kind = "internal") -> Span | None:
    """A span, within another one or at the beginning of a trace; ``None`` if nothing is traced, or
    if whoever is above asked not to (its flags)."""
    if _tracing.take is None:
        return None
    above = _TRACEPARENT.fullmatch(traceparent)
    if above is not None and not int(above[3], 16) & _SAMPLED:
        return None
    trace, parent = (above[1], above[2]) if above else (secrets.token_hex(16), "")
    return Span(name, kind, trace, secrets.token_hex(8), parent, time.time_ns())


def end(span: Span | None, error: BaseException | None = None) -> None:
    """The work is done, or ended with an error. A refusal is an answer like any other."""
    if span is None or _tracing.take is None:
        return
    span.ended = time.time_ns()
    if error is not None:
        span.failed = not isinstance(error, Refusal)
        span.attributes["outcome"] = (
            error.code if isinstance(error, PbxError) else type(error).__name__
        )
    _tracing.take(span)


def span(name: str, traceparent: str, kind: Kind = "internal") -> AbstractContextManager[str]:
    """A span around what is done inside, which is given the ``traceparent`` to hand on."""
    if _tracing.take is None:
        return contextlib.nullcontext(traceparent)
    return _span(name, traceparent, kind)


@contextlib.contextmanager
def _span(name: str, traceparent: str, kind: Kind) -> Iterator[str]:
    begun = begin(name, traceparent, kind)
    try:
        yield traceparent if begun is None else begun.traceparent
    except BaseException as error:
        end(begun, error)
        raise
    end(begun)
