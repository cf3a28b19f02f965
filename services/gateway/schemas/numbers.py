"""The numbers of an account."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from services.gateway.schemas.common import (
    Answer,
    Maybe,
    Money,
    NumberType,
    Page,
    Paging,
    Path,
    Strict,
    Text,
)

Label = Annotated[Text, Field(min_length=1, max_length=40)]


class NumberFilter(Paging):
    """Which numbers. ``q`` looks in number, city, description and labels."""

    status: Maybe = None
    label: Maybe = None
    country: Maybe = None
    type: NumberType | None = None
    sms: bool | None = None
    q: Maybe = None


class NumberRow(Answer):
    """A number in a list."""

    number: str
    num_id: str
    status: str
    country: str
    type: str
    city: str | None = None
    labels: list[str]
    description: str
    sms: bool
    origin: str
    monthly_cost: Money
    paid_until: str | None = None


class Numbers(Page):
    """Numbers, newest first."""

    data: list[NumberRow]


class NumberView(Answer):
    """One number with all its parts."""

    number: str
    num_id: str
    country: str
    type: str
    region: str | None = None
    area_code: str | None = None
    city: str | None = None
    description: str
    labels: list[str]
    status: str
    call_routing: dict[str, Any]
    sms_routing: dict[str, Any]
    billing: dict[str, Any]
    compliance: dict[str, Any]
    cancellation: dict[str, Any] | None


class NumberPath(Path):
    """A number in E.164, or its id (``num_…``)."""

    number: str


class NumberPatch(Strict):
    """What to change; what is left out stays. Labels are kept as written, all of them at once."""

    description: Annotated[Text, Field(max_length=1000)] | None = None
    labels: Annotated[list[Label], Field(max_length=20)] | None = None
