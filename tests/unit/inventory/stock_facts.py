"""Blocks, numbers and holds that the tests of inventory share."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from services.inventory.domain.block import offer_id
from services.inventory.messages import (
    AskHold,
    HeldLine,
    HoldAsked,
    HoldPinned,
    HoldReleased,
    HoldTriedMore,
    Item,
    Missing,
    NumberBlockStocked,
    NumbersHeld,
    PinHold,
    Place,
    RecordHeld,
    StockBlock,
    Terms,
)
from shared.codec import Codec, Meta, encode_meta
from shared.eventlog import Recorded
from shared.happened import Happened
from shared.messages import event_type

AT = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
UNTIL = AT + timedelta(minutes=10)
ACCOUNT, STRANGER, QUOTE, ORDER = "acct_1", "acct_2", "qt_1", "ord_1"

NYC = Place(country="US", region="NY", city="New York", area_code="212", type="geographic")
TERMS = Terms(
    currency="USD",
    setup_fee=500_000,
    monthly_fee=1_260_000,
    per_minute=10_000,
    connect_fee=0,
    min_period_months=1,
    billing_increments="60/1",
    sms=True,
)
DEARER = replace(TERMS, monthly_fee=2_000_000)
OFFER, DEAR_OFFER = offer_id(NYC, TERMS), offer_id(NYC, DEARER)
BLOCK = "+12125550100"
N1, N2, N3, N4 = (f"+1212555010{n}" for n in range(1, 5))
TWO = (Item(offer_id=OFFER, quantity=2),)
LINE = HeldLine(offer_id=OFFER, place=NYC, terms=TERMS, numbers=(N1, N2))
SHORT = HeldLine(offer_id=OFFER, place=NYC, terms=TERMS, numbers=(N1,))
ONE_MISSING = Missing(item=TWO[0], quantity=1, code="number_gone")


def block(**more: Any) -> dict[str, Any]:
    """A block's fields."""
    return {
        "block_id": BLOCK,
        "count": 100,
        "offer_id": OFFER,
        "place": NYC,
        "terms": TERMS,
    } | more


STOCK, STOCKED = StockBlock(**block()), NumberBlockStocked(**block())

ASK = AskHold(hold_id=QUOTE, account_id=ACCOUNT, items=TWO, tried=(N1, N2), until=UNTIL)
ASKED = HoldAsked(hold_id=QUOTE, account_id=ACCOUNT, items=TWO, tried=(N1, N2), until=UNTIL)
ASKED_FOR_ORDER = replace(ASKED, order_id=ORDER)
TRIED_MORE = HoldTriedMore(hold_id=QUOTE, account_id=ACCOUNT, numbers=(N3,))
RECORD = RecordHeld(hold_id=QUOTE, lines=(LINE,), missing=())
HELD = NumbersHeld(hold_id=QUOTE, account_id=ACCOUNT, lines=(LINE,), missing=(), until=UNTIL)
PIN = PinHold(hold_id=QUOTE, account_id=ACCOUNT, order_id=ORDER, strategy="all_or_nothing", now=AT)
PINNED = HoldPinned(hold_id=QUOTE, account_id=ACCOUNT, order_id=ORDER, lines=(LINE,), missing=())


def released(reason: str, *numbers: str, order_id: str | None = None) -> HoldReleased:
    """The end of the hold."""
    return HoldReleased(
        hold_id=QUOTE, account_id=ACCOUNT, numbers=numbers, reason=reason, order_id=order_id
    )


class _NoKeys:
    """A keyring for events without personal data."""

    def key(self, _subject: str) -> bytes | None:
        return bytes(32)

    def make_key(self, _subject: str) -> bytes | None:
        return bytes(32)


def happened(event: Any, position: int = 7) -> Happened:
    """An event as policies see it."""
    codec, event_id, kind = Codec(_NoKeys()), uuid.uuid4().bytes, event_type(type(event))
    meta = Meta(command_id=uuid.uuid4(), correlation_id="req_1", actor="user:u_1", occurred_at=AT)
    stored = Recorded(
        position=position,
        event_id=event_id,
        stream="hold-x",
        version=1,
        category="hold",
        account_id=ACCOUNT,
        type=kind.name,
        schema_version=kind.version,
        payload=codec.encode(event, event_id),
        metadata=encode_meta(meta),
        recorded_at=0,
        digest=b"",
    )
    return Happened(stored, codec)
