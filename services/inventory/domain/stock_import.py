"""An import of a stock file: asked for once, finished once. Its rows are commands to blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

from services.inventory.messages import (
    FinishImport,
    RequestImport,
    StockImportFinished,
    StockImportRequested,
)
from shared.aggregate import Aggregate

Command = RequestImport | FinishImport
Event = StockImportRequested | StockImportFinished


@dataclass(frozen=True, slots=True)
class StockImport:
    """How far the import is: ``new``, ``requested`` or ``finished``."""

    status: str = "new"


def decide(command: Command, state: StockImport) -> Sequence[Event]:
    """Each step is recorded once."""
    match command:
        case RequestImport():
            return [_requested(command)] if state.status == "new" else []
        case FinishImport():
            return [_finished(command)] if state.status == "requested" else []
        case _:
            assert_never(command)


def _requested(c: RequestImport) -> StockImportRequested:
    return StockImportRequested(job_id=c.job_id, sha256=c.sha256, rows=c.rows)


def _finished(c: FinishImport) -> StockImportFinished:
    return StockImportFinished(job_id=c.job_id, succeeded=c.succeeded, failed=c.failed)


def evolve(_state: StockImport, event: Event) -> StockImport:
    """What happened to the import."""
    match event:
        case StockImportRequested():
            return StockImport("requested")
        case StockImportFinished():
            return StockImport("finished")
        case _:
            assert_never(event)


AGGREGATE = Aggregate(
    category="import",
    commands=(RequestImport, FinishImport),
    initial=StockImport(),
    key=lambda command: command.job_id,
    evolve=evolve,
    decide=decide,
    begins=(RequestImport,),
)
