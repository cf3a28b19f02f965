"""The test clock as others call it: what time it is for the business, and putting it forward."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from shared.advancing import Advancing, Job, job_id_of
from shared.application import Order
from shared.consumers.timers import Due
from shared.ids import command_id
from shared.refusals import refusal
from shared.rpc import CallContext, rpc
from shared.runtime import Runtime

_LISTED = 20


class ClockService:
    """Business time of the installation. There is none of this in live mode."""

    name = "clock"

    def __init__(self, runtime: Runtime, advancing: Advancing, ring: Callable[[], None]) -> None:
        self._runtime = runtime
        self._advancing = advancing
        self._ring = ring

    @rpc
    def get_clock(self, ctx: CallContext) -> dict[str, Any]:
        """Business time, machine time, and what is due next (staff)."""
        ctx.require_staff()
        return {
            "now": _text(self._runtime.clock.now()),
            "machine": _text(self._runtime.machine.now()),
            "next": [_due(d) for d in self._advancing.waiting(_LISTED)],
        }

    @rpc
    def advance_clock(self, ctx: CallContext, to: str, wait: float = 0) -> dict[str, Any]:
        """Puts business time forward to an instant (staff), waits so many seconds for its end, and
        answers with the job. Raises ``clock_backwards``, ``clock_busy``, ``invalid_value``."""
        ctx.require_staff()
        job_id = job_id_of(str(ctx.command_id("advance_clock")))
        order = Order(
            command=None,  # Each instant on the way becomes one.
            command_id=command_id("clock", job_id),
            now=self._runtime.clock.now(),
            actor=ctx.actor,
            correlation_id=ctx.correlation_id,
            traceparent=ctx.traceparent,
        )
        self._advancing.start(job_id, _instant(to), order)
        self._ring()
        self._advancing.wait(job_id, wait)
        return self.get_clock_job(ctx, job_id)

    @rpc
    def get_clock_job(self, ctx: CallContext, job_id: str) -> dict[str, Any]:
        """How far an advance is, with what became due (staff). Raises ``job_unknown``."""
        if not ctx.staff:
            raise refusal("job_unknown")
        job = self._advancing.job(job_id)
        return _answer(job) | {"now": _text(self._runtime.clock.now())}


def _answer(job: Job) -> dict[str, Any]:
    done = job.percent
    rows = [
        {"line": n, "code": due.name, "detail": f"{_text(due.at)} {due.key}"}
        for n, due in enumerate(job.due, 1)
    ]
    return {
        "id": job.job_id,
        "status": job.status,
        "total": 100,
        "succeeded": done,
        "failed": 100 - done if job.status == "failed" else 0,
        "rows": rows,
        "kind": "clock",
        "since": _text(job.since),
        "to": _text(job.to),
        "reached": _text(job.reached),
        "happened": job.happened,
        "due": [_due(d) for d in job.due],
        "detail": job.detail,
    }


def _due(due: Due) -> dict[str, str]:
    return {"at": _text(due.at), "name": due.name, "key": due.key}


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _instant(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise refusal("invalid_value", "to is an instant, RFC 3339.", param="to") from None
    if found.tzinfo is None:
        raise refusal("invalid_value", "to names its offset from UTC.", param="to")
    try:
        return found.astimezone(UTC)
    except OverflowError:
        raise refusal("invalid_value", "to lies within the years 1 to 9999.", param="to") from None
