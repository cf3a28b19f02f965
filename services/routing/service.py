"""Routing's methods for other services and the gateway."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.routing import projections
from services.routing.domain import route as domain
from services.routing.messages import ChangeLabels
from shared.rpc import CallContext, rpc
from shared.runtime import Runtime

_ROUTES, _POLICY = projections.ROUTES.name, "policy:routing"


class RoutingService:
    """Where calls and texts of a number go, and its labels."""

    name = "routing"

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        # Queries may come before the runner has filled its first row.
        runtime.views.create(projections.TABLES)

    @rpc
    def get_route(self, ctx: CallContext, number_or_num_id: str) -> dict[str, Any]:
        """The route of a number of the account. Raises ``number_unknown``."""
        self._runtime.fresh(ctx, _ROUTES)
        account_id = None if ctx.staff else ctx.account_id
        row = projections.find_route(self._runtime.views, account_id, number_or_num_id)
        return projections.route_json(row)

    @rpc
    def set_labels(
        self, ctx: CallContext, num_id: str, labels: Sequence[str], if_version: int | None = None
    ) -> dict[str, Any]:
        """Replaces the labels of a number. Raises ``number_unknown``, ``edited_meanwhile``,
        ``invalid_value``."""
        ctx.require_owner()
        self._await_route(num_id)
        command = ChangeLabels(
            num_id=num_id, account_id=ctx.account_id, labels=tuple(labels), if_version=if_version
        )
        order = self._runtime.order(ctx, command, "set_labels", num_id)
        done = self._runtime.application.execute(order)
        return _route(num_id, done.state, done.position)

    def _await_route(self, num_id: str) -> None:
        # The caller may have seen the number before our policy did.
        application = self._runtime.application
        if not application.load(domain.AGGREGATE, num_id).version:
            self._runtime.progress.wait_for((_POLICY,), application.log.head())


def _route(num_id: str, state: domain.Route, position: int) -> dict[str, Any]:
    return {
        "num_id": num_id,
        "number": state.number,
        "account_id": state.account_id,
        "max_channels": state.max_channels,
        "sms": state.sms,
        "labels": list(state.labels),
        "labels_version": state.labelled_in,
        "position": position,
    }
