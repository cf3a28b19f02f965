"""What leaves the house: the events that are published, and the form they have outside.

The form is a promise of its own. It has a version of its own, so that a change of what is stored
need not be a change for those who listen; ``tests/contract/golden/public_events.json`` pins it and
``docs/reference/events.md`` lists it. Sealed fields stay sealed: this module has no keys.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from shared.codec import Meta, decode_meta, stored_fields
from shared.eventlog import Recorded
from shared.ids import event_id_text
from shared.messages import EVENTS


class Published(NamedTuple):
    """One type of event on the bus. ``withheld``: stored fields that are nobody else's business."""

    service: str
    version: int = 1
    withheld: frozenset[str] = frozenset()


# How billing speaks to its payment provider.
_PROVIDERS = frozenset(
    {"provider_customer", "provider_id", "provider_method", "provider_refund", "receipt_url"}
)
_NAMES: Mapping[str, str] = {
    "inventory": "NumberBlockStocked BlockRepriced NumbersHeld HoldPinned HoldRefused HoldReleased"
    " NumberAllocated HoldAllocated NumberQuarantined NumberReturnedToStock",
    "orders": "OrderPlaced OrderReserved OrderPaid OrderFulfilled OrderFailed RefundRequested"
    " NumberPurchased CancellationScheduled CancellationAborted NumberCancelled",
    "routing": "RouteConfigured CallRoutingChanged SmsRoutingChanged LabelsChanged RouteActivated"
    " RouteRemoved",
    "porting": "PortRequestSubmitted PortDocumentAttached PortStatusChanged FocDateSet"
    " NumberPorted",
    "billing": "AccountOpened PaymentMethodAdded ChargeRequested ChargeSucceeded ChargeFailed"
    " ChargeActionRequired ChargeUnknown ChargeRefunded SubscriptionRenewed SubscriptionSuspended"
    " CallRated InvoiceIssued",
}
# Every published type. Names whose event does not exist yet are promised all the same.
PUBLISHED: Mapping[str, Published] = {
    name: Published(service, withheld=_PROVIDERS if service == "billing" else frozenset())
    for service, names in _NAMES.items()
    for name in names.split()
}
SERVICES = tuple(_NAMES)


class Outgoing(NamedTuple):
    """An event on its way out: where to, and the message's parts."""

    exchange: str
    routing_key: str
    message_id: str
    headers: dict[str, Any]
    body: bytes


def exchange_name(service: str) -> str:
    """Where a service's events are published; nameko's ``@event_handler`` knows it by the same
    name."""
    return f"{service}.events"


def existing() -> list[str]:
    """The published types whose event this version has. All services must have been loaded."""
    return [name for name in PUBLISHED if name in EVENTS]


def public_fields(name: str) -> list[dataclasses.Field[Any]]:
    """The fields of ``data``, in the order of the message."""
    withheld = PUBLISHED[name].withheld
    return [f for f in dataclasses.fields(EVENTS[name].cls) if f.name not in withheld]


def outgoing(stored: Recorded) -> Outgoing | None:
    """The public form of an event; ``None`` for one that stays inside.

    Raises ``code_older_than_log`` for an event of a newer version, ``msgspec.MsgspecError`` for one
    that cannot be read.
    """
    published = PUBLISHED.get(stored.type)
    if published is None or stored.type not in EVENTS:
        return None
    meta = decode_meta(stored.metadata)
    return Outgoing(
        exchange=exchange_name(published.service),
        routing_key=stored.type,
        message_id=event_id_text(stored.event_id),
        headers=_headers(stored, published, meta),
        body=msgspec.json.encode(body(stored, published, meta)),
    )


def body(stored: Recorded, published: Published, meta: Meta) -> dict[str, Any]:
    """What a handler is given. ``occurred_at`` is business time, UTC."""
    data = stored_fields(stored.type, stored.schema_version, stored.payload)
    return {
        "id": event_id_text(stored.event_id),
        "type": stored.type,
        "version": published.version,
        "position": stored.position,
        "occurred_at": meta.occurred_at,
        "account_id": stored.account_id,
        "subjects": meta.subjects,
        "data": {name: found for name, found in data.items() if name not in published.withheld},
    }


def _headers(stored: Recorded, published: Published, meta: Meta) -> dict[str, Any]:
    headers = {
        "position": stored.position,
        "stream": stored.stream,
        "stream_version": stored.version,
        "version": published.version,
        "correlation_id": meta.correlation_id,
        "causation_id": meta.causation_id,
        "traceparent": meta.traceparent,
        # These two a nameko worker takes into its context and hands on.
        "nameko.correlation_id": meta.correlation_id,
        "nameko.traceparent": meta.traceparent,
    }
    return {name: found for name, found in headers.items() if found != ""}
