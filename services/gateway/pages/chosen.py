"""What is chosen on the search page: what of it is left, what it costs today, and what is gone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from services.gateway import texts
from services.gateway.pages.formats import amount
from services.gateway.pages.rendering import formats
from services.gateway.pages.search_query import NUMBER, QUANTITY, RUN, SearchQuery, in_run
from services.gateway.surroundings import ask, passing_over
from shared.money import Money


@dataclass(frozen=True)
class Choice:
    """One thing that was chosen, as a field of the form: ``name`` and ``value``."""

    name: str
    value: str
    count: int
    offer: dict[str, Any]
    label: str


@dataclass(frozen=True)
class Chosen:
    """All of it. ``query`` is the search without what is ``gone``, or ``held`` by this account."""

    query: SearchQuery
    choices: tuple[Choice, ...] = ()
    gone: tuple[str, ...] = ()
    held: tuple[tuple[str, str], ...] = ()

    @property
    def count(self) -> int:
        """How many numbers it is."""
        return sum(one.count for one in self.choices)

    @property
    def totals(self) -> list[dict[str, str]]:
        """What is paid today, one amount for each currency."""
        found: dict[str, Money] = {}
        for one in self.choices:
            due = amount(one.offer["unit_cost"]) * one.count
            found[due.currency] = found.get(due.currency, Money(0, due.currency)) + due
        return [due.as_json() for due in found.values()]

    def elsewhere(self, shown: set[tuple[str, str]]) -> list[Choice]:
        """What has no field of its own on the page; ``shown`` are names and values of those."""
        return [one for one in self.choices if (one.name, _value(one)) not in shown]


def _value(one: Choice) -> str:
    return "" if one.name.startswith(QUANTITY) else one.value


def chosen_of(query: SearchQuery) -> Chosen:
    """What the query chooses, looked up in the stock."""
    items = query.items()
    if not items:
        return Chosen(query)
    # An address can hold a number that is none: then nothing of it is believed.
    found = passing_over("number_invalid", "items_invalid")(
        lambda: ask("inventory", "look_up_items", items=items)
    )
    if found is None:
        return Chosen(replace(query, quantities={}, runs=(), numbers=()))
    return _Sifting(query, dict(zip(map(_name, items), found, strict=True))).result()


def _name(item: dict[str, Any]) -> str:
    return str(item.get("number") or item["offer_id"])


class _Sifting:
    """Parts what is left from what is gone. ``found`` says what became of each offer or number."""

    def __init__(self, query: SearchQuery, found: dict[str, dict[str, Any]]) -> None:
        self._query = query
        self._found = found
        self._choices: list[Choice] = []
        self._gone: list[str] = []
        self._held: dict[str, str] = {}

    def result(self) -> Chosen:
        """See ``Chosen``."""
        for offer_id, quantity in self._query.quantities.items():
            self._quantity(offer_id, quantity)
        for first in self._query.runs:
            self._run(first)
        in_runs = {n for one in self._choices if one.name == RUN for n in in_run(one.value)}
        for number in self._query.numbers:
            if number not in in_runs:
                self._number(number)
        held = tuple((hold, number) for hold, number in self._held.items())
        return Chosen(self._kept(), tuple(self._choices), tuple(self._gone), held)

    def _kept(self) -> SearchQuery:
        of = {name: [c for c in self._choices if c.name == name] for name in (RUN, NUMBER)}
        quantities = {c.name: c.count for c in self._choices if c.name.startswith(QUANTITY)}
        return replace(
            self._query,
            quantities={name.removeprefix(QUANTITY): count for name, count in quantities.items()},
            runs=tuple(one.value for one in of[RUN]),
            numbers=tuple(one.value for one in of[NUMBER]),
        )

    def _quantity(self, offer_id: str, wanted: int) -> None:
        offer, left = self._found[offer_id]["offer"], self._found[offer_id]["left"]
        if offer is None:
            self._gone.append(texts.text("search.gone.terms"))
            return
        if left < wanted:
            self._gone.append(_place(offer) + texts.counted("search.gone.left", left))
        count = min(wanted, left)
        if count:
            label = texts.text("search.choice.some", count=count, offer=_place(offer))
            self._choices.append(Choice(QUANTITY + offer_id, str(count), count, offer, label))

    def _run(self, first: str) -> None:
        numbers = in_run(first)
        label = _run_label(first)
        if all(self._found[n]["left"] for n in numbers):
            offer = self._found[first]["offer"]
            self._choices.append(
                Choice(RUN, first, len(numbers), offer, f"{label}, {_city(offer)}")
            )
        else:
            self._not_left(label, next(n for n in numbers if not self._found[n]["left"]))

    def _number(self, number: str) -> None:
        label = formats().number(number)
        if self._found[number]["left"]:
            offer = self._found[number]["offer"]
            self._choices.append(Choice(NUMBER, number, 1, offer, f"{label}, {_city(offer)}"))
        else:
            self._not_left(label, number)

    def _not_left(self, label: str, number: str) -> None:
        hold = self._found[number]["hold_id"]
        if hold is None:
            self._gone.append(label)
        else:
            self._held.setdefault(hold, label)


def _run_label(first: str) -> str:
    shown = formats()
    last = shown.number(in_run(first)[-1])
    return texts.text("search.run", first=shown.number(first), last=last)


def _city(offer: dict[str, Any]) -> str:
    return str(offer["city"] or formats().country(offer["country"]))


def _place(offer: dict[str, Any]) -> str:
    return f"{formats().prefix(offer)}, {_city(offer)}"
