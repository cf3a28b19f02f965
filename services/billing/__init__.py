"""Billing: accounts, cards, charges and refunds, and what is owed."""

from __future__ import annotations

from shared.spec import ServiceSpec


def spec() -> ServiceSpec:
    """What the platform needs to know. Imports here, so that ``messages`` alone stays light."""
    from services.billing import charging, effects, policies, projections, service
    from services.billing.domain import account, charge
    from services.billing.messages import SERVICE

    return ServiceSpec(
        name=SERVICE,
        aggregates=(account.AGGREGATE, charge.AGGREGATE),
        rpc=service.Billing,
        policy=policies.POLICY,
        processes=charging.PROCESSES,
        projections=projections.PROJECTIONS,
        effects=effects.effects,
        timers=policies.TIMERS,
    )
