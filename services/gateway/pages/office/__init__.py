"""The back office: pages for staff alone. One module per page, as everywhere.

Who is not staff is refused by ``Who.STAFF``; staff that sees as an account is no staff meanwhile.
"""

from __future__ import annotations

from services.gateway.pages.office import (
    accounts,
    clock,
    imports,
    looks,
    orders,
    outbox,
    stock,
)

MODULES = (accounts, looks, stock, imports, orders, outbox, clock)
