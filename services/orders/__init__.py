"""Orders: what accounts buy, how it is paid and fulfilled, and their time with each number."""

from __future__ import annotations

from shared.spec import ServiceSpec


def spec() -> ServiceSpec:
    """Orders in one object. Imported here, so that another service's use of our messages does not
    load all of it."""
    from services.orders import fulfilling, messages, policies
    from services.orders.domain import order, tenure
    from services.orders.operating import OPERATING
    from services.orders.projections import NUMBERS, ORDERS
    from services.orders.service import OrdersService

    return ServiceSpec(
        name=messages.SERVICE,
        aggregates=(order.AGGREGATE, tenure.AGGREGATE),
        rpc=OrdersService,
        policy=policies.POLICY,
        processes={messages.CompleteOrder: fulfilling.complete},
        projections=(ORDERS, NUMBERS, OPERATING),
        timers=policies.TIMERS,
    )
