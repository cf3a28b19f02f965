"""Porting's methods for other services and the gateway."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.porting import projections
from services.porting.domain import portability
from services.porting.domain.portability import Verdict
from shared.rpc import CallContext, rpc
from shared.runtime import Runtime


class PortingService:
    """Whether numbers can be ported in. Port requests follow."""

    name = "porting"

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        # Queries may come before the runner has filled its first row.
        runtime.views.create(projections.TABLES)

    @rpc
    def check_portability(
        self, ctx: CallContext, country: str, numbers: Sequence[str]
    ) -> list[dict[str, Any]]:
        """One verdict per number, in order. Raises ``invalid_value``, ``no_numbers``,
        ``too_many_numbers``."""
        region = portability.check_request(country, numbers)
        self._runtime.fresh(ctx, projections.OUR_NUMBERS.name)
        read = [n for n in (portability.read(region, text) for text in numbers) if n is not None]
        ours = projections.ours_among(self._runtime.views, read)
        return [_verdict(v) for v in portability.judge(region, numbers, ours)]


def _verdict(v: Verdict) -> dict[str, Any]:
    return {"number": v.number, "portable": v.portable, "code": v.code, "detail": v.detail}
