"""Routing: where calls and texts of a number go, and its labels."""

from __future__ import annotations

from shared.spec import ServiceSpec


def spec() -> ServiceSpec:
    """Routing in one object. Imported here, so that another service's use of our messages does not
    load all of it."""
    from services.routing import messages, policies
    from services.routing.domain import route
    from services.routing.projections import ROUTES
    from services.routing.service import RoutingService

    return ServiceSpec(
        name=messages.SERVICE,
        aggregates=(route.AGGREGATE,),
        rpc=RoutingService,
        policy=policies.POLICY,
        processes={},
        projections=(ROUTES,),
    )
