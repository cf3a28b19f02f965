"""Payment intents: one wish to be paid, and the charges that were tried for it."""

from __future__ import annotations

import re
import secrets

from deploy.payment_sandbox import cards, methods, setups
from deploy.payment_sandbox.charges import charge_of
from deploy.payment_sandbox.errors import CardRefused, Json, Malformed, Refused
from deploy.payment_sandbox.forms import Params
from deploy.payment_sandbox.records import Reader, Transaction, now, stamp

_OPEN = frozenset({"requires_payment_method", "requires_confirmation", "requires_action"})
_MUST_AUTHENTICATE = "Your card was declined. This transaction requires authentication."
MINIMUM = 50  # Minor units: 0.50 USD, and taken as such for every currency that is not among these.
_OTHER_MINIMUMS = {"czk": 1500, "dkk": 250, "gbp": 30, "huf": 17500, "pln": 200, "sek": 300}


def create(tx: Transaction, params: Params) -> Json:
    """A new payment intent; with `confirm` the charge is tried at once.

    Raises CardRefused (the refused charge is booked all the same), Malformed and Refused.
    """
    confirmed = params.flag("confirm")
    if params.flag("off_session") and not confirmed:
        message = "You can only pass in `off_session` when `confirm` is set to `true`."
        raise Malformed(message, param="off_session")
    intent = _new(tx, params)
    _choose(tx, intent, params)
    return _attempt(tx, intent, params) if confirmed else tx.save(intent)


def _new(tx: Transaction, params: Params) -> Json:
    stamped = stamp("pi")
    customer = params.text("customer")
    if customer:
        tx.get("customer", customer, "customer")
    return {
        **stamped,
        "object": "payment_intent",
        "amount": _amount(params),
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "application": None,
        "automatic_payment_methods": params.branch("automatic_payment_methods").tree or None,
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": "automatic_async",
        "client_secret": f"{stamped['id']}_secret_{secrets.token_hex(12)}",
        "confirmation_method": "automatic",
        "currency": _currency(params),
        "customer": customer,
        "description": params.text("description"),
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": False,
        "metadata": params.metadata(),
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": None,
        "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
        "payment_method_types": ["card"],
        "processing": None,
        "receipt_email": params.text("receipt_email"),
        "setup_future_usage": params.choice("setup_future_usage", ("off_session", "on_session")),
        "shipping": None,
        "statement_descriptor": params.text("statement_descriptor"),
        "statement_descriptor_suffix": params.text("statement_descriptor_suffix"),
        "status": "requires_payment_method",
        "transfer_data": None,
        "transfer_group": None,
    }


def _amount(params: Params) -> int:
    params.need("amount")
    amount = params.whole("amount") or 0
    if amount < _OTHER_MINIMUMS.get((params.text("currency") or "").lower(), MINIMUM):
        message = "Amount must be at least $0.50 usd"
        raise Malformed(message, "amount_too_small", "amount")
    return amount


def _currency(params: Params) -> str:
    currency = params.need("currency").lower()
    if not re.fullmatch(r"[a-z]{3}", currency):
        raise Malformed(f"Invalid currency: {currency[:20]}", param="currency")
    return currency


def _choose(tx: Transaction, intent: Json, params: Params) -> None:
    method = setups.chosen(tx, params)
    if method is None:
        return
    if method["customer"] and method["customer"] != intent["customer"]:
        message = (
            f"The customer does not have a payment method with the ID {method['id']}. The payment"
            " method must be attached to the customer."
        )
        raise Refused(message, param="payment_method")
    intent |= {"payment_method": method["id"], "status": "requires_confirmation"}


def confirm(tx: Transaction, params: Params, identifier: str) -> Json:
    """Try the charge; a 3-D Secure card on-session gives requires_action."""
    intent = tx.get("payment_intent", identifier)
    _expect(intent, _OPEN, "confirm")
    _choose(tx, intent, params)
    return _attempt(tx, intent, params)


def _attempt(tx: Transaction, intent: Json, params: Params) -> Json:
    if not intent["payment_method"]:
        message = (
            "You cannot confirm this PaymentIntent because it's missing a payment method. You can"
            " either update the PaymentIntent with a payment method and then confirm it again, or"
            " confirm it again directly with a payment method or ConfirmationToken."
        )
        raise Malformed(message, "payment_intent_unexpected_state")
    method = tx.get("payment_method", intent["payment_method"])
    card = cards.of_method(method)
    if card.asks_for_authentication:
        if params.flag("off_session") or params.flag("error_on_requires_action"):
            code = "authentication_required"
            raise _declined(tx, intent, method, CardRefused(_MUST_AUTHENTICATE, code), code)
        return _wait_for_person(tx, intent)
    return _charge(tx, intent, method)


def _wait_for_person(tx: Transaction, intent: Json) -> Json:
    intent |= {"status": "requires_action", "next_action": setups.use_sdk(tx)}
    tx.save(intent)
    tx.emit("payment_intent.requires_action", intent)
    return intent


def _charge(tx: Transaction, intent: Json, method: Json) -> Json:
    card = cards.of_method(method)
    decline = card.declined_at_charge or card.refused_when_added
    if decline:
        refusal = CardRefused(cards.DECLINED, "card_declined")
        raise _declined(tx, intent, method, refusal, decline)
    charge = charge_of(tx, intent, method, None)
    intent |= {
        "amount_received": intent["amount"],
        "last_payment_error": None,
        "latest_charge": charge["id"],
        "next_action": None,
        "status": "succeeded",
    }
    if intent["setup_future_usage"] and intent["customer"] and not method["customer"]:
        methods.join(tx, method, intent["customer"])
    tx.save(intent)
    tx.emit("payment_intent.succeeded", intent)
    return intent


def _declined(
    tx: Transaction, intent: Json, method: Json, refusal: CardRefused, decline: str
) -> CardRefused:
    charge = charge_of(tx, intent, method, refusal)
    detail = refusal.error | {
        "charge": charge["id"],
        "decline_code": decline,
        "payment_method": method,
    }
    _back_to_start(tx, intent, detail, charge["id"])
    refusal.error = detail | {"payment_intent": intent}
    return refusal


def _back_to_start(tx: Transaction, intent: Json, error: Json, charge: str | None) -> None:
    intent |= {
        "last_payment_error": error,
        "latest_charge": charge or intent["latest_charge"],
        "next_action": None,
        "payment_method": None,
        "status": "requires_payment_method",
    }
    tx.save(intent)
    tx.emit("payment_intent.payment_failed", intent)


def authenticate(tx: Transaction, params: Params, identifier: str) -> Json:
    """The answer of the person in front of the 3-D Secure step: `outcome` complete or fail."""
    intent = tx.get("payment_intent", identifier)
    _expect(intent, frozenset({"requires_action"}), "authenticate")
    method = tx.get("payment_method", intent["payment_method"])
    if setups.outcome(params) == "complete":
        return _charge(tx, intent, method)
    error = {
        "code": "payment_intent_authentication_failure",
        "message": setups.AUTHENTICATION_FAILED,
        "payment_method": method,
        "type": "invalid_request_error",
    }
    _back_to_start(tx, intent, error, None)
    return intent


def cancel(tx: Transaction, params: Params, identifier: str) -> Json:
    """End an intent that has not been paid."""
    intent = tx.get("payment_intent", identifier)
    _expect(intent, _OPEN, "cancel")
    intent |= {
        "canceled_at": now(),
        "cancellation_reason": params.text("cancellation_reason"),
        "next_action": None,
        "status": "canceled",
    }
    tx.save(intent)
    tx.emit("payment_intent.canceled", intent)
    return intent


def retrieve(reader: Reader, _params: Params, identifier: str) -> Json:
    """One payment intent."""
    return reader.get("payment_intent", identifier)


def listed(reader: Reader, params: Params) -> Json:
    """Payment intents, newest first, of one `customer` if given."""
    customer = params.text("customer")
    return reader.page("payment_intent", params, "/v1/payment_intents", customer=customer)


def _expect(intent: Json, states: frozenset[str], verb: str) -> None:
    if intent["status"] not in states:
        message = (
            f"You cannot {verb} this PaymentIntent because it has a status of {intent['status']}."
        )
        code = "payment_intent_unexpected_state"
        raise Refused(message, code, payment_intent=intent)
