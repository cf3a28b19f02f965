"""What the address of the list of numbers says: tab, filters, order and place. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from werkzeug.datastructures import MultiDict

from services.gateway.pages.paths import with_query
from shared.phone import TYPES

LIST = "/numbers"
EXPORT = "/numbers.csv"
# Which statuses a tab shows. "pending" also shows orders on their way; port requests will stand
# there as the numbers they bring, with the status porting.
TABS: dict[str, tuple[str, ...]] = {
    "active": ("active", "suspended"),
    "pending": ("pending_compliance", "porting"),
    "cancelling": ("cancelling",),
    "released": ("released", "failed"),
}
ORDERS = {"pending": ("placed", "reserving", "charging", "action_required", "needs_operator")}
FILTERS = ("q", "status", "type", "country", "label", "sms")
SORTS = (
    "number",
    "type",
    "city",
    "sms",
    "channels",
    "monthly_cost",
    "paid_until",
    "origin",
    "status",
)
_LONGEST = 4000
_COUNTRY = 2


@dataclass(frozen=True)
class NumberQuery:
    """One list. ``sort`` as orders takes it, empty for the newest first."""

    tab: str
    filters: Mapping[str, str]
    sort: str = ""
    after: str = ""
    before: str = ""

    @property
    def filtered(self) -> bool:
        """Whether anything is left out of the tab."""
        return any(self.filters.values())

    def counting(self) -> dict[str, Any]:
        """The arguments of ``count_numbers``: all filters but the status, so that each tab says
        what it holds."""
        named: dict[str, Any] = {n: v for n, v in self.filters.items() if v and n != "status"}
        return named | {"sms": named["sms"] == "1"} if "sms" in named else named

    def listing(self) -> dict[str, Any]:
        """The arguments of ``list_numbers``, without the page's size."""
        place = {"after": self.after or None, "before": self.before or None}
        order = {"sort": self.sort or None, "statuses": self.statuses()}
        return self.counting() | order | place

    def statuses(self) -> list[str]:
        """Whose numbers are shown."""
        chosen = self.filters["status"]
        return [chosen] if chosen else list(TABS[self.tab])

    def address(self, path: str = LIST) -> str:
        """Where this list is found."""
        tab = self.tab if self.tab != "active" else ""
        place = {"sort": self.sort, "after": self.after, "before": self.before}
        return with_query(path, tab=tab, **self.filters, **place)

    def at(self, *, after: str = "", before: str = "") -> NumberQuery:
        """The same list from another place; without one, from its beginning."""
        return replace(self, after=after, before=before)

    def in_tab(self, tab: str) -> NumberQuery:
        """The same filters in another tab. A status belongs to one tab."""
        return replace(self.at(), tab=tab, filters={**self.filters, "status": ""})

    def without(self, name: str) -> NumberQuery:
        """The same list without one of its filters."""
        return replace(self.at(), filters={**self.filters, name: ""})

    def labelled(self, label: str) -> NumberQuery:
        """The numbers of the tab that have a label."""
        return replace(self.plain(), filters={**self.plain().filters, "label": label})

    def plain(self) -> NumberQuery:
        """The same list without any filter."""
        return replace(self.at(), filters=dict.fromkeys(FILTERS, ""))

    def sorted_by(self, name: str) -> NumberQuery:
        """Sorted by a column; the other way round where it is so already."""
        return replace(self.at(), sort=f"-{name}" if self.sort == name else name)

    def direction(self, name: str) -> str:
        """How a column is sorted, in the words of ``aria-sort``."""
        directions = {name: "ascending", f"-{name}": "descending"}
        return directions.get(self.sort, "none")


def query_from(sent: MultiDict[str, str]) -> NumberQuery:
    """Reads an address. What it cannot mean is passed over."""
    filters = {name: sent.get(name, "").strip()[:_LONGEST] for name in FILTERS}
    tab = _tab(sent.get("tab", ""), filters["status"])
    allowed = {"status": TABS[tab], "type": TYPES, "sms": ("1", "0")}
    kept = {n: v if v in allowed.get(n, (v,)) else "" for n, v in filters.items()}
    country = kept["country"].upper()
    kept["country"] = country if len(country) == _COUNTRY else ""
    sort = sent.get("sort", "")
    return NumberQuery(
        tab=tab,
        filters=kept,
        sort=sort if sort.removeprefix("-") in SORTS else "",
        after=sent.get("after", ""),
        before="" if sent.get("after") else sent.get("before", ""),
    )


def _tab(named: str, status: str) -> str:
    if named in TABS:
        return named
    return next((tab for tab, statuses in TABS.items() if status in statuses), "active")
