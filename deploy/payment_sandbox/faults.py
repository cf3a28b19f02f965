"""Faults on purpose: which request or event they hit, and what they do to it.

A rule as JSON (all of `match`, `probability`, `seed`, `times`, `seconds` may be left out):

    {"fault": "delay", "seconds": 2,
     "match": {"method": "POST", "path": "/v1/payment_intents",
               "payment_method": "pm_card_visa", "customer": "cus_…", "event": "charge."},
     "probability": 0.5, "seed": 7, "times": 3}
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from deploy.payment_sandbox import cards
from deploy.payment_sandbox.errors import Json, Malformed, server_fault, too_many_requests
from deploy.payment_sandbox.records import Delivery, Reader

BEFORE = ("delay", "429", "500_before")
AFTER = ("delay_after", "500_after", "dropped_answer")
WEBHOOKS = (
    "webhook_doubled",
    "webhook_late",
    "webhook_reordered",
    "webhook_not_sent",
    "webhook_wrongly_signed",
)
FAULTS = (*BEFORE, *AFTER, *WEBHOOKS)
_MATCHES = frozenset({"method", "path", "payment_method", "customer", "event"})
_FIELDS = frozenset({"fault", "match", "probability", "seed", "times", "seconds"})
MAX_SECONDS = 600.0


class DroppedAnswerError(Exception):
    """Close the connection without an answer."""


@dataclass(frozen=True)
class Subject:
    """What a rule looks at; card and customer are looked up only if a rule asks for them."""

    method: str
    path: str
    customer: Callable[[], str | None]
    payment_method: Callable[[], frozenset[str]]


@dataclass
class Rule:
    """One fault and how often it has happened; raises Malformed for a rule it can't read."""

    fault: str
    match: dict[str, str] = field(default_factory=dict)
    probability: float = 1.0
    seed: int | None = None
    times: int | None = None
    seconds: float = 0.0
    happened: int = 0

    def __post_init__(self) -> None:
        if self.fault not in FAULTS:
            raise Malformed(f"Invalid fault: must be one of {', '.join(FAULTS)}", param="fault")
        found: object = self.match  # It comes from JSON, whatever the annotation says.
        if not isinstance(found, dict) or not self.match.keys() <= _MATCHES:
            raise Malformed(f"Invalid match: knows {', '.join(sorted(_MATCHES))}", param="match")
        if not all(isinstance(value, str) for value in self.match.values()):
            raise Malformed("Invalid match: values are texts", param="match")
        self.probability = _number("probability", self.probability, 1.0)
        self.seconds = _number("seconds", self.seconds, MAX_SECONDS)
        if self.seed is not None and not isinstance(self.seed, int):
            raise Malformed("Invalid seed: a whole number", param="seed")
        if self.times is not None:
            self.times = int(_number("times", self.times, 1e9))
        self._random = random.Random(self.seed)  # nosec B311

    def hits(self, subject: Subject, event: str | None) -> bool:
        """Whether this rule happens now; counts it."""
        if self.times is not None and self.happened >= self.times:
            return False
        if not self._matches(subject, event) or self._random.random() >= self.probability:
            return False
        self.happened += 1
        return True

    def _matches(self, subject: Subject, event: str | None) -> bool:
        wanted = self.match
        return (
            wanted.get("method", subject.method) == subject.method
            and subject.path.startswith(wanted.get("path", ""))
            and (event or "").startswith(wanted.get("event", ""))
            and ("customer" not in wanted or wanted["customer"] == subject.customer())
            and (
                "payment_method" not in wanted
                or wanted["payment_method"] in subject.payment_method()
            )
        )

    def described(self) -> Json:
        """The rule as JSON, with `happened`."""
        names = (*sorted(_FIELDS), "happened")
        return {name: getattr(self, name) for name in names}


def _number(name: str, value: object, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise Malformed(f"Invalid {name}: a number from 0 to {most:g}", param=name)
    return float(value)


class Faults:
    """The rules in force; they can be replaced while requests are running."""

    def __init__(self, document: object = None) -> None:
        self._lock = threading.Lock()
        self._rules: list[Rule] = []
        if document is not None:
            self.replace(document)

    def replace(self, document: object) -> None:
        """Put `{"rules": […]}` or a plain list in force; raises Malformed and changes nothing."""
        found = document.get("rules") if isinstance(document, dict) else document
        if not isinstance(found, list):
            raise Malformed("Invalid rules: a list is expected", param="rules")
        rules = [_rule(item) for item in found]
        with self._lock:
            self._rules = rules

    def described(self) -> Json:
        """The rules with their counts."""
        with self._lock:
            return {"rules": [rule.described() for rule in self._rules]}

    def before(self, subject: Subject) -> None:
        """What happens before the booking; the caller must hold no lock: it may sleep."""
        for rule in self._hitting(subject, BEFORE):
            if rule.fault == "delay":
                time.sleep(rule.seconds)
            else:
                raise too_many_requests() if rule.fault == "429" else server_fault()

    def after(self, subject: Subject) -> None:
        """What happens once the booking is committed; the caller must hold no lock."""
        for rule in self._hitting(subject, AFTER):
            if rule.fault == "delay_after":
                time.sleep(rule.seconds)
            elif rule.fault == "500_after":
                raise server_fault()
            else:
                raise DroppedAnswerError

    def deliveries(self, subject: Subject, event: str) -> list[Delivery]:
        """How the webhook of `event` goes out: not at all, once or twice."""
        hits = {rule.fault: rule.seconds for rule in self._hitting(subject, WEBHOOKS, event)}
        if "webhook_not_sent" in hits:
            return []
        held = "webhook_reordered" in hits
        late = hits.get("webhook_reordered", 0.0) if held else hits.get("webhook_late", 0.0)
        one = Delivery(late, held, "webhook_wrongly_signed" in hits)
        return [one, one] if "webhook_doubled" in hits else [one]

    def _hitting(
        self, subject: Subject, kinds: tuple[str, ...], event: str | None = None
    ) -> list[Rule]:
        with self._lock:
            rules = [rule for rule in self._rules if rule.fault in kinds]
            return [rule for rule in rules if rule.hits(subject, event)]


def _rule(item: object) -> Rule:
    if not isinstance(item, dict) or not item.keys() <= _FIELDS or "fault" not in item:
        raise Malformed(f"Invalid rule: knows {', '.join(sorted(_FIELDS))}", param="rules")
    return Rule(**item)


def names_of(reader: Reader, method: str | None) -> frozenset[str]:
    """What a rule may call a card: its id, its test token, its brand."""
    if not method:
        return frozenset()
    card = cards.by_token(method)
    if card is None:
        stored = reader.find("payment_method", method)
        card = cards.of_method(stored) if stored else None
    return frozenset({method, card.token, card.brand}) if card else frozenset({method})


def subject_of(reader: Reader, method: str, path: str, tree: dict[str, Any]) -> Subject:
    """The subject of a request: card and customer from its parameters or from its intent."""

    def field_of(name: str) -> str | None:
        value = tree.get(name)
        if isinstance(value, str):
            return value
        found = _object_in(reader, path) or _object_named(reader, tree)
        if found and found["object"] == name:
            return str(found["id"])
        return found.get(name) if found else None

    return Subject(
        method,
        path,
        lambda: field_of("customer"),
        lambda: names_of(reader, field_of("payment_method")),
    )


def _object_in(reader: Reader, path: str) -> Json | None:
    parts = path.split("/")
    if len(parts) < 4 or not parts[2].endswith("s"):  # noqa: PLR2004  # Named by its context.
        return None
    return reader.find(parts[2].removesuffix("s"), parts[3])


def _object_named(reader: Reader, tree: dict[str, Any]) -> Json | None:
    # A refund names what it gives back; card and customer are those of the charge.
    for name in ("charge", "payment_intent"):
        if isinstance(tree.get(name), str):
            return reader.find(name, tree[name])
    return None
