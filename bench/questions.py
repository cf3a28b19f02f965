"""What customers search for: eight kinds of question, each with many different values."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from bench.truth import Question

_EACH = 25
CONTAINS = ("contains 3 digits", "contains 7 digits")


def questions(blocks: Sequence[dict[str, Any]]) -> dict[str, list[Question]]:
    """Questions by kind, about these blocks of stock."""
    chance = random.Random("questions")
    accented = [b for b in blocks if not b["place"]["city"].isascii()]
    kinds: dict[str, tuple[Sequence[dict[str, Any]], Callable[[dict[str, Any]], Question]]] = {
        "country": (blocks, lambda b: _of(b, "country")),
        "type": (blocks, lambda b: _of(b, "country", "type")),
        "region": (blocks, lambda b: _of(b, "country", "type", "region")),
        "area code": (blocks, lambda b: _of(b, "country", "type", "region", "area_code")),
        "city with accents": (accented, lambda b: _of(b, "country", "city")),
        "sms": (blocks, lambda b: _of(b, "country") | {"sms": b["terms"]["sms"]}),
        CONTAINS[0]: (blocks, lambda b: _of(b, "country") | {"contains": _digits(b, 3, chance)}),
        CONTAINS[1]: (blocks, lambda b: _of(b, "country") | {"contains": _digits(b, 7, chance)}),
    }
    return {
        kind: [ask(b) for b in chance.choices(of, k=_EACH)] for kind, (of, ask) in kinds.items()
    }


def _of(block: dict[str, Any], *names: str) -> Question:
    return {name: block["place"][name] for name in names}


def _digits(block: dict[str, Any], length: int, chance: random.Random) -> str:
    number = str(int(block["block_id"]) + chance.randrange(block["count"]))
    start = chance.randrange(len(number) - length + 1)
    return number[start : start + length]


def mixed(asked: dict[str, list[Question]]) -> Iterable[tuple[str, Question]]:
    """All kinds in turn, for ever."""
    while True:
        for n in range(_EACH):
            for kind, some in asked.items():
                yield kind, some[n]
