"""The payment provider: the few calls we make, and the only file that imports ``stripe``.

Stripe's exceptions are translated here, once, by what they mean for us:

    declined, or not possible          ``ProviderRefusedError``: an answer, final
    connection refused, no such host,  ``NotSentError``: nothing was done, simply try again
    429, wrong key, any failed reading
    time-out, dropped answer, 5xx,     ``OutcomeUnknownError``: look it up before sending again
    idempotency conflict

Source: https://docs.stripe.com/api/errors and https://docs.stripe.com/api/idempotent_requests.
Importing the library takes about half a second: it is imported with the first call.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from services.billing.messages import ChargeRefundRequested, ChargeRequested
from services.billing.provider_answers import (
    CardFacts,
    Payment,
    ProviderRefusedError,
    Returned,
    Setup,
    card_of,
    failure_of,
    payment_of,
    returned_of,
    setup_of,
)
from shared import logging
from shared.config import Settings
from shared.consumers.effects import NotSentError, OutcomeUnknownError
from shared.live import BILLING, require
from shared.refusals import refusal

if TYPE_CHECKING:
    import requests
    import stripe

_log = logging.logger("provider")
TOLERANCE_SECONDS = 300  # How old a webhook's signature may be: Stripe's own default.
_PAGE = 100
_LIVE = "https://api.stripe.com"


class Provider:
    """Stripe, or what speaks like it. Safe for threads; each thread keeps its connection."""

    def __init__(self, settings: Settings) -> None:
        require(settings, BILLING)
        self._settings = settings
        self._of_thread = threading.local()

    # ── Customers and cards ───────────────────────────────────────────────────────────────────────

    def make_customer(self, account_id: str) -> str:
        """The provider's customer for an account; the same one if asked again within 24 hours."""
        with _translated():
            made = self._api.customers.create(
                params={"metadata": {"account_id": account_id, "mode": self._settings.mode}},
                options={"idempotency_key": f"customer-{account_id}"},
            )
        return made.id

    def begin_setup(self, customer: str, account_id: str, key: str) -> Setup:
        """Begins to add a card, which the browser then completes with the client secret."""
        params: Any = {
            "customer": customer,
            "payment_method_types": ["card"],
            "usage": "off_session",
            "metadata": {"account_id": account_id, "mode": self._settings.mode},
        }
        with _translated():
            made = self._api.setup_intents.create(params=params, options={"idempotency_key": key})
        return setup_of(made.to_dict())

    def setup(self, setup_id: str) -> Setup:
        """Where adding a card stands. Raises ``ProviderRefusedError`` for an unknown id."""
        with _translated(reading=True):
            params: Any = {"expand": ["payment_method"]}
            found = self._api.setup_intents.retrieve(setup_id, params=params)
        return setup_of(found.to_dict())

    def attach(self, token: str, customer: str, key: str) -> CardFacts:
        """Puts a card on a customer. Raises ``ProviderRefusedError`` for one its bank refuses."""
        with _translated():
            made = self._api.payment_methods.attach(
                token, params={"customer": customer}, options={"idempotency_key": key}
            )
        return card_of(made.to_dict())

    def detach(self, provider_id: str) -> None:
        """Takes a card off its customer, for good. Raises ``ProviderRefusedError`` if it is off."""
        with _translated():
            self._api.payment_methods.detach(provider_id)

    # ── Payments ──────────────────────────────────────────────────────────────────────────────────

    def charge(self, asked: ChargeRequested, key: str) -> Payment:
        """Takes money once per key. A refusal of bank or provider is a ``declined`` payment.

        The customer is present when an order is placed, so ``off_session`` is not set: a card that
        needs 3-D Secure answers ``requires_action``.
        """
        params: Any = {
            "amount": asked.amount.minor_units(),
            "currency": asked.amount.currency.lower(),
            "customer": asked.provider_customer,
            "payment_method": asked.provider_method,
            "payment_method_types": ["card"],
            "confirm": True,
            "use_stripe_sdk": True,
            "metadata": self._metadata(asked),
            "expand": ["latest_charge"],
        }
        try:
            with _translated():
                # Raw: making objects of the answer takes longer than sending and reading it.
                made = self._client.raw_request(
                    "post", "/v1/payment_intents", idempotency_key=key, **params
                )
        except ProviderRefusedError as no:
            return Payment(no.payment_id, "declined", code=no.code, detail=no.detail)
        return payment_of(made.data)

    def _metadata(self, asked: ChargeRequested | ChargeRefundRequested) -> dict[str, str]:
        named = {
            "charge_id": asked.charge_id,
            "order_id": asked.order_id,
            "account_id": asked.account_id,
            "mode": self._settings.mode,
        }
        return {name: value for name, value in named.items() if value}

    def find_payment(self, customer: str, charge_id: str, since: int) -> Payment | None:
        """The payment of a charge among the customer's, made at or after a Unix time in seconds."""
        params: Any = {
            "customer": customer,
            "created": {"gte": since},
            "limit": _PAGE,
            "expand": ["data.latest_charge"],
        }
        with _translated(reading=True):
            for intent in self._api.payment_intents.list(params=params).auto_paging_iter():
                one = intent.to_dict()
                if (one["metadata"] or {}).get("charge_id") == charge_id:
                    return payment_of(one)
        return None

    def payment(self, provider_id: str) -> Payment:
        """How a payment stands now."""
        with _translated(reading=True):
            found = self._api.payment_intents.retrieve(
                provider_id, params={"expand": ["latest_charge"]}
            )
        return payment_of(found.to_dict())

    def cancel(self, provider_id: str) -> Payment:
        """Ends a payment that still waits; answers how it stands if it does not wait any more."""
        try:
            with _translated():
                self._api.payment_intents.cancel(provider_id)
        except ProviderRefusedError:
            pass  # It was paid or cancelled meanwhile.
        return self.payment(provider_id)

    # ── Refunds ───────────────────────────────────────────────────────────────────────────────────

    def refund(self, asked: ChargeRefundRequested, key: str) -> Returned:
        """Returns money once per key. Raises ``ProviderRefusedError`` where it cannot be."""
        with _translated():
            made = self._api.refunds.create(
                params={
                    "payment_intent": asked.provider_id,
                    "amount": asked.amount.minor_units(),
                    "metadata": self._metadata(asked) | {"refund_id": asked.refund_id},
                },
                options={"idempotency_key": key},
            )
        return returned_of(made.to_dict())

    def refunds(self, provider_id: str) -> list[Returned]:
        """Every refund of a payment, whoever made it."""
        with _translated(reading=True):
            found = self._api.refunds.list(params={"payment_intent": provider_id, "limit": _PAGE})
            return [returned_of(one.to_dict()) for one in found.auto_paging_iter()]

    # ── Webhooks ──────────────────────────────────────────────────────────────────────────────────

    def webhook(self, body: str, signature: str) -> dict[str, Any]:
        """The event in a webhook. Raises ``webhook_signature_wrong`` for one that is forged, or
        signed over 300 s ago by machine time, or where no secret is set."""
        import stripe  # noqa: PLC0415  # See the module's docstring.

        secret = self._settings.stripe_webhook_secret
        try:
            stripe.WebhookSignature.verify_header(body, signature, secret, TOLERANCE_SECONDS)
            event: dict[str, Any] = json.loads(body)
        except (stripe.SignatureVerificationError, ValueError):
            raise refusal("webhook_signature_wrong") from None
        return event

    @property
    def _client(self) -> stripe.StripeClient:
        if not hasattr(self._of_thread, "client"):
            self._of_thread.client = _connected(self._settings)
        client: stripe.StripeClient = self._of_thread.client
        return client

    @property
    def _api(self) -> stripe.V1Services:
        return self._client.v1


def _connected(settings: Settings) -> stripe.StripeClient:
    if not settings.stripe_secret_key:
        message = "PBXIM_STRIPE_SECRET_KEY is not set"
        raise NotSentError(message)
    import stripe  # noqa: PLC0415  # See the module's docstring.

    base: Any = {"api": settings.stripe_api_base} if settings.stripe_api_base else {}
    return stripe.StripeClient(
        settings.stripe_secret_key,
        base_addresses=base,
        max_network_retries=0,  # Whether to send again is decided by the effect, after a look.
        http_client=stripe.RequestsClient(settings.stripe_timeout, _session(settings)),
    )


def _session(settings: Settings) -> requests.Session:
    # Proxies are looked up here; else each request would go through the whole environment again.
    import requests  # noqa: PLC0415  # It comes with stripe: see the module's docstring.

    session = requests.Session()
    session.proxies = requests.utils.get_environ_proxies(settings.stripe_api_base or _LIVE)
    session.trust_env = False
    return session


@contextlib.contextmanager
def _translated(*, reading: bool = False) -> Iterator[None]:
    import stripe  # noqa: PLC0415  # See the module's docstring.

    try:
        yield
    except stripe.StripeError as error:
        raise _ours(error, reading=reading) from error


def _ours(error: stripe.StripeError, *, reading: bool) -> Exception:
    import stripe  # noqa: PLC0415  # See the module's docstring.

    what = f"{type(error).__name__} {error.http_status} {error.code or ''} {error.request_id or ''}"
    match error:
        case stripe.CardError() | stripe.InvalidRequestError():
            _log.info("provider_refused", answer=what)
            return _refused(error)
        case stripe.RateLimitError() | stripe.AuthenticationError() | stripe.PermissionError():
            return NotSentError(what)
        case stripe.APIConnectionError() if _never_connected(error):
            return NotSentError(what)
        case _:
            return NotSentError(what) if reading else OutcomeUnknownError(what)


def _refused(error: stripe.StripeError) -> ProviderRefusedError:
    body: Any = error.json_body
    details: dict[str, Any] = body["error"] if isinstance(body, dict) else {}
    code, detail = failure_of(details)
    return ProviderRefusedError(code, detail, (details.get("payment_intent") or {}).get("id", ""))


def _never_connected(error: BaseException) -> bool:
    """Whether the request cannot have been read by anybody: there was no connection."""
    from urllib3.exceptions import (  # noqa: PLC0415  # It comes with stripe: see the docstring.
        ConnectTimeoutError,
        NewConnectionError,
    )

    link: BaseException | None = error
    while link is not None:
        if isinstance(getattr(link, "reason", link), (ConnectTimeoutError, NewConnectionError)):
            return True
        link = link.__cause__ or link.__context__
    return False
