"""Countries, offers, stock files and their jobs."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from services.gateway.schemas.common import Answer, Country, Maybe, Money, Page, Paging, Path


class Region(Answer):
    """A part of a country, ISO 3166-2 without the country."""

    code: str
    name: str


class CountryRow(Answer):
    """A country with stock."""

    code: str
    name: str
    types: list[str]
    regions: list[Region]
    area_codes: list[str]


class Countries(Page):
    """Every country with stock."""

    data: list[CountryRow]


class Offer(Answer):
    """All numbers of one city, area code and type at equal terms."""

    offer_id: str
    prefix: str
    country: str
    region: str | None
    city: str | None
    area_code: str | None
    type: str
    setup_fee: Money
    monthly_fee: Money
    min_period_months: int
    per_minute: Money
    connect_fee: Money
    billing_increments: str
    sms: bool
    available: int
    max_quantity: int
    unit_cost: Money
    requirements: list[Any]


class Offers(Page):
    """Offers by city, then prefix."""

    data: list[Offer]


class SearchQuery(Paging):
    """What is searched for. ``city`` is the whole name; case and accents do not matter."""

    country: Country
    type: Literal["geographic", "national", "mobile", "toll_free"] | None = None
    region: Maybe = None
    area_code: Maybe = None
    city: Maybe = None
    sms: bool | None = None
    contains: str | None = Field(None, pattern=r"^\d{3,10}$")


class OfferPath(Path):
    """An offer."""

    offer_id: str


class OfferNumbersQuery(Paging):
    """Which numbers of an offer. ``consecutive``: only runs of so many."""

    contains: str | None = Field(None, pattern=r"^\d{1,10}$")
    consecutive: int | None = Field(None, ge=2, le=10)


class OfferNumber(Answer):
    """A number that can be held."""

    number: str
    display: str


class OfferNumbers(Page):
    """Numbers of one offer."""

    data: list[OfferNumber]


class JobRow(Answer):
    """What came of one row of a file. ``line`` counts from the file's first line."""

    line: int
    code: str
    detail: str


class Job(Answer):
    """Work that goes on after the answer."""

    id: str
    status: Literal["queued", "running", "done", "failed"]
    total: int
    succeeded: int
    failed: int
    rows: list[JobRow]


class JobPath(Path):
    """A job."""

    job_id: str


class StockQuery(Paging):
    """Which part of the stock."""

    country: Country | None = None


class Stock(Page):
    """Blocks of numbers with their counts."""

    data: list[dict[str, Any]]
