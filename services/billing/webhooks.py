"""Reports of the provider (webhooks), read as reasons to look and never as facts.

They come doubled, late and in any order. What is verified and concerns one of our charges becomes
a ``SettleReport``; that at most has the provider asked how the charge stands now, which is the same
answer whatever came first. Source: https://docs.stripe.com/webhooks.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from services.billing.messages import SettleReport
from shared.application import Order
from shared.ids import command_id
from shared.rpc import CallContext

_PAYMENTS = {
    "payment_intent.succeeded": "succeeded",
    "payment_intent.payment_failed": "failed",
    "payment_intent.canceled": "canceled",
    "payment_intent.requires_action": "action_required",
}
_REFUNDED = "charge.refunded"


def report_of(event: dict[str, Any], *, live: bool) -> SettleReport | None:
    """What an event says about one of our charges; ``None`` for types we do not know, for objects
    that are not ours (no ``charge_id`` in their metadata), and for the other mode."""
    subject = (event.get("data") or {}).get("object") or {}
    charge_id = (subject.get("metadata") or {}).get("charge_id")
    kind = event.get("type")
    if not charge_id or event.get("livemode") is not live:
        return None
    if kind == _REFUNDED:
        payment, so_far = subject["payment_intent"] or "", str(int(subject["amount_refunded"]))
        return _report(event, charge_id, "refunded", payment, so_far)
    if kind in _PAYMENTS:
        return _report(event, charge_id, _PAYMENTS[kind], subject["id"], "")
    return None


def order_of(report: SettleReport, event_id: str, ctx: CallContext, now: datetime) -> Order:
    """The command of a report: the same report again is the same command."""
    return Order(
        command=report,
        command_id=command_id("stripe-event", event_id),
        now=now,
        actor="provider:stripe",
        correlation_id=ctx.correlation_id,
        traceparent=ctx.traceparent,
    )


def _report(
    event: dict[str, Any], charge_id: str, kind: str, provider_id: str, detail: str
) -> SettleReport:
    return SettleReport(
        charge_id=charge_id,
        kind=kind,
        provider_id=provider_id,
        detail=detail,
        reported_at=datetime.fromtimestamp(event["created"], UTC),
    )
