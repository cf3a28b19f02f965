"""Setup intents: adding a card, with 3-D Secure where the card asks for it."""

from __future__ import annotations

import secrets

from deploy.payment_sandbox import cards, methods
from deploy.payment_sandbox.errors import CardRefused, Json, Malformed, Refused
from deploy.payment_sandbox.forms import Params
from deploy.payment_sandbox.records import Reader, Transaction, new_id, stamp

AUTHENTICATION_FAILED = (
    "We are unable to authenticate your payment method. Please choose a different payment method"
    " and try again."
)
_OPEN = frozenset({"requires_payment_method", "requires_confirmation", "requires_action"})


def create(tx: Transaction, params: Params) -> Json:
    """A new setup intent; with `confirm` it is confirmed at once."""
    customer = params.text("customer")
    if customer:
        tx.get("customer", customer, "customer")
    stamped = stamp("seti")
    intent = {
        **stamped,
        "object": "setup_intent",
        "application": None,
        "automatic_payment_methods": params.branch("automatic_payment_methods").tree or None,
        "cancellation_reason": None,
        "client_secret": f"{stamped['id']}_secret_{secrets.token_hex(12)}",
        "customer": customer,
        "description": params.text("description"),
        "last_setup_error": None,
        "latest_attempt": None,
        "livemode": False,
        "mandate": None,
        "metadata": params.metadata(),
        "next_action": None,
        "payment_method": None,
        "payment_method_options": None,
        "payment_method_types": ["card"],
        "status": "requires_payment_method",
        "usage": params.choice("usage", ("off_session", "on_session")) or "off_session",
    }
    _choose(tx, intent, params)
    return _confirmed(tx, intent) if params.flag("confirm") else tx.save(intent)


def _choose(tx: Transaction, intent: Json, params: Params) -> None:
    method = chosen(tx, params)
    if method:
        intent |= {"payment_method": method["id"], "status": "requires_confirmation"}


def chosen(tx: Transaction, params: Params) -> Json | None:
    """The card that the request names or describes, if it does."""
    named, data = params.text("payment_method"), params.branch("payment_method_data")
    if named:
        return methods.resolve(tx, named)
    return methods.made_from(tx, data) if data.tree else None


def confirm(tx: Transaction, params: Params, identifier: str) -> Json:
    """Check the card with its bank; on success it belongs to the customer."""
    intent = tx.get("setup_intent", identifier)
    _expect(intent, _OPEN, "confirm")
    try:
        _choose(tx, intent, params)
    except CardRefused as refusal:
        raise _failed(tx, intent, None, refusal) from refusal
    return _confirmed(tx, intent)


def _confirmed(tx: Transaction, intent: Json) -> Json:
    if not intent["payment_method"]:
        message = (
            "You cannot confirm this SetupIntent because it's missing a payment method. Update the"
            " SetupIntent with a payment method and then confirm it again."
        )
        raise Malformed(message, "setup_intent_unexpected_state")
    method = tx.get("payment_method", intent["payment_method"])
    try:
        methods.refuse_if_unusable(method)
    except CardRefused as refusal:
        raise _failed(tx, intent, method, refusal) from refusal
    if cards.of_method(method).asks_for_authentication:
        intent |= {"status": "requires_action", "next_action": use_sdk(tx)}
        return tx.save(intent)
    return _succeeded(tx, intent, method)


def use_sdk(tx: Transaction) -> Json:
    """The next step of 3-D Secure: Stripe.js opens it, not our server."""
    return {
        "type": "use_stripe_sdk",
        "use_stripe_sdk": {
            "type": "three_d_secure_redirect",
            "source": new_id("src"),
            "stripe_js": f"{tx.origin.base_url}/v3/challenge",
        },
    }


def _succeeded(tx: Transaction, intent: Json, method: Json) -> Json:
    if intent["customer"]:
        methods.join(tx, method, intent["customer"])
    intent |= {"status": "succeeded", "next_action": None, "last_setup_error": None}
    tx.save(intent)
    tx.emit("setup_intent.succeeded", intent)
    return intent


def _failed(
    tx: Transaction, intent: Json, method: Json | None, refusal: CardRefused
) -> CardRefused:
    detail = refusal.error | ({"payment_method": method} if method else {})
    intent |= {
        "status": "requires_payment_method",
        "payment_method": None,
        "next_action": None,
        "last_setup_error": detail,
    }
    tx.save(intent)
    refusal.error = detail | {"setup_intent": intent}
    return refusal


def authenticate(tx: Transaction, params: Params, identifier: str) -> Json:
    """The answer of the person in front of the 3-D Secure step: `outcome` complete or fail."""
    intent = tx.get("setup_intent", identifier)
    _expect(intent, frozenset({"requires_action"}), "authenticate")
    method = tx.get("payment_method", intent["payment_method"])
    if outcome(params) == "complete":
        return _succeeded(tx, intent, method)
    error = {
        "code": "setup_intent_authentication_failure",
        "message": AUTHENTICATION_FAILED,
        "payment_method": method,
        "type": "invalid_request_error",
    }
    intent |= {
        "status": "requires_payment_method",
        "payment_method": None,
        "next_action": None,
        "last_setup_error": error,
    }
    return tx.save(intent)


def outcome(params: Params) -> str:
    """`complete` or `fail`; anything else is malformed."""
    params.need("outcome")
    return params.choice("outcome", ("complete", "fail")) or "fail"


def cancel(tx: Transaction, params: Params, identifier: str) -> Json:
    """End an intent that has not succeeded."""
    intent = tx.get("setup_intent", identifier)
    _expect(intent, _OPEN, "cancel")
    intent |= {
        "status": "canceled",
        "next_action": None,
        "cancellation_reason": params.text("cancellation_reason"),
    }
    return tx.save(intent)


def retrieve(reader: Reader, _params: Params, identifier: str) -> Json:
    """One setup intent."""
    return reader.get("setup_intent", identifier)


def _expect(intent: Json, states: frozenset[str], verb: str) -> None:
    if intent["status"] not in states:
        message = (
            f"You cannot {verb} this SetupIntent because it has a status of {intent['status']}."
        )
        raise Refused(message, "setup_intent_unexpected_state", setup_intent=intent)
