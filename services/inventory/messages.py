"""What inventory is told and what it tells: blocks of stock, single numbers, holds.

The stored form of the events is for ever (``tests/contract/golden/messages.json``).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from shared import phone
from shared.messages import command, event, value
from shared.money import Money

SERVICE = "inventory"


@value
class Place:
    """Where a number is from and of which type it is (``geographic national mobile toll_free``)."""

    country: str
    region: str
    city: str
    area_code: str
    type: str


@value
class Terms:
    """What a number costs. Amounts in micros of ``currency``; increments as in ``60/1``."""

    currency: str
    setup_fee: int
    monthly_fee: int
    per_minute: int
    connect_fee: int
    min_period_months: int
    billing_increments: str
    sms: bool

    @property
    def unit_cost(self) -> Money:
        """Set-up and first month of one number."""
        return Money(self.setup_fee + self.monthly_fee, self.currency)


@value
class Item:
    """What a customer wants: a quantity of an offer, or one particular number.

    ``free_in`` asks for the account's free number in that country instead (cheapest offer, lowest
    number, without fees).
    """

    offer_id: str | None = None
    quantity: int = 1
    number: str | None = None
    free_in: str | None = None


@value
class HeldLine:
    """Numbers held at equal terms, in the order they were asked for."""

    offer_id: str
    place: Place
    terms: Terms
    numbers: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """As a quote and an order show it: amounts per number and for all of them."""
        terms, place, count = self.terms, self.place, len(self.numbers)

        def money(micros: int) -> dict[str, str]:
            return Money(micros, terms.currency).as_json()

        return {
            "offer_id": self.offer_id,
            "prefix": f"+{phone.country_code(self.numbers[0])}{place.area_code}",
            "country": place.country,
            "region": place.region,
            "city": place.city,
            "area_code": place.area_code,
            "type": place.type,
            "quantity": count,
            "numbers": list(self.numbers),
            "setup_fee": money(terms.setup_fee),
            "monthly_fee": money(terms.monthly_fee),
            "setup_total": money(terms.setup_fee * count),
            "monthly_total": money(terms.monthly_fee * count),
            "min_period_months": terms.min_period_months,
            "per_minute": money(terms.per_minute),
            "connect_fee": money(terms.connect_fee),
            "billing_increments": terms.billing_increments,
            "sms": terms.sms,
            "unit_cost": terms.unit_cost.as_json(),
        }


@value
class Missing:
    """What could not be had of one item, and why."""

    item: Item
    quantity: int
    code: str


@value
class AllocatedNumber:
    """A number and the tenure that begins with it."""

    number: str
    num_id: str


# ── Blocks ────────────────────────────────────────────────────────────────────────────────────────


@event("NumberBlockStocked")
class NumberBlockStocked:
    """A block of consecutive numbers is on sale. ``block_id`` is its first number."""

    block_id: str
    count: int
    offer_id: str
    place: Place
    terms: Terms


@event("BlockRepriced")
class BlockRepriced:
    """The block's numbers are on sale at other terms from now on."""

    block_id: str
    offer_id: str
    place: Place
    terms: Terms


@event("BlockWithdrawn")
class BlockWithdrawn:
    """The block is not on sale any more; numbers sold stay sold."""

    block_id: str
    reason: str


@command
class StockBlock:
    """Puts a block on sale, or on sale at other terms if it is there already."""

    block_id: str
    count: int
    offer_id: str
    place: Place
    terms: Terms


@command
class WithdrawBlock:
    """Takes a block off sale."""

    block_id: str
    reason: str


# ── Single numbers, each born with its first hold ─────────────────────────────────────────────────


@event("NumberHeld")
class NumberHeld:
    """The number is kept for one hold until that hold ends."""

    number: str
    block_id: str
    offer_id: str
    hold_id: str
    account_id: str


@event("NumberReleased")
class NumberReleased:
    """The number is on sale again."""

    number: str
    hold_id: str


@event("NumberAllocated")
class NumberAllocated:
    """The number belongs to an account: the tenure ``num_id`` begins."""

    number: str
    num_id: str
    order_id: str
    hold_id: str
    account_id: str


@event("NumberQuarantined")
class NumberQuarantined:
    """The tenure has ended; the number rests until ``until``."""

    number: str
    num_id: str
    until: datetime


@event("NumberReturnedToStock")
class NumberReturnedToStock:
    """The rest is over: on sale again."""

    number: str


@command
class HoldNumber:
    """Keeps one number for a hold. Block and terms are as read from the block."""

    number: str
    block_id: str
    offer_id: str
    terms: Terms
    hold_id: str
    account_id: str


@command
class ReleaseNumber:
    """Puts a held number back on sale; pointless if another hold has it."""

    number: str
    hold_id: str


@command
class AllocateNumber:
    """Gives a held number to its account."""

    number: str
    num_id: str
    order_id: str
    hold_id: str
    account_id: str


@command
class QuarantineNumber:
    """Ends a tenure; the number rests."""

    number: str
    num_id: str
    until: datetime


@command
class ReturnNumber:
    """Ends the rest, if it is over at ``now``."""

    number: str
    now: datetime


# ── Holds: answer once for all their numbers ──────────────────────────────────────────────────────


@event("HoldAsked")
class HoldAsked:
    """Somebody wants numbers kept. Unpinned it ends at ``until``. ``tried`` are the numbers it goes
    for, written down before the first of them is touched, so that a crash leaves none behind."""

    hold_id: str
    account_id: str
    items: tuple[Item, ...]
    tried: tuple[str, ...]
    until: datetime
    order_id: str | None = None
    strategy: str = "all_or_nothing"


@event("HoldTriedMore")
class HoldTriedMore:
    """Some numbers were gone; the hold goes for these in their place."""

    hold_id: str
    account_id: str
    numbers: tuple[str, ...]


@event("NumbersHeld")
class NumbersHeld:
    """The hold has got these numbers; what it has not is ``missing``."""

    hold_id: str
    account_id: str
    lines: tuple[HeldLine, ...]
    missing: tuple[Missing, ...]
    until: datetime


@event("HoldAwaitsStock")
class HoldAwaitsStock:
    """The account's free number cannot be had yet; the hold is filled when stock comes."""

    hold_id: str
    account_id: str
    country: str


@event("HoldExtended")
class HoldExtended:
    """The hold ends later."""

    hold_id: str
    account_id: str
    until: datetime


@event("HoldPinned")
class HoldPinned:
    """The hold belongs to an order and has no end of its own any more."""

    hold_id: str
    account_id: str
    order_id: str
    lines: tuple[HeldLine, ...]
    missing: tuple[Missing, ...]


@event("HoldRefused")
class HoldRefused:
    """The order does not get its numbers."""

    hold_id: str
    account_id: str
    order_id: str
    code: str
    detail: str


@event("HoldReleased")
class HoldReleased:
    """The hold has ended and gives these numbers back; one that ended while it was being filled
    names all it went for. ``reason``: expired, released, refused, order_failed."""

    hold_id: str
    account_id: str
    numbers: tuple[str, ...]
    reason: str
    order_id: str | None = None


@event("HoldAllocated")
class HoldAllocated:
    """The order's numbers belong to the account, but for those refused."""

    hold_id: str
    account_id: str
    order_id: str
    numbers: tuple[AllocatedNumber, ...]
    refused: tuple[str, ...]


@command
class AskHold:
    """Opens a hold."""

    hold_id: str
    account_id: str
    items: tuple[Item, ...]
    tried: tuple[str, ...]
    until: datetime
    order_id: str | None = None
    strategy: str = "all_or_nothing"


@command
class TryMore:
    """Names further numbers before they are touched."""

    hold_id: str
    numbers: tuple[str, ...]


@command
class RecordHeld:
    """Writes down what a hold got."""

    hold_id: str
    lines: tuple[HeldLine, ...]
    missing: tuple[Missing, ...]


@command
class AwaitStock:
    """Lets a hold for a free number wait for stock."""

    hold_id: str
    country: str


@command
class ExtendHold:
    """Lets a hold end later."""

    hold_id: str
    account_id: str
    until: datetime
    now: datetime


@command
class PinHold:
    """Ties a hold to the order that was placed on it."""

    hold_id: str
    account_id: str
    order_id: str
    strategy: str
    now: datetime


@command
class ReleaseHold:
    """Ends a hold that is not pinned, at its account's wish."""

    hold_id: str
    account_id: str


@command
class ExpireHold:
    """Ends a hold that is not pinned and whose time is over at ``now``."""

    hold_id: str
    now: datetime


@command
class EndPinnedHold:
    """Ends a pinned hold because its order failed."""

    hold_id: str
    order_id: str


@command
class RecordAllocated:
    """Writes down which numbers of a hold were allocated."""

    hold_id: str
    order_id: str
    numbers: tuple[AllocatedNumber, ...]
    refused: tuple[str, ...]


# ── Imports of stock files ────────────────────────────────────────────────────────────────────────


@event("StockImportRequested")
class StockImportRequested:
    """A stock file was handed in; it lies among the documents under its SHA-256."""

    job_id: str
    sha256: str
    rows: int


@event("StockImportFinished")
class StockImportFinished:
    """Every row of the file has its result."""

    job_id: str
    succeeded: int
    failed: int


@command
class RequestImport:
    """Opens an import."""

    job_id: str
    sha256: str
    rows: int


@command
class FinishImport:
    """Closes an import."""

    job_id: str
    succeeded: int
    failed: int


# ── Work that needs more than one stream (``holding.py``) ─────────────────────────────────────────


@command
class FillHold:
    """Finds and holds numbers for an order that was placed with items."""

    hold_id: str
    account_id: str
    order_id: str
    items: tuple[Item, ...]
    strategy: str
    until: datetime


@command
class FillAwaiting:
    """Fills the holds that wait for stock of a country (empty: of any). The view must have seen
    the event at ``after``."""

    country: str
    after: int


@command
class ConfirmHeld:
    """Checks a number that was held against its hold: one that came when the hold had ended goes
    back."""

    hold_id: str
    number: str


@command
class ReleaseStrays:
    """Gives back what a hold went for and does not count among its numbers."""

    hold_id: str


@command
class AllocateHold:
    """Allocates all numbers of a pinned hold to its order."""

    hold_id: str
    order_id: str
