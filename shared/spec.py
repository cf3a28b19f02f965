"""What the platform needs to know about a service, in one object: see ``services/<name>``."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from shared.aggregate import Aggregate
from shared.happened import Happened

if TYPE_CHECKING:
    from shared.application import Done, Order
    from shared.consumers.effects import Effect
    from shared.consumers.projections import Projection
    from shared.errors import PbxError
    from shared.runtime import Runtime


@dataclass(frozen=True, slots=True)
class SetTimer:
    """From now on something is due: ``name`` says what, ``key`` for whom, ``due`` business time."""

    name: str
    key: str
    due: datetime


@dataclass(frozen=True, slots=True)
class ClearTimer:
    """It is not due any more."""

    name: str
    key: str


@dataclass(frozen=True, slots=True)
class Timers:
    """Due instants as a view of the log, and the command that each becomes."""

    events: tuple[type, ...]
    of: Callable[[Happened], Iterable[SetTimer | ClearTimer]]
    fire: Callable[[str, str, datetime], Any]


@dataclass(frozen=True, slots=True)
class Policy:
    """Events this service reacts to, and its own commands in answer. Pure."""

    events: tuple[type, ...]
    react: Callable[[Happened], Sequence[Any]]


# A process may yield the commands it wants run and is sent what came of each: so processes that are
# on their way together share their commits. One that answers ``None`` has done all by itself.
Steps: TypeAlias = "Generator[Sequence[Order], list[Done | PbxError], None]"
Process = Callable[["Runtime", "Order"], "Steps | None"]


@dataclass(frozen=True, kw_only=True)
class ServiceSpec:
    """One service. ``processes`` are commands that need more than one stream or a look at a view;
    each is a function that may be repeated at any point without doing anything twice."""

    name: str
    aggregates: tuple[Aggregate, ...]
    rpc: Callable[[Runtime], object]
    policy: Policy | None = None
    processes: dict[type, Process]
    projections: tuple[Projection, ...] = ()
    effects: Callable[[Runtime], tuple[Effect, ...]] = lambda _: ()
    timers: Timers | None = None
