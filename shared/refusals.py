"""The catalogue of stable error codes: who should act, what it is called, what to do next.

``raise refusal("number_gone", ...)`` builds the right class of ``shared/errors.py``. A code that is
not in the catalogue is a programming mistake and fails at once. ``docs/reference/errors.md`` is
generated from this table.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from shared import errors as e


class Code(NamedTuple):
    """One line of the catalogue."""

    kind: type[e.PbxError]
    title: str
    next_step: str


_AGAIN = "Try again in a moment; repeating the request with the same Idempotency-Key is safe."
_SUPPORT = "If it stays like this, contact support and name the request id."

CODES: dict[str, Code] = {
    # The request itself
    "malformed_json": Code(e.BadRequest, "The body is not JSON", "Send a JSON object."),
    "malformed_request": Code(
        e.BadRequest, "The request cannot be read", "Check it against /docs."
    ),
    "idempotency_key_missing": Code(
        e.BadRequest,
        "Idempotency-Key is missing",
        "Send the header Idempotency-Key with a value you made for this one operation.",
    ),
    "context_missing": Code(
        e.BadRequest, "The call carries no context", "Say for which account and by whom it is made."
    ),
    "body_too_large": Code(e.TooLarge, "The body is too large", "Send less at once."),
    "unknown_field": Code(e.Unprocessable, "There is no such field", "Leave the field out."),
    "invalid_value": Code(e.Unprocessable, "A value cannot be used", "Correct the named field."),
    "missing_field": Code(e.Unprocessable, "A field is missing", "Send the named field."),
    "route_unknown": Code(
        e.NotFound, "There is nothing at this address", "See /docs for the routes."
    ),
    "method_not_allowed": Code(e.BadRequest, "This method is not offered here", "See /docs."),
    "unsupported_media_type": Code(
        e.BadRequest, "This kind of content is not accepted here", "Send the content type named."
    ),
    "invalid_cursor": Code(
        e.Unprocessable, "The cursor is not one of ours", "Start without a cursor."
    ),
    "number_invalid": Code(
        e.Unprocessable, "This is not a phone number", "Write it as in +12125550123."
    ),
    "idempotency_key_reused": Code(
        e.Unprocessable,
        "This Idempotency-Key was used for another request",
        "Use a new key for a new operation.",
    ),
    "idempotency_key_in_use": Code(
        e.Conflict, "The first request with this key is still running", _AGAIN
    ),
    "edited_meanwhile": Code(
        e.Stale, "Somebody changed this meanwhile", "Read it again and repeat your change."
    ),
    "rate_limited": Code(e.RateLimited, "Too many requests", "Wait as long as Retry-After says."),
    # Who asks
    "not_authenticated": Code(
        e.NotAuthenticated, "You are not signed in", "Sign in, or send a valid API key."
    ),
    "session_expired": Code(e.NotAuthenticated, "Your session has ended", "Sign in again."),
    "credentials_wrong": Code(
        e.NotAuthenticated, "E-mail or password is wrong", "Check both, or reset the password."
    ),
    "totp_required": Code(
        e.NotAuthenticated,
        "A second factor is needed",
        "Send the code of your authenticator as totp.",
    ),
    "totp_wrong": Code(
        e.NotAuthenticated, "The code is wrong or was used", "Wait for the next code and send that."
    ),
    "totp_enrolled": Code(
        e.Conflict,
        "There is a second factor already",
        "Remove it first, with one of its codes: POST /v1/users/me/totp/remove.",
    ),
    "totp_enrolment_required": Code(
        e.NotAllowed, "Staff needs a second factor", "Enrol one first: POST /v1/users/me/totp."
    ),
    "account_needed": Code(
        e.BadRequest, "It is not said for which account", "Name it in the header Pbx-Account."
    ),
    "csrf_failed": Code(
        e.NotAllowed, "The form has expired", "Load the page again and repeat what you did."
    ),
    "role_required": Code(
        e.NotAllowed, "Your role does not allow this", "Ask an owner of the account."
    ),
    "looking_only": Code(
        e.NotAllowed, "You are looking at this account, and may not change it", "Stop looking."
    ),
    "staff_only": Code(e.NotAllowed, "Only staff may do this", "Ask support to do it for you."),
    "token_invalid": Code(
        e.Gone, "This link was used or has expired", "Ask for a new invitation or password reset."
    ),
    "password_too_weak": Code(
        e.Unprocessable,
        "This password is too short or too common",
        "Use at least 15 characters that are not on every list.",
    ),
    "email_taken": Code(e.Conflict, "This e-mail has a user already", "Use another e-mail."),
    "last_owner": Code(
        e.Conflict, "An account keeps at least one owner", "Name another owner first."
    ),
    # Things that are not there
    "account_unknown": Code(e.NotFound, "There is no such account", "Check the id."),
    "order_unknown": Code(e.NotFound, "There is no such order", "Check the id."),
    "quote_unknown": Code(e.NotFound, "There is no such quote", "Make a new quote."),
    "number_unknown": Code(e.NotFound, "You have no such number", "See your list of numbers."),
    "offer_unknown": Code(e.NotFound, "There is no such offer", "Search again."),
    "block_unknown": Code(
        e.NotFound, "There is no such block of numbers", "Check the first number."
    ),
    "payment_method_unknown": Code(e.NotFound, "There is no such card", "See your list of cards."),
    "charge_unknown": Code(e.NotFound, "There is no such charge", "Check the id."),
    "job_unknown": Code(e.NotFound, "There is no such job", "Check the id."),
    "user_unknown": Code(e.NotFound, "There is no such user", "See the list of users."),
    "key_unknown": Code(e.NotFound, "There is no such API key", "See the list of API keys."),
    "hold_unknown": Code(e.NotFound, "There is no such hold", "Make a new quote."),
    # Buying
    "number_gone": Code(
        e.Conflict, "Somebody else was faster", "Search again and pick other numbers."
    ),
    "offer_changed": Code(
        e.Conflict, "The terms of this offer have changed", "Search again to see the new terms."
    ),
    "too_many_per_city": Code(
        e.Unprocessable, "At most 10 numbers per city and order", "Order the rest separately."
    ),
    "too_many_held": Code(
        e.Conflict, "You hold as many numbers as you may", "Buy or release what you hold first."
    ),
    "quantity_invalid": Code(
        e.Unprocessable, "A quantity is from 1 to 10", "Correct the quantity."
    ),
    "mixed_currency": Code(
        e.Unprocessable, "One order has one currency", "Order each currency separately."
    ),
    "items_invalid": Code(
        e.Unprocessable, "Name what to buy", "Send a quote_id, or items, and not both."
    ),
    "quote_used": Code(e.Conflict, "This quote belongs to an order already", "See your orders."),
    "quote_expired": Code(
        e.Gone, "This quote has expired", "Make a new quote; nothing was charged."
    ),
    "payment_method_required": Code(
        e.PaymentRequired, "There is no card to charge", "Add a card, then order again."
    ),
    "card_declined": Code(
        e.PaymentRequired, "The card was declined", "Use another card, or ask your bank."
    ),
    "authentication_required": Code(
        e.PaymentRequired,
        "The bank wants you to confirm the payment",
        "Order again and complete the step your bank shows (3-D Secure).",
    ),
    "payment_failed": Code(
        e.PaymentRequired, "The payment did not go through", "Use another card, or try again."
    ),
    "payment_method_in_use": Code(
        e.Conflict, "An order is being paid with this card", "Wait until the order has ended."
    ),
    "order_not_refundable": Code(
        e.Conflict, "Nothing of this order can be refunded", "See what was charged and refunded."
    ),
    "refund_too_large": Code(
        e.Unprocessable,
        "That is more than was charged",
        "Refund at most what is left of the charge.",
    ),
    "order_not_with_operator": Code(
        e.Conflict, "This order waits for nobody of the staff", "Read where the order stands."
    ),
    "order_paid": Code(
        e.Conflict, "The order is paid", "Refund it, or wait until its numbers are delivered."
    ),
    "ended_by_staff": Code(
        e.Conflict, "We ended this order", "Nothing stays charged. Order again, or ask support."
    ),
    "nothing_to_confirm": Code(
        e.Conflict, "This order waits for no confirmation", "Read the order to see where it stands."
    ),
    "nothing_owed": Code(
        e.Conflict, "Nothing is owed in this currency", "See what is owed: GET /v1/balance."
    ),
    "below_minimum": Code(
        e.Conflict,
        "That is less than can be charged at once",
        "Nothing to do: it stays owed, and can be paid once it is enough.",
    ),
    "balance_being_paid": Code(
        e.Conflict, "A payment of what is owed is under way", "Wait until it has ended."
    ),
    # Stock
    "block_overlap": Code(
        e.Conflict, "The block overlaps another one", "Correct first_number or count."
    ),
    "area_code_mismatch": Code(
        e.Unprocessable, "The numbers do not begin with this area code", "Correct area_code."
    ),
    "type_mismatch": Code(
        e.Unprocessable, "The numbers are of another type", "Correct type or first_number."
    ),
    "country_mismatch": Code(
        e.Unprocessable, "The numbers belong to another country", "Correct country or first_number."
    ),
    "csv_header_wrong": Code(
        e.Unprocessable, "The columns are not those of a stock file", "Use the columns named."
    ),
    "csv_empty": Code(e.Unprocessable, "The file has no rows", "Send a file with rows."),
    # The test clock
    "clock_backwards": Code(
        e.Unprocessable, "The clock goes forward only", "Name an instant later than now."
    ),
    "clock_busy": Code(
        e.Conflict, "The clock is being put forward already", "Wait until that has ended."
    ),
    # Porting
    "no_numbers": Code(e.Unprocessable, "No numbers are named", "Name the numbers to port."),
    "too_many_numbers": Code(
        e.Unprocessable, "A port request has at most 1,000 numbers", "Send the rest separately."
    ),
    "duplicate_number": Code(
        e.Unprocessable, "The number is named more than once", "Name each number once."
    ),
    "not_portable": Code(
        e.Unprocessable, "Numbers of this type cannot be ported", "Port it without this number."
    ),
    "already_ours": Code(
        e.Conflict, "The number is with us already", "See your list of numbers, or ask support."
    ),
    # Us
    "storage_full": Code(
        e.Unavailable,
        "The disk is full",
        "Try again when there is room; repeating it with the same Idempotency-Key is safe.",
    ),
    "busy": Code(e.Unavailable, "Too much at once", _AGAIN),
    "log_unavailable": Code(e.Unavailable, "The event log does not answer", _AGAIN),
    "payment_provider_unavailable": Code(
        e.Unavailable, "The payment provider does not answer", "Nothing was charged. " + _AGAIN
    ),
    "service_unavailable": Code(e.Unavailable, "A service does not answer", _AGAIN),
    "deadline_exceeded": Code(e.Unavailable, "It took too long", _AGAIN),
    "webhook_signature_wrong": Code(
        e.BadRequest, "The signature does not fit", "Check the webhook secret."
    ),
    "setting_invalid": Code(e.Broken, "A setting cannot be used", "Correct the named setting."),
    "log_of_other_mode": Code(
        e.Broken,
        "This event log belongs to the other mode",
        "Use another data folder, or start in the mode the log was made for.",
    ),
    "log_went_back": Code(
        e.Broken,
        "The log went back: an event that was read is missing",
        "Restore state and views from the same backup as the log, or delete the views.",
    ),
    "log_has_hole": Code(
        e.Broken, "The log has a hole", "Stop, and restore the log from a backup."
    ),
    "log_not_migrated": Code(
        e.Broken,
        "The database is not prepared for this version",
        "Run pbxim migrate with the address of the owner in PBXIM_LOG and PBXIM_DATABASE.",
    ),
    "rebuild_running": Code(
        e.Conflict,
        "Read models are being built anew already",
        "Wait until that rebuild has ended, or end it: the next one goes on where it was.",
    ),
    "rebuild_failed": Code(
        e.Broken,
        "A read model could not be built anew",
        "See the detail. The read models that are shown were not touched.",
    ),
    "append_too_large": Code(
        e.Broken,
        "An append is larger than the log takes",
        "Raise the server's limit (KurrentDB: MaxAppendSize), then repeat what was refused.",
    ),
    "code_older_than_log": Code(
        e.Broken, "This code is older than the log", "Start the newer version."
    ),
    "event_id_repeated": Code(e.Broken, "Two events of one append have the same id", _SUPPORT),
    "event_id_clash": Code(e.Broken, "Part of these events is recorded already", _SUPPORT),
    "method_unknown": Code(
        e.Broken,
        "A service does not have this method",
        "Start services and callers of one version.",
    ),
    "internal_error": Code(e.Broken, "Something went wrong on our side", _SUPPORT),
}


def refusal(code: str, detail: str = "", **more: Any) -> e.PbxError:
    """The error for a code of the catalogue. Raises ``KeyError`` for a code that is not in it."""
    return CODES[code].kind(code, detail or CODES[code].title + ".", **more)


def next_step(code: str) -> str:
    """What to do about it; empty for a code this version does not know."""
    return CODES[code].next_step if code in CODES else ""


def setting_invalid(name: str, found: str, allowed: str) -> Exception:
    """A setting that is not as it may be. What it holds is shown: for secrets say what it is."""
    return refusal("setting_invalid", f"{name} is {found!r}; allowed is {allowed}.", param=name)
