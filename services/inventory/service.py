"""Inventory's methods for other services and the gateway."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from services.inventory import (
    chosen,
    hints,
    importing,
    offer_numbers,
    overview,
    quotes,
    search,
    stock_counts,
    stock_file,
)
from services.inventory.domain import hold as hold_domain
from services.inventory.filling import fill
from services.inventory.messages import AskHold, ExtendHold, ReleaseHold, RequestImport
from services.inventory.projections import TABLES
from shared.documents import Documents
from shared.ids import derived_id
from shared.refusals import refusal
from shared.rpc import CallContext, rpc
from shared.runtime import Runtime

_STOCK = "stock"


class InventoryService:
    """Stock, search, holds. A quote is a hold with prices."""

    name = "inventory"

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._documents = Documents(runtime.settings.data / "documents")
        runtime.state.create(importing.JOBS)
        runtime.views.create(TABLES)  # Who asks before the view has begun finds it empty.

    @rpc
    def list_countries(self, ctx: CallContext) -> list[dict[str, Any]]:
        """Countries with stock: names, types, regions, area codes."""
        self._runtime.fresh(ctx, _STOCK)
        return overview.countries(self._runtime.views)

    @rpc
    def search_available(
        self,
        ctx: CallContext,
        country: str,
        limit: int = 20,
        after: str | None = None,
        sort: str | None = None,
        **wanted: Any,
    ) -> dict[str, Any]:
        """Offers with numbers available, by city, then prefix (contract section 2), or by another
        column, the other way round with a minus before its name (``sorting.py``). ``wanted``: type,
        region, area_code, city, sms, contains."""
        self._runtime.fresh(ctx, _STOCK)
        asked = search.Wanted(country=country, **wanted)
        return search.search(self._runtime.views, asked, limit, after, sort)

    @rpc
    def suggest_cities(
        self, ctx: CallContext, country: str, begins: str = "", limit: int = 20, **wanted: Any
    ) -> list[dict[str, Any]]:
        """Cities with offers that fit and whose names begin so. ``wanted`` as in a search."""
        self._runtime.fresh(ctx, _STOCK)
        asked = search.Wanted(country=country, **wanted)
        return hints.cities(self._runtime.views, asked, begins, limit)

    @rpc
    def count_without(self, ctx: CallContext, country: str, **wanted: Any) -> list[dict[str, Any]]:
        """What a search that finds nothing would find without each of its filters."""
        self._runtime.fresh(ctx, _STOCK)
        return hints.without(self._runtime.views, search.Wanted(country=country, **wanted))

    @rpc
    def look_up_items(self, ctx: CallContext, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """What has become of items (as ``hold_numbers`` takes them) that somebody chose: the offer,
        how many are left, and the account's own hold of a number."""
        self._runtime.fresh(ctx, _STOCK)
        wanted = quotes.items_from(items)
        return chosen.look_up(self._runtime.views, ctx.account_id, wanted)

    @rpc
    def list_offer_numbers(
        self,
        ctx: CallContext,
        offer_id: str,
        contains: str | None = None,
        consecutive: int | None = None,
        limit: int = 20,
        after: str | None = None,
    ) -> dict[str, Any]:
        """The numbers of an offer that are available, or runs of ``consecutive`` ones. Raises
        ``offer_unknown``, ``invalid_value``, ``invalid_cursor``."""
        self._runtime.fresh(ctx, _STOCK)
        views = self._runtime.views
        return offer_numbers.numbers_of(views, offer_id, contains, consecutive, limit, after)

    @rpc
    def hold_numbers(
        self, ctx: CallContext, items: list[dict[str, Any]], strategy: str = "all_or_nothing"
    ) -> dict[str, Any]:
        """Holds numbers: the quote. All or nothing, unless ``best_effort``. Raises ``number_gone``,
        ``offer_unknown``, ``offer_changed``, ``too_many_per_city``, ``quantity_invalid``,
        ``mixed_currency``, ``too_many_held``, ``items_invalid``, ``quote_expired``; then nothing is
        held."""
        ctx.require_owner()
        self._runtime.fresh(ctx, _STOCK)
        command_id = ctx.command_id("hold_numbers")
        command = AskHold(
            hold_id=derived_id("qt", command_id),
            account_id=ctx.account_id,
            items=quotes.items_from(items),
            tried=(),
            until=self._runtime.clock.now() + self._hold_time(),
            strategy=quotes.strategy_from(strategy),
        )
        done = fill(self._runtime, self._runtime.order(ctx, command, "hold_numbers"))
        return quotes.answer(command.hold_id, done)

    @rpc
    def get_hold(self, ctx: CallContext, hold_id: str) -> dict[str, Any]:
        """A quote of the account. Raises ``quote_unknown``."""
        state = self._runtime.application.load(hold_domain.AGGREGATE, hold_id)
        quotes.check_owner(ctx, state)
        return quotes.quote(hold_id, state, 0, self._runtime.clock.now())

    @rpc
    def extend_hold(self, ctx: CallContext, hold_id: str) -> dict[str, Any]:
        """Lets a quote end later, an hour in all. Raises ``quote_unknown``, ``quote_used``,
        ``quote_expired``."""
        ctx.require_owner()
        now = self._runtime.clock.now()
        command = ExtendHold(
            hold_id=hold_id, account_id=ctx.account_id, until=now + self._hold_time(), now=now
        )
        order = self._runtime.order(ctx, command, "extend_hold", hold_id)
        done = self._runtime.application.execute(order)
        return quotes.quote(hold_id, done.state, done.position, now)

    @rpc
    def release_hold(self, ctx: CallContext, hold_id: str) -> dict[str, Any]:
        """Gives the numbers of a quote back. Raises ``quote_unknown``, ``quote_used``."""
        ctx.require_owner()
        command = ReleaseHold(hold_id=hold_id, account_id=ctx.account_id)
        order = self._runtime.order(ctx, command, "release_hold", hold_id)
        done = self._runtime.application.execute(order)
        return quotes.quote(hold_id, done.state, done.position, self._runtime.clock.now())

    @rpc
    def import_stock(self, ctx: CallContext, csv: str) -> dict[str, Any]:
        """Takes a stock file in; the rows are run as a job. Raises ``csv_header_wrong``,
        ``csv_empty``."""
        ctx.require_staff()
        rows = stock_file.count(csv)
        sha256 = self._documents.put(csv.encode())
        job_id = derived_id("job", ctx.command_id("import_stock"), sha256)
        command = RequestImport(job_id=job_id, sha256=sha256, rows=rows)
        importing.open_job(self._runtime.state, job_id, rows)
        order = self._runtime.order(ctx, command, "import_stock", sha256)
        return {"job_id": job_id, "position": self._runtime.application.execute(order).position}

    @rpc
    def get_job(self, ctx: CallContext, job_id: str) -> dict[str, Any]:
        """How far an import is, with the result of each row. Raises ``job_unknown``."""
        if not ctx.staff:
            raise refusal("job_unknown")
        return importing.read_job(self._runtime.state, job_id)

    @rpc
    def get_stock(
        self,
        ctx: CallContext,
        country: str | None = None,
        limit: int = 20,
        after: str | None = None,
    ) -> dict[str, Any]:
        """The blocks of the stock with what is left of each (staff)."""
        ctx.require_staff()
        self._runtime.fresh(ctx, _STOCK)
        return overview.blocks(self._runtime.views, country, limit, after)

    @rpc
    def get_stock_overview(self, ctx: CallContext, days: int = 30) -> dict[str, Any]:
        """How many numbers are available, held, allocated and quarantined by country and type, and
        what was available at the end of each of the last days, UTC (staff). Raises
        ``invalid_value``."""
        ctx.require_staff()
        self._runtime.fresh(ctx, _STOCK)
        today = self._runtime.clock.now().date()
        return stock_counts.overview(self._runtime.views, today, days)

    def _hold_time(self) -> timedelta:
        return timedelta(minutes=self._runtime.settings.hold_minutes)
