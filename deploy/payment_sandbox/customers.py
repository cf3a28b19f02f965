"""Customers, and the list of what happened (events)."""

from __future__ import annotations

from deploy.payment_sandbox.errors import Json, Refused
from deploy.payment_sandbox.forms import Params
from deploy.payment_sandbox.records import Reader, Transaction, stamp

_TEXTS = ("name", "email", "description", "phone")


def create(tx: Transaction, params: Params) -> Json:
    """A new customer without a card."""
    customer: Json = {
        **stamp("cus"),
        "object": "customer",
        "address": params.branch("address").tree or None,
        "balance": 0,
        "currency": None,
        "default_source": None,
        "delinquent": False,
        "discount": None,
        **{name: params.text(name) for name in _TEXTS},
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": None,
            "footer": None,
            "rendering_options": None,
        },
        "livemode": False,
        "metadata": params.metadata(),
        "preferred_locales": [],
        "shipping": None,
        "tax_exempt": "none",
        "test_clock": None,
    }
    return tx.save(customer)


def update(tx: Transaction, params: Params, identifier: str) -> Json:
    """Change names, metadata, or the default card (which must be attached to this customer)."""
    customer = tx.get("customer", identifier)
    for name in _TEXTS:
        if name in params.tree:
            customer[name] = params.text(name)
    customer["metadata"] |= params.metadata()
    default = params.branch("invoice_settings").text("default_payment_method")
    if default:
        param = "invoice_settings[default_payment_method]"
        if tx.get("payment_method", default, param)["customer"] != identifier:
            message = (
                f"The customer does not have a payment method with the ID {default}. The payment"
                " method must be attached to the customer."
            )
            raise Refused(message, param=param)
        customer["invoice_settings"]["default_payment_method"] = default
    return tx.save(customer)


def retrieve(reader: Reader, _params: Params, identifier: str) -> Json:
    """One customer."""
    return reader.get("customer", identifier)


def list_events(reader: Reader, params: Params) -> Json:
    """Events, newest first, of the last 30 days."""
    return reader.page("event", params, "/v1/events", tag=params.text("type"))


def retrieve_event(reader: Reader, _params: Params, identifier: str) -> Json:
    """One event as it was sent."""
    return reader.get("event", identifier)
