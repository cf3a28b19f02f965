"""Every route of the API in one table, and `expand`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from deploy.payment_sandbox import charges, customers, methods, payments, setups
from deploy.payment_sandbox.errors import Json, Malformed
from deploy.payment_sandbox.records import Reader

_LIST = "limit starting_after ending_before created"
_CARD = "payment_method payment_method_data payment_method_options payment_method_types"
_COMMON = frozenset({"expand", "client_secret", "use_stripe_sdk"})
_EXPANDABLE = {
    "charge": "charge",
    "customer": "customer",
    "default_payment_method": "payment_method",
    "latest_charge": "charge",
    "payment_intent": "payment_intent",
    "payment_method": "payment_method",
}


@dataclass(frozen=True)
class Route:
    """A handler with the parameters it knows; `public` = a publishable key will do."""

    handler: Callable[..., Json]
    allowed: frozenset[str]
    public: bool = False


def _route(handler: Callable[..., Json], allowed: str = "", *, public: bool = False) -> Route:
    return Route(handler, frozenset(allowed.split()) | _COMMON, public)


_CUSTOMER = "address description email invoice_settings metadata name phone preferred_locales"
_SETUP = f"{_CARD} automatic_payment_methods mandate_data return_url"
_PAYMENT = (
    f"{_CARD} automatic_payment_methods error_on_requires_action mandate_data off_session"
    " receipt_email return_url setup_future_usage"
)

ROUTES: dict[tuple[str, str], Route] = {
    ("POST", "customers"): _route(customers.create, _CUSTOMER),
    ("GET", "customers/*"): _route(customers.retrieve),
    ("POST", "customers/*"): _route(customers.update, _CUSTOMER),
    ("GET", "customers/*/payment_methods"): _route(methods.of_customer, f"{_LIST} type"),
    ("POST", "payment_methods"): _route(
        methods.create, "type card billing_details metadata", public=True
    ),
    ("GET", "payment_methods"): _route(methods.listed, f"{_LIST} customer type"),
    ("GET", "payment_methods/*"): _route(methods.retrieve),
    ("POST", "payment_methods/*/attach"): _route(methods.attach, "customer"),
    ("POST", "payment_methods/*/detach"): _route(methods.detach),
    ("POST", "setup_intents"): _route(
        setups.create, f"{_SETUP} confirm customer description metadata usage"
    ),
    ("GET", "setup_intents/*"): _route(setups.retrieve, public=True),
    ("POST", "setup_intents/*/confirm"): _route(setups.confirm, _SETUP, public=True),
    ("POST", "setup_intents/*/cancel"): _route(setups.cancel, "cancellation_reason"),
    ("POST", "setup_intents/*/authenticate"): _route(setups.authenticate, "outcome", public=True),
    ("POST", "payment_intents"): _route(
        payments.create,
        f"{_PAYMENT} amount capture_method confirm confirmation_method currency customer"
        " description metadata statement_descriptor statement_descriptor_suffix",
    ),
    ("GET", "payment_intents"): _route(payments.listed, f"{_LIST} customer"),
    ("GET", "payment_intents/*"): _route(payments.retrieve, public=True),
    ("POST", "payment_intents/*/confirm"): _route(payments.confirm, _PAYMENT, public=True),
    ("POST", "payment_intents/*/cancel"): _route(payments.cancel, "cancellation_reason"),
    ("POST", "payment_intents/*/authenticate"): _route(
        payments.authenticate, "outcome", public=True
    ),
    ("GET", "charges"): _route(charges.listed, f"{_LIST} customer payment_intent"),
    ("GET", "charges/*"): _route(charges.retrieve),
    ("POST", "refunds"): _route(
        charges.refund, "amount charge metadata payment_intent reason instructions_email"
    ),
    ("GET", "refunds"): _route(charges.listed_refunds, f"{_LIST} payment_intent"),
    ("GET", "refunds/*"): _route(charges.retrieve_refund),
    ("GET", "events"): _route(customers.list_events, f"{_LIST} type"),
    ("GET", "events/*"): _route(customers.retrieve_event),
}


def find(method: str, path: str) -> tuple[Route, list[str]] | None:
    """The route for `/v1/…` and the id in the path, or None."""
    parts = path.removeprefix("/v1/").split("/")
    identifiers = parts[1:2]
    pattern = "/".join([parts[0], *("*" for _ in identifiers), *parts[2:]])
    route = ROUTES.get((method, pattern))
    return (route, identifiers) if route else None


def expanded(reader: Reader, body: Json, paths: list[str]) -> Json:
    """`body` with the objects named by `expand` in place of their ids (4 deep, as Stripe)."""
    for path in paths:
        steps = path.split(".")
        if len(steps) > 4:  # noqa: PLR2004  # Named by its context.
            raise Malformed("You cannot expand more than 4 levels of a property", param="expand")
        _expand(reader, body, steps, path)
    return body


def _expand(reader: Reader, node: Any, steps: list[str], path: str) -> None:
    if isinstance(node, list):
        for item in node:
            _expand(reader, item, steps, path)
        return
    if not steps or not isinstance(node, dict):
        return
    first, rest = steps[0], steps[1:]
    if first not in node or not (rest or first in _EXPANDABLE):
        raise Malformed(f"This property cannot be expanded ({path}).", param="expand")
    if isinstance(node[first], str) and first in _EXPANDABLE:
        node[first] = reader.find(_EXPANDABLE[first], node[first]) or node[first]
    _expand(reader, node[first], rest, path)
