"""Importing a stock file: long work beside the log, with progress, resumed after a crash.

Imports run one after the other (they share a key), so the check for overlaps needs no lock. Every
row is a command whose id derives from job and line: after a crash the rows are simply run again.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Sequence
from itertools import islice
from typing import Any

from sqlalchemy import Column, Integer, MetaData, String, Table, delete, func, insert, select

from services.inventory import stock_file
from services.inventory.messages import (
    BlockRepriced,
    FinishImport,
    NumberBlockStocked,
    StockBlock,
    StockImportRequested,
)
from services.inventory.projections import block
from services.inventory.stock_file import FileRow
from shared.application import Done, Order
from shared.consumers.effects import Attempt, Effect, NotSentError
from shared.documents import Documents
from shared.errors import PbxError, Unavailable
from shared.happened import Happened
from shared.ids import command_id
from shared.refusals import refusal
from shared.runtime import Runtime
from shared.stores import Store

_AT_ONCE = 200
JOBS = MetaData()
job = Table(
    "import_job",
    JOBS,
    Column("job_id", String, primary_key=True),
    Column("status", String, nullable=False),  # queued | running | done | failed
    Column("total", Integer, nullable=False),
    Column("detail", String, nullable=False),
)
job_row = Table(
    "import_row",
    JOBS,
    Column("job_id", String, primary_key=True),
    Column("line", Integer, primary_key=True),
    Column("ok", Integer, nullable=False),
    Column("code", String, nullable=False),
    Column("detail", String, nullable=False),
)


def open_job(state: Store, job_id: str, total: int) -> None:
    """Writes down that an import waits, if it is not known yet."""
    with state.write() as connection:
        if connection.execute(select(job).where(job.c.job_id == job_id)).first() is None:
            row = {"job_id": job_id, "status": "queued", "total": total, "detail": ""}
            connection.execute(insert(job).values(row))


def read_job(state: Store, job_id: str) -> dict[str, Any]:
    """An import as the API shows it. Raises ``job_unknown``."""
    with state.read() as connection:
        found = connection.execute(select(job).where(job.c.job_id == job_id)).first()
        if found is None:
            raise refusal("job_unknown")
        query = select(job_row).where(job_row.c.job_id == job_id).order_by(job_row.c.line)
        rows = connection.execute(query).all()
    succeeded = sum(row.ok for row in rows)
    return {
        "id": job_id,
        "status": found.status,
        "total": found.total,
        "succeeded": succeeded,
        "failed": len(rows) - succeeded,
        "rows": [{"line": r.line, "code": r.code, "detail": r.detail} for r in rows],
    }


def effects(runtime: Runtime) -> tuple[Effect, ...]:
    """The import as work of the effect workers: all under one key, so one at a time."""
    documents = Documents(runtime.settings.data / "documents")
    runtime.state.create(JOBS)

    def call(event: Happened, _attempt: Attempt) -> Sequence[Any]:
        return run(runtime, documents, event)

    return (
        Effect(
            name="stock_import",
            provider="local",
            events=(StockImportRequested,),
            key=lambda _: "stock_import",
            provider_key=lambda message: message.job_id,
            call=call,
            at_once=1,
        ),
    )


def run(runtime: Runtime, documents: Documents, event: Happened) -> Sequence[Any]:
    """Runs one import to its end; answers with the command that closes it."""
    asked: StockImportRequested = event.message
    # Not only its own place: the import before this one has written more blocks since.
    if not runtime.progress.wait_for(["stock"], runtime.application.log.head()):
        message = "the view of the stock has not caught up"
        raise NotSentError(message)
    rows = stock_file.read(documents.get(asked.sha256).decode())
    open_job(runtime.state, asked.job_id, len(rows))
    _set_status(runtime.state, asked.job_id, "running")
    known = _Blocks(runtime.views)
    todo = iter(rows)
    while some := list(islice(todo, _AT_ONCE)):
        results = _run_rows(runtime, event, known, some)
        _write_rows(runtime.state, asked.job_id, results)
    _set_status(runtime.state, asked.job_id, "done")
    return [_finish(runtime.state, asked.job_id)]


class _Blocks:
    """The blocks there are, to find overlaps: those of the view and those of this file.

    Withdrawn ones count: their numbers may be sold, and the block may come back.
    """

    def __init__(self, views: Store) -> None:
        with views.read() as connection:
            query = select(block.c.first, block.c.last)
            self._ranges = sorted((row.first, row.last) for row in connection.execute(query))

    def take(self, command: StockBlock) -> None:
        """Adds a block. Raises ``block_overlap`` unless it is new or exactly one that is there."""
        first = int(command.block_id)
        last = first + command.count - 1
        place = bisect_right(self._ranges, (first, last))
        if place and self._ranges[place - 1] == (first, last):
            return
        for other in self._ranges[max(0, place - 1) : place + 1]:
            if other[0] <= last and first <= other[1]:
                detail = f"+{first} to +{last} overlaps +{other[0]} to +{other[1]}."
                raise refusal("block_overlap", detail, param="first_number")
        insort(self._ranges, (first, last))


def _run_rows(
    runtime: Runtime, event: Happened, known: _Blocks, rows: list[FileRow]
) -> list[dict[str, Any]]:
    errors: dict[int, PbxError] = {}
    orders: dict[int, Order] = {}
    for row in rows:
        try:
            orders[row.line] = _order(runtime, event, known, row)
        except PbxError as error:
            errors[row.line] = error
    outcomes = dict(
        zip(orders, runtime.application.execute_many(list(orders.values())), strict=True)
    )
    return [_result(row.line, errors.get(row.line) or outcomes[row.line]) for row in rows]


def _order(runtime: Runtime, event: Happened, known: _Blocks, row: FileRow) -> Order:
    if row.error is not None or row.command is None:
        raise row.error or refusal("invalid_value")
    known.take(row.command)
    return Order(
        command=row.command,
        command_id=command_id("import", event.message.job_id, str(row.line)),
        now=runtime.clock.now(),
        actor=event.meta.actor,
        correlation_id=event.meta.correlation_id,
        causation_id=event.id,
    )


def _result(line: int, outcome: Done | PbxError) -> dict[str, Any]:
    if isinstance(outcome, Unavailable):
        raise outcome
    if isinstance(outcome, PbxError):
        return {"line": line, "ok": 0, "code": outcome.code, "detail": outcome.detail}
    code = "unchanged"
    if any(isinstance(e, NumberBlockStocked) for e in outcome.events):
        code = "stocked"
    elif any(isinstance(e, BlockRepriced) for e in outcome.events):
        code = "repriced"
    return {"line": line, "ok": 1, "code": code, "detail": ""}


def _write_rows(state: Store, job_id: str, results: list[dict[str, Any]]) -> None:
    with state.write() as connection:
        lines = [r["line"] for r in results]
        known = (job_row.c.job_id == job_id) & job_row.c.line.in_(lines)
        connection.execute(delete(job_row).where(known))
        connection.execute(insert(job_row), [r | {"job_id": job_id} for r in results])


def _set_status(state: Store, job_id: str, status: str) -> None:
    with state.write() as connection:
        connection.execute(job.update().where(job.c.job_id == job_id).values(status=status))


def _finish(state: Store, job_id: str) -> FinishImport:
    query = select(func.count(), func.sum(job_row.c.ok)).where(job_row.c.job_id == job_id)
    with state.read() as connection:
        total, succeeded = connection.execute(query).one()
    good = int(succeeded or 0)
    return FinishImport(job_id=job_id, succeeded=good, failed=total - good)
