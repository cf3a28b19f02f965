"""The row of a tenure, folded from events, and how RPC shows it. Pure: no store, no clock."""

from __future__ import annotations

import unicodedata
from datetime import datetime
from typing import Any

from services.orders.domain.periods import first_periods
from services.orders.domain.tenure import ACTIVE
from services.orders.messages import NumberDescribed, NumberPurchased
from services.orders.order_rows import time_json
from services.routing.messages import LabelsChanged, RouteConfigured
from shared import phone
from shared.money import Money

Row = dict[str, Any]
EVENTS = (NumberPurchased, NumberDescribed, RouteConfigured, LabelsChanged)
_FEES = ("setup_fee", "monthly_fee", "per_minute", "connect_fee")


def purchased(e: NumberPurchased, at: datetime, position: int, zone: str = "UTC") -> Row:
    """The row of a new tenure. ``begun_at`` is the log position that orders lists; days are those
    of the account's time zone."""
    terms, place = e.terms, e.place
    periods = first_periods(at, zone, terms.monthly_fee, terms.min_period_months)
    return {
        "num_id": e.num_id,
        "number": e.number,
        "digits": e.number.removeprefix("+"),
        "national": phone.national(e.number),
        "account_id": e.account_id,
        "order_id": e.order_id,
        "offer_id": e.offer_id,
        "country": place.country,
        "region": place.region,
        "city": place.city,
        "city_key": folded(place.city),
        "area_code": place.area_code,
        "type": place.type,
        "status": ACTIVE,
        "origin": e.origin,
        "sms": terms.sms,
        "max_channels": None,
        "currency": terms.currency,
        "setup_fee": terms.setup_fee,
        "monthly_fee": terms.monthly_fee,
        "per_minute": terms.per_minute,
        "connect_fee": terms.connect_fee,
        "min_period_months": terms.min_period_months,
        "billing_increments": terms.billing_increments,
        "start_date": periods.start.isoformat(),
        "paid_until": periods.paid_until.isoformat() if periods.paid_until else None,
        "min_period_ends": periods.min_ends.isoformat(),
        "description": "",
        "description_version": 1,
        "labels": [],
        "labels_version": None,
        "label_keys": "\n",
        "searched": "",
        "created_at": at,
        "updated_at": at,
        "begun_at": position,
        "position": position,
    }


def change(row: Row, message: Any, at: datetime, position: int, version: int) -> None:
    """One later event into the row. ``version`` is the event's in its own stream."""
    row.update(position=position, updated_at=at)
    match message:
        case NumberDescribed() as e:
            row.update(description=e.description, description_version=version)
        case RouteConfigured() as e:
            row.update(sms=e.sms, max_channels=e.max_channels, labels_version=version)
        case LabelsChanged() as e:
            row.update(labels=list(e.labels), labels_version=version)
            row["label_keys"] = "\n".join(["", *map(folded, e.labels), ""])
    row["searched"] = folded("\n".join([row["description"], *row["labels"]]))


def folded(text: str) -> str:
    """Text for comparing: without case and accents."""
    plain = unicodedata.normalize("NFKD", text)
    return "".join(c for c in plain if not unicodedata.combining(c)).casefold()


def number_json(row: Row) -> Row:
    """The number as RPC shows it. Fees are those agreed when it was bought."""
    fees = {name: Money(row[name], row["currency"]).as_json() for name in _FEES}
    return {
        "number": row["number"],
        "num_id": row["num_id"],
        "display": phone.display(row["number"]),
        "account_id": row["account_id"],
        "order_id": row["order_id"],
        "offer_id": row["offer_id"],
        "status": row["status"],
        "country": row["country"],
        "type": row["type"],
        "region": row["region"],
        "area_code": row["area_code"],
        "city": row["city"],
        "description": row["description"],
        "description_version": row["description_version"],
        "labels": row["labels"],
        "labels_version": row["labels_version"],
        "sms": row["sms"],
        "max_channels": row["max_channels"],
        "origin": row["origin"],
        "monthly_cost": fees["monthly_fee"],
        **fees,
        "min_period_months": row["min_period_months"],
        "billing_increments": row["billing_increments"],
        "start_date": row["start_date"],
        "paid_until": row["paid_until"],
        "min_period_ends": row["min_period_ends"],
        "created_at": time_json(row["created_at"]),
        "updated_at": time_json(row["updated_at"]),
        "position": row["position"],
    }
