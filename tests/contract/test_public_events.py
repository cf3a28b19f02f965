"""What leaves the house is pinned: names, forms, and what stays sealed or stays inside.

A test fails here? For a new event run ``python -m tests.contract.public_golden``. A changed form
gets a new version in ``deploy/public_events.py`` first.
"""

from __future__ import annotations

import json
import re
import uuid

import pytest

from deploy.public_events import PUBLISHED, existing, outgoing
from shared.codec import Meta, encode_meta
from shared.eventlog import Recorded
from tests.contract import golden_messages as golden
from tests.contract import public_golden
from tests.support.worlds import START

CURRENT = golden.our_events()
PUBLIC = sorted(existing())
CLEAR = re.compile(r" Zoë")  # Samples end like this; what is sealed does not show it.


def stored(name: str, version: int = 1, payload: bytes | None = None) -> Recorded:
    sample = golden.codec().encode(golden.sample(CURRENT[name].cls), golden.EVENT_ID)
    meta = Meta(command_id=uuid.UUID(int=1), correlation_id="r", actor="a", occurred_at=START)
    found = sample if payload is None else payload
    return Recorded(
        7,
        golden.EVENT_ID,
        "s",
        3,
        "c",
        "acct_1",
        name,
        version,
        found,
        encode_meta(meta),
        0,
        b"",
    )


def test_every_public_form_is_pinned_as_it_is() -> None:
    pinned = public_golden.pinned()

    now = public_golden.described()
    as_pinned = {n: {v: pinned.get(n, {}).get(v) for v in versions} for n, versions in now.items()}
    assert now == as_pinned, "see the top of this file"


def test_nothing_that_was_published_is_gone() -> None:
    assert set(public_golden.pinned()) <= set(PUBLIC)
    assert len(PUBLIC) >= 25


@pytest.mark.parametrize("name", PUBLIC)
def test_a_message_has_the_fields_of_its_form_and_shows_nothing_sealed(name: str) -> None:
    sent = outgoing(stored(name))

    assert sent is not None
    assert sent.exchange == f"{PUBLISHED[name].service}.events"
    body = json.loads(sent.body)
    form = public_golden.pinned()[name][str(body["version"])]
    assert set(body["data"]) == set(form["data"])
    assert [f for f in form["sealed"] if CLEAR.search(str(body["data"][f]))] == []
    assert form["sealed"] or CURRENT[name].sealed_fields == frozenset()


def test_how_billing_speaks_to_its_provider_stays_inside() -> None:
    sent = outgoing(stored("ChargeSucceeded"))

    assert sent is not None
    assert b"provider" not in sent.body
    assert b"receipt_url" not in sent.body


@pytest.mark.parametrize("name", ["NumberHeld", "CommandRefused", "ClockAdvanced", "HoldAsked"])
def test_what_is_not_published_stays_inside(name: str) -> None:
    assert outgoing(stored(name)) is None


def test_a_type_that_this_version_does_not_know_stays_inside() -> None:
    assert outgoing(stored("OrderPaid")._replace(type="SoldToTheMoon")) is None


def test_what_numbers_were_bought_for_is_in_the_message() -> None:
    sent = outgoing(stored("NumberPurchased"))

    assert sent is not None
    assert {"number", "num_id", "terms"} <= set(json.loads(sent.body)["data"])
