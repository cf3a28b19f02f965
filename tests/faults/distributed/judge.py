"""The comparison: ledger and book against log, read models and bus. Nothing that the product says
about itself counts unless one of the two says it, too."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from deploy.payment_sandbox.book import BookedCharge
from tests.faults.distributed.audit import Audit
from tests.faults.distributed.bus import Listeners
from tests.faults.distributed.ledger import Line
from tests.faults.distributed.load import Load, offers_of, read
from tests.faults.distributed.supervised import until
from tests.faults.distributed.system import System
from tests.support.product import Answer, ApiClient

_SETTLE_SECONDS = 90.0
_BUS_SECONDS = 30.0  # For what is still to come over the bus once all has come to rest.
_LEAST_CHARGE = Decimal("0.50")
_GOING = {"placed", "reserving", "charging"}


@dataclass
class Verdict:
    """What was found. ``lost`` were acknowledged and are not there; ``doubled`` are there twice;
    ``wrong`` is everything else that is not as the ledger says."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def fine(self) -> bool:
        return not (self.lost or self.doubled or self.wrong)

    def add(self, kind: str, words: str) -> None:
        """One finding."""
        {"lost": self.lost, "doubled": self.doubled}.get(kind, self.wrong).append(words)

    def all(self) -> list[str]:
        """Every finding, with its kind."""
        found = {"lost": self.lost, "doubled": self.doubled, "wrong": self.wrong}
        return [f"{kind}: {words}" for kind, many in found.items() for words in many]


class Judge:
    """Judges one load after the other on one system."""

    def __init__(self, system: System, listeners: Listeners) -> None:
        self._system = system
        self._listeners = listeners
        self._audit = Audit()
        self.poison: set[str] = set()  # Streams that were broken on purpose.
        self._follow()
        listeners.before = {s: set(ids) for s, ids in self._audit.published.items()}

    def judge(self, load: Load) -> Verdict:
        """After the load was stopped and the fault is over."""
        verdict = Verdict()
        verdict.wrong += self._settled(load)
        self._follow()
        mine = list(load.ledger.lines())
        accounts = {c.account: c.client for c in load.everybody()}
        for kind, words in self._findings(load, mine, accounts):
            verdict.add(kind, words)
        return verdict

    def _follow(self) -> None:
        log = self._system.product.events()
        try:
            self._audit.follow(log)
        finally:
            log.close()

    def _findings(
        self, load: Load, lines: list[Line], accounts: dict[str, ApiClient]
    ) -> Iterator[tuple[str, str]]:
        yield from self._audit.problems(set(accounts))
        charges = self._charges()
        for account, client in accounts.items():
            mine = [line for line in lines if line.account == account]
            yield from self._of_account(account, client, mine, charges)
        yield from self._offers(load, lines)
        yield from self._bus()
        yield from self._parked()
        for customer in load.everybody():
            yield from (("lost", f"never answered: {words}") for words in customer.notes.gave_up)
            for words, times in customer.notes.odd.items():
                yield "wrong", f"an answer that should not be: {words} ({times} times)"

    def _of_account(
        self,
        account: str,
        client: ApiClient,
        lines: list[Line],
        charges: dict[str, list[BookedCharge]],
    ) -> Iterator[tuple[str, str]]:
        done = _by_kind(lines)
        refused = sum(line.status >= 300 for line in lines)  # HTTP.
        quotes = {line.answer["id"]: line.answer for line in done["quote"]}
        yield from _compared("hold", set(quotes), self._audit.holds[account], spare=refused)
        wanted = {line.answer["id"]: quotes[line.answer["quote_id"]] for line in done["order"]}
        yield from _compared("order", set(wanted), self._audit.orders[account])
        listed = {o["id"]: o for o in everything(client, "/v1/orders") if o["kind"] == "purchase"}
        yield from _compared("listed order", set(wanted), set(listed))
        for order_id, quote in wanted.items():
            if order_id in listed:
                yield from self._of_order(listed[order_id], quote, charges[order_id])
        yield from self._of_numbers(client, wanted, done["describe"])
        yield from _released(client, done["release"])

    def _of_order(
        self, order: dict[str, Any], quote: dict[str, Any], charges: list[BookedCharge]
    ) -> Iterator[tuple[str, str]]:
        name = order["id"]
        if order["status"] != "fulfilled":
            yield "lost", f"{name} ended as {order['status']}"
            return
        paid = [c for c in charges if c.status == "succeeded"]
        due = Decimal(quote["due"])
        wanted = [int(due * 100)] if due >= _LEAST_CHARGE else []
        if [c.amount_minor for c in paid] != wanted:
            kind = "doubled" if len(paid) > len(wanted) else "lost"
            yield kind, f"{name}: charged {[c.amount_minor for c in paid]} instead of {wanted}"
        numbers = sorted(one["number"] for one in order["numbers"])
        if not numbers == sorted(quote["numbers"]) == sorted(self._audit.bought[name]):
            yield "wrong", f"{name} has {numbers}, quoted were {quote['numbers']}"

    def _of_numbers(
        self, client: ApiClient, orders: dict[str, Any], described: list[Line]
    ) -> Iterator[tuple[str, str]]:
        wanted = {n for quote in orders.values() for n in quote["numbers"]}
        rows = [r for r in everything(client, "/v1/numbers") if r["origin"] == "purchased"]
        yield from _compared("number", wanted, {row["number"] for row in rows})
        if len(rows) != len({row["number"] for row in rows}):
            yield "doubled", "a number is listed twice"
        texts = {line.answer["number"]: line.answer["text"] for line in described}
        for row in rows:
            if row["description"] != texts.get(row["number"], ""):
                told = texts.get(row["number"], "")
                yield "wrong", f"{row['number']} says {row['description']!r} and not {told!r}"

    def _offers(self, load: Load, lines: list[Line]) -> Iterator[tuple[str, str]]:
        # What is left of each offer: what there was, less what was bought or is still held.
        released = {line.answer["id"] for line in lines if line.kind == "release"}
        taken: dict[str, int] = defaultdict(int)
        for line in lines:
            if line.kind == "quote" and line.status < 300 and line.answer["id"] not in released:
                taken[line.answer["offer_id"]] += len(line.answer["numbers"])
        now = {o.id: o.available for o in offers_of(load.probe.client)}
        for offer in load.offers:
            if now.get(offer.id, 0) != offer.available - taken[offer.id]:
                told = offer.available - taken[offer.id]
                yield "wrong", f"{offer.id} has {now.get(offer.id, 0)} numbers left, not {told}"

    def _charges(self) -> dict[str, list[BookedCharge]]:
        found: dict[str, list[BookedCharge]] = defaultdict(list)
        for charge in self._system.book.charges():
            found[charge.metadata.get("order_id", "")].append(charge)
        return found

    def _bus(self) -> Iterator[tuple[str, str]]:
        end = time.monotonic() + _BUS_SECONDS
        for service, wanted in self._listeners.wanted(self._audit.published).items():
            missing = self._listeners.missing(service, wanted, end)
            if missing:
                yield "lost", f"{len(missing)} events of {service} never came over the bus"
            extra = self._listeners.heard(service) - self._audit.published[service]
            if extra:
                yield "wrong", f"{len(extra)} messages of {service} are no events"

    def _parked(self) -> Iterator[tuple[str, str]]:
        for consumer, position, stream in parked(self._system):
            if stream not in self.poison:
                yield "wrong", f"{consumer} has parked {stream} at {position}"

    def _settled(self, load: Load) -> list[str]:
        try:
            until(lambda: quiet(load), _SETTLE_SECONDS, "everything has come to rest")
        except AssertionError as error:
            return [f"{error}: {_behind(load.probe.client)}"]
        return []


def everything(client: ApiClient, path: str) -> list[dict[str, Any]]:
    """All pages of a list that is not behind."""
    end = time.monotonic() + 30
    while True:
        rows, fresh, cursor = [], True, ""
        while True:
            answer = read(client, f"{path}?limit=100{cursor}")
            assert answer.status == 200, answer  # HTTP.
            rows += answer.body["data"]
            fresh = fresh and "Read-Model-Behind" not in answer.headers
            if not answer.body["has_more"]:
                break
            cursor = f"&cursor={answer.body['next_cursor']}"
        if fresh or time.monotonic() > end:
            return rows


def _by_kind(lines: list[Line]) -> dict[str, list[Line]]:
    found: dict[str, list[Line]] = defaultdict(list)
    for line in lines:
        if line.status < 300:  # HTTP.
            found[line.kind].append(line)
    return found


def _compared(
    what: str, wanted: set[str], found: set[str], spare: int = 0
) -> Iterator[tuple[str, str]]:
    # ``spare``: refused for good, these may have left a trace under an id that nobody was told.
    for missing in sorted(wanted - found):
        yield "lost", f"{what} {missing}"
    more = sorted(found - wanted)
    if len(more) > spare:
        yield "doubled", f"{len(more) - spare} of {what}: nobody was told of {more[:3]}"


def _released(client: ApiClient, lines: list[Line]) -> Iterator[tuple[str, str]]:
    for line in lines[-10:]:
        found = read(client, f"/v1/quotes/{line.answer['id']}")
        if found.body.get("status") != "released":
            yield "lost", f"release of {line.answer['id']}: it is {found.body.get('status')}"


def quiet(load: Load) -> bool:
    """Whether no order is under way and every consumer has seen everything."""
    ready = _ready(load.probe.client)
    if not ready.get("ready") or any(c["lag"] for c in ready["consumers"].values()):
        return False
    return not any(
        _some(customer.client.get(f"/v1/orders?status={status}&limit=1"))
        for customer in load.everybody()
        for status in sorted(_GOING)
    )


def _some(answer: Answer) -> bool:
    # Whoever is refused (a service is not back yet, too many questions) does not know.
    return answer.status != 200 or bool(answer.body["data"])


def _ready(client: ApiClient) -> dict[str, Any]:
    try:
        found = client.ask("GET", "/readyz", timeout=10).body
    except OSError:
        return {}
    return found if isinstance(found, dict) else {}


def _behind(client: ApiClient) -> dict[str, Any]:
    ready = _ready(client)
    behind = {n: c for n, c in ready.get("consumers", {}).items() if c["lag"] or c["failure"]}
    return {"silent": ready.get("silent_runners"), "behind": behind}


def parked(system: System) -> list[tuple[str, int, str]]:
    """What consumers and relay have put aside: who, which position, which stream."""
    tables = "SELECT table_schema FROM information_schema.tables WHERE table_name = 'parked'"
    found: list[tuple[str, int, str]] = []
    connection = system.connection()
    try:
        with connection.cursor() as cursor:
            cursor.execute(tables)
            for (schema,) in cursor.fetchall():
                cursor.execute(f"SELECT consumer, position, stream FROM {schema}.parked")  # nosec B608
                found += cursor.fetchall()
    finally:
        connection.close()
    return found
