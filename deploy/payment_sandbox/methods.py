"""Payment methods: cards made from a test token or from the card form, on or off a customer."""

from __future__ import annotations

from deploy.payment_sandbox import cards
from deploy.payment_sandbox.errors import CardRefused, Json, Malformed, Refused
from deploy.payment_sandbox.forms import Params
from deploy.payment_sandbox.records import Reader, Transaction, stamp

DETACHED = (
    "The provided PaymentMethod was previously used with a PaymentIntent without Customer"
    " attachment, shared with a connected account without Customer attachment, or was detached"
    " from a Customer. It may not be used again. To use a PaymentMethod multiple times, you must"
    " attach it to a Customer first."
)
_ADDRESS = ("city", "country", "line1", "line2", "postal_code", "state")


def create(tx: Transaction, params: Params) -> Json:
    """A card from `card[token]`, or, with a publishable key, from `card[number]` and so on."""
    return made_from(tx, params)


def made_from(tx: Transaction, data: Params) -> Json:
    """Book the card that `data` describes; it belongs to no customer yet."""
    if data.choice("type", ("card",)) is None:
        raise Malformed("Missing required param: type.", "parameter_missing", "type")
    fields = data.branch("card")
    token = fields.text("token")
    if token is None:
        card, expiry = cards.typed(fields)
        return _insert(tx, card, expiry, data)
    named = cards.by_token(token)
    if named is None:
        raise Malformed(f"No such token: '{token}'", "resource_missing", "card[token]")
    return _insert(tx, named, cards.token_expiry(), data)


def resolve(tx: Transaction, identifier: str) -> Json:
    """The stored card, or for a test token a new card each time, as Stripe does."""
    named = cards.by_token(identifier)
    if named:
        return _insert(tx, named, cards.token_expiry(), Params({}))
    method = tx.get("payment_method", identifier, "payment_method")
    if tx.was_detached(method["id"]):
        raise Refused(DETACHED, param="payment_method")
    return method


def _insert(tx: Transaction, card: cards.SandboxCard, expiry: Json, data: Params) -> Json:
    billing = data.branch("billing_details")
    address = billing.branch("address")
    method = {
        **stamp("pm"),
        "object": "payment_method",
        "allow_redisplay": "unspecified",
        "billing_details": {
            "address": {name: address.tree.get(name) for name in _ADDRESS},
            **{name: billing.tree.get(name) for name in ("email", "name", "phone")},
            "tax_id": None,
        },
        "card": cards.details(card, expiry),
        "customer": None,
        "livemode": False,
        "metadata": data.metadata(),
        "type": "card",
    }
    return tx.save(method)


def attach(tx: Transaction, params: Params, identifier: str) -> Json:
    """Put the card on a customer; 402 for the cards that are refused when added."""
    customer = tx.get("customer", params.need("customer"), "customer")
    method = resolve(tx, identifier)
    refuse_if_unusable(method)
    return join(tx, method, customer["id"])


def refuse_if_unusable(method: Json) -> None:
    """Raise CardRefused for a card that its bank refuses when it is added."""
    decline = cards.of_method(method).refused_when_added
    if decline:
        raise CardRefused(cards.DECLINED, "card_declined", decline_code=decline)


def join(tx: Transaction, method: Json, customer: str) -> Json:
    """Attach once; a card of another customer is refused."""
    if method["customer"] == customer:
        return method
    if method["customer"]:
        message = "The payment method you provided has already been attached to a customer."
        raise Refused(message, param="payment_method")
    method["customer"] = customer
    tx.save(method)
    tx.emit("payment_method.attached", method)
    return method


def detach(tx: Transaction, _params: Params, identifier: str) -> Json:
    """Take the card off its customer, for good."""
    method = tx.get("payment_method", identifier)
    if not method["customer"]:
        message = (
            "The payment method you provided is not attached to a customer so detachment is"
            " impossible."
        )
        raise Refused(message, param="payment_method")
    customer, method["customer"] = method["customer"], None
    tx.save(method)
    tx.detach(method["id"])
    tx.emit("payment_method.detached", method, {"customer": customer})
    return method


def retrieve(reader: Reader, _params: Params, identifier: str) -> Json:
    """One card."""
    return reader.get("payment_method", identifier)


def of_customer(reader: Reader, params: Params, customer: str) -> Json:
    """The cards of a customer, newest first."""
    reader.get("customer", customer)
    url = f"/v1/customers/{customer}/payment_methods"
    return reader.page("payment_method", params, url, customer=customer)


def listed(reader: Reader, params: Params) -> Json:
    """The cards of `customer`, newest first."""
    customer = reader.get("customer", params.need("customer"), "customer")["id"]
    return reader.page("payment_method", params, "/v1/payment_methods", customer=customer)
