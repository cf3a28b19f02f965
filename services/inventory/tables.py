"""The tables of what is for sale. ``projections.py`` fills them.

An untouched number has no row: it is available when a block covers it and no row says otherwise.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    and_,
)

TABLES = MetaData()
offer = Table(
    "offer",
    TABLES,
    Column("offer_id", String, primary_key=True),
    Column("country", String, nullable=False),
    Column("region", String, nullable=False),
    Column("city", String, nullable=False),
    Column("city_fold", String, nullable=False),
    Column("area_code", String, nullable=False),
    Column("type", String, nullable=False),
    Column("prefix", String, nullable=False),
    Column("currency", String, nullable=False),
    Column("setup_fee", BigInteger, nullable=False),
    Column("monthly_fee", BigInteger, nullable=False),
    Column("per_minute", BigInteger, nullable=False),
    Column("connect_fee", BigInteger, nullable=False),
    Column("min_period_months", Integer, nullable=False),
    Column("billing_increments", String, nullable=False),
    Column("sms", Boolean, nullable=False),
    Column("blocks", Integer, nullable=False),
    Column("available", Integer, nullable=False),
    Index("offer_search", "country", "city_fold", "prefix", "offer_id"),
)
block = Table(
    "block",
    TABLES,
    Column("block_id", String, primary_key=True),
    Column("first", BigInteger, nullable=False, index=True),
    Column("last", BigInteger, nullable=False),
    Column("size", Integer, nullable=False),
    Column("offer_id", String, nullable=False, index=True),
    Column("available", Integer, nullable=False),
    Column("withdrawn", Boolean, nullable=False),
    Column("fixed", String, nullable=False),  # The digits all its numbers begin with.
    Column("free_digits", Integer, nullable=False),  # How many digits follow them.
)
taken = Table(
    "taken_number",
    TABLES,
    Column("number", String, primary_key=True),
    Column("block_id", String, nullable=False, index=True),
    Column("status", String, nullable=False),
    Column("account_id", String, nullable=False),
    Column("hold_id", String, nullable=False),
    Column("num_id", String, nullable=False),
    Column("until", DateTime(timezone=True)),
    Column("country", String, nullable=False),  # With the type: where it counts in stock_day.
    Column("type", String, nullable=False),
    Index("taken_by_account", "account_id", "status"),
)
awaiting = Table(
    "hold_awaiting",
    TABLES,
    Column("hold_id", String, primary_key=True),
    Column("country", String, nullable=False, index=True),
    Column("since", BigInteger, nullable=False),  # The position of the event that began it.
)
stock_day = Table(
    "stock_day",
    TABLES,
    # By how much the counts changed that day (UTC). What there was at its end is the sum up to it,
    # so the order in which a day's events arrive does not matter.
    Column("day", Date, primary_key=True),
    Column("country", String, primary_key=True),
    Column("type", String, primary_key=True),
    Column("available", Integer, nullable=False),
    Column("held", Integer, nullable=False),
    Column("allocated", Integer, nullable=False),
    Column("quarantined", Integer, nullable=False),
)
# What can be bought: condition on blocks.
ON_SALE = and_(block.c.available > 0, block.c.withdrawn.is_(False))
