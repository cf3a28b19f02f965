"""What is available, worked out number by number from the log alone: the judge of the search."""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from bench.report import check
from shared.eventlog import EventLog

_PAGE = 10_000
_PATIENCE = 5.0
_PAUSE = 0.1
_READ = {"NumberBlockStocked", "NumberHeld", "NumberReleased"}
Question = dict[str, Any]


@dataclass
class Truth:
    """The blocks and the taken numbers as of ``position``."""

    position: int = 0
    blocks: list[dict[str, Any]] = field(default_factory=list)
    taken: set[int] = field(default_factory=set)

    def learn(self, log: EventLog) -> None:
        """Reads the log on to its end."""
        while page := log.read_all(self.position, _PAGE):
            for event in page:
                if event.type in _READ:
                    self._take(event.type, msgspec.json.decode(event.payload))
            self.position = page[-1].position

    def _take(self, kind: str, payload: dict[str, Any]) -> None:
        if kind == "NumberBlockStocked":
            self.blocks.append(payload)
        elif kind == "NumberHeld":
            self.taken.add(int(payload["number"]))
        else:
            self.taken.discard(int(payload["number"]))

    def answer(self, question: Question) -> dict[str, int]:
        """How many numbers each matching offer has; those with none are left out."""
        found: dict[str, int] = {}
        for block in self.blocks:
            if _fits(block, question):
                for _ in self._available(block, question.get("contains", "")):
                    found[block["offer_id"]] = found.get(block["offer_id"], 0) + 1
        return found

    def _available(self, block: dict[str, Any], digits: str) -> Iterator[int]:
        first = int(block["block_id"])
        numbers = range(first, first + block["count"])
        return (n for n in numbers if digits in str(n) and n not in self.taken)


def agree(
    ask: Callable[[], dict[str, int]],
    question: Question,
    truth: Truth,
    log: EventLog,
    patience: float = _PATIENCE,
) -> None:
    """Asks until the answer is the truth at that moment; wrong for so many seconds is a wrong
    answer. Numbers go on being taken when the customers are quiet (a new account's free number is
    on its way), and the view may be a moment behind: so neither side is kept for the next try."""
    end = time.monotonic() + patience
    while True:
        truth.learn(log)
        found, wanted = ask(), truth.answer(question)
        if found == wanted:
            return
        check(time.monotonic() < end, f"{question}: {_difference(found, wanted)}")
        time.sleep(_PAUSE)


def _difference(found: dict[str, int], wanted: dict[str, int]) -> str:
    unlike = sorted(o for o in found.keys() | wanted.keys() if found.get(o) != wanted.get(o))
    return ", ".join(f"{o} has {found.get(o, 0)} instead of {wanted.get(o, 0)}" for o in unlike)


def _fits(block: dict[str, Any], question: Question) -> bool:
    known = {**block["place"], "sms": block["terms"]["sms"], "city": _plain(block["place"]["city"])}
    wanted = {name: value for name, value in question.items() if name != "contains"}
    if "city" in wanted:
        wanted["city"] = _plain(wanted["city"])
    return all(known[name] == value for name, value in wanted.items())


def _plain(text: str) -> str:
    parts = unicodedata.normalize("NFKD", text)
    return "".join(part for part in parts if not unicodedata.combining(part)).casefold()
