"""A block: on sale, at other terms, off sale; never another count."""

from dataclasses import replace

import pytest

from services.inventory.domain.block import AGGREGATE, Block, offer_id
from services.inventory.messages import BlockRepriced, BlockWithdrawn, StockBlock, WithdrawBlock
from tests.unit.inventory.stock_facts import (
    BLOCK,
    DEAR_OFFER,
    DEARER,
    NYC,
    OFFER,
    STOCK,
    STOCKED,
    TERMS,
    block,
)
from tests.unit.spec import given

WITHDRAW = WithdrawBlock(block_id=BLOCK, reason="returned to the carrier")
WITHDRAWN = BlockWithdrawn(block_id=BLOCK, reason="returned to the carrier")
AT_OTHER_TERMS = StockBlock(**block(offer_id=DEAR_OFFER, terms=DEARER))


def test_a_block_goes_on_sale():
    given(AGGREGATE).when(STOCK).then(STOCKED)


def test_the_same_block_again_is_nothing_new():
    given(AGGREGATE, STOCKED).when(STOCK).then()


def test_other_terms_are_a_repricing():
    repriced = BlockRepriced(block_id=BLOCK, offer_id=DEAR_OFFER, place=NYC, terms=DEARER)

    given(AGGREGATE, STOCKED).when(AT_OTHER_TERMS).then(repriced)
    given(AGGREGATE, STOCKED, repriced).when(AT_OTHER_TERMS).then()


def test_another_count_would_be_another_block():
    given(AGGREGATE, STOCKED).when(replace(STOCK, count=50)).refused("block_overlap", param="count")
    given(AGGREGATE, STOCKED, WITHDRAWN).when(replace(STOCK, count=50)).refused("block_overlap")


def test_a_block_is_withdrawn_once():
    given(AGGREGATE, STOCKED).when(WITHDRAW).then(WITHDRAWN)
    given(AGGREGATE, STOCKED, WITHDRAWN).when(WITHDRAW).then()


def test_what_was_never_stocked_cannot_be_withdrawn():
    given(AGGREGATE).when(WITHDRAW).refused("block_unknown")


def test_a_withdrawn_block_comes_back_as_stocked():
    given(AGGREGATE, STOCKED, WITHDRAWN).when(STOCK).then(STOCKED)
    assert AGGREGATE.fold(Block(), [STOCKED, WITHDRAWN, STOCKED]) == Block(100, OFFER)


@pytest.mark.parametrize(
    "other",
    [
        replace(TERMS, setup_fee=1),
        replace(TERMS, monthly_fee=1),
        replace(TERMS, per_minute=1),
        replace(TERMS, connect_fee=1),
        replace(TERMS, min_period_months=12),
        replace(TERMS, billing_increments="1/1"),
        replace(TERMS, sms=False),
        replace(TERMS, currency="EUR"),
    ],
)
def test_any_other_term_is_another_offer(other):
    assert offer_id(NYC, other) != offer_id(NYC, TERMS)


@pytest.mark.parametrize("field", ["country", "region", "city", "area_code", "type"])
def test_any_other_place_is_another_offer(field):
    assert offer_id(replace(NYC, **{field: "other"}), TERMS) != offer_id(NYC, TERMS)


def test_an_offers_id_is_the_same_on_every_machine():
    assert offer_id(NYC, TERMS) == OFFER == "off_134b6628ecd8a883cbd7"
