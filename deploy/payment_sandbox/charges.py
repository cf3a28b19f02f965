"""Charges and refunds: what is booked for good."""

from __future__ import annotations

from deploy.payment_sandbox.errors import ApiError, CardRefused, Json, Malformed, Refused
from deploy.payment_sandbox.forms import Params
from deploy.payment_sandbox.records import Reader, Transaction, new_id, stamp

_REASONS = ("duplicate", "fraudulent", "requested_by_customer")


def charge_of(tx: Transaction, intent: Json, method: Json, refusal: CardRefused | None) -> Json:
    """Book one attempt for `intent`: paid, or failed when there is a `refusal`."""
    stamped = stamp("ch")
    charge = {
        **stamped,
        "object": "charge",
        "amount": intent["amount"],
        "amount_captured": 0 if refusal else intent["amount"],
        "amount_refunded": 0,
        "balance_transaction": None if refusal else new_id("txn"),
        "billing_details": method["billing_details"],
        "captured": refusal is None,
        "currency": intent["currency"],
        "customer": intent["customer"],
        "description": intent["description"],
        "disputed": False,
        "failure_code": refusal.error["code"] if refusal else None,
        "failure_message": refusal.error["message"] if refusal else None,
        "livemode": False,
        "metadata": intent["metadata"],
        "outcome": _outcome(refusal),
        "paid": refusal is None,
        "payment_intent": intent["id"],
        "payment_method": method["id"],
        "payment_method_details": {"card": method["card"], "type": "card"},
        "receipt_email": intent["receipt_email"],
        "receipt_number": None,
        "receipt_url": None if refusal else f"{tx.origin.base_url}/receipts/{stamped['id']}",
        "refunded": False,
        "statement_descriptor_suffix": intent["statement_descriptor_suffix"],
        "status": "failed" if refusal else "succeeded",
    }
    tx.save(charge, tag=intent["id"])
    tx.book_charge(charge)
    return charge


def _outcome(refusal: CardRefused | None) -> Json:
    if refusal is None:
        return {"network_status": "approved_by_network", "reason": None, "type": "authorized"}
    reason = refusal.error["code"]
    return {"network_status": "declined_by_network", "reason": reason, "type": "issuer_declined"}


def retrieve(reader: Reader, _params: Params, identifier: str) -> Json:
    """One charge."""
    return reader.get("charge", identifier)


def listed(reader: Reader, params: Params) -> Json:
    """Charges, newest first, of one `payment_intent` or `customer` if given."""
    return reader.page(
        "charge",
        params,
        "/v1/charges",
        customer=params.text("customer"),
        tag=params.text("payment_intent"),
    )


def refund(tx: Transaction, params: Params) -> Json:
    """Give back all that is left, or `amount` minor units of it."""
    charge = _to_refund(tx, params)
    left = charge["amount"] - charge["amount_refunded"]
    amount = params.whole("amount") if "amount" in params.tree else left
    _check_limit(charge, amount or 0, left)
    made = {
        **stamp("re"),
        "object": "refund",
        "amount": amount,
        "balance_transaction": new_id("txn"),
        "charge": charge["id"],
        "currency": charge["currency"],
        "destination_details": {"card": {"type": "refund"}, "type": "card"},
        "metadata": params.metadata(),
        "payment_intent": charge["payment_intent"],
        "reason": params.choice("reason", _REASONS),
        "receipt_number": None,
        "status": "succeeded",
    }
    tx.save(made, tag=charge["payment_intent"])
    tx.book_refund(made)
    _mark_refunded(tx, charge, amount or 0)
    return made


def _to_refund(tx: Transaction, params: Params) -> Json:
    named = params.text("charge")
    if named:
        charge = tx.get("charge", named, "charge")
    else:
        if params.text("payment_intent") is None:
            message = "One of the following params should be provided: payment_intent or charge."
            raise Malformed(message, "parameter_missing")
        intent = tx.get("payment_intent", params.need("payment_intent"), "payment_intent")
        if intent["status"] != "succeeded":
            raise _not_paid(intent["id"])
        charge = tx.get("charge", intent["latest_charge"])
    if not charge["paid"]:
        raise _not_paid(charge["id"])
    return charge


def _not_paid(identifier: str) -> ApiError:
    return Refused(f"{identifier} does not have a successful charge to refund.")


def _check_limit(charge: Json, amount: int, left: int) -> None:
    if left == 0:
        message = f"Charge {charge['id']} has already been refunded."
        raise Refused(message, "charge_already_refunded")
    if amount < 1:
        raise Malformed("Invalid positive integer", "parameter_invalid_integer", "amount")
    if amount > left:
        message = (
            f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left}),"
            " in minor units."
        )
        raise Refused(message, "amount_too_large", param="amount")


def _mark_refunded(tx: Transaction, charge: Json, amount: int) -> None:
    previous = {"amount_refunded": charge["amount_refunded"], "refunded": False}
    charge["amount_refunded"] += amount
    charge["refunded"] = charge["amount_refunded"] == charge["amount"]
    tx.save(charge)
    tx.emit("charge.refunded", charge, previous)


def retrieve_refund(reader: Reader, _params: Params, identifier: str) -> Json:
    """One refund."""
    return reader.get("refund", identifier)


def listed_refunds(reader: Reader, params: Params) -> Json:
    """Refunds, newest first, of one `payment_intent` if given."""
    intent = params.text("payment_intent")
    return reader.page("refund", params, "/v1/refunds", tag=intent)
