"""The operations of the API, one module per resource. Each collects them in ``ROUTES``."""

from __future__ import annotations

from services.gateway.declare import Routes
from services.gateway.routes import (
    accounts,
    api_keys,
    balance,
    charges,
    countries,
    health,
    invitations,
    jobs,
    login,
    numbers,
    orders,
    outbox,
    payment_methods,
    quotes,
    test_clock,
    users,
    webhooks,
)


def all_routes() -> tuple[Routes, ...]:
    """Every resource, in the order of the document."""
    modules = (
        countries,
        quotes,
        orders,
        payment_methods,
        charges,
        balance,
        numbers,
        jobs,
        accounts,
        users,
        api_keys,
        invitations,
        login,
        outbox,
        test_clock,
        webhooks,
        health,
    )
    return tuple(module.ROUTES for module in modules)
