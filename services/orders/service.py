"""Orders' methods for other services and the gateway."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from services.orders import number_rows, operating, order_rows, requests, views
from services.orders.domain.order_state import PURCHASE
from services.orders.messages import (
    DescribeNumber,
    GiveUpOrder,
    OrderPlaced,
    PlaceOrder,
    ReportConfirmation,
    RequestChargeCheck,
    RequestRefund,
)
from services.orders.projections import NUMBERS, ORDERS
from services.orders.sorting import Place, sorting
from shared.application import Done, Order
from shared.errors import PbxError
from shared.ids import derived_id
from shared.refusals import refusal
from shared.rpc import CallContext, rpc
from shared.runtime import Runtime

_ORDERS, _NUMBERS = ORDERS.name, NUMBERS.name


class OrdersService:
    """Orders, and the numbers that came of them."""

    name = "orders"

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        # Queries may come before the runner has filled its first row.
        for projection in (ORDERS, NUMBERS, operating.OPERATING):
            runtime.views.create(projection.tables)

    @rpc
    def place_order(  # The fields of the API.
        self,
        ctx: CallContext,
        quote_id: str | None = None,
        items: list[dict[str, Any]] | None = None,
        payment_method_id: str | None = None,
        strategy: str = "all_or_nothing",
        end_user: dict[str, Any] | None = None,
        usage: str | None = None,
        document_ids: Sequence[str] = (),
    ) -> dict[str, Any]:
        """Orders the numbers of a quote, or items. The outcome comes later; the answer is the order
        as placed. Raises ``items_invalid``, ``quantity_invalid``, ``number_invalid``,
        ``invalid_value``, ``role_required``."""
        ctx.require_owner()
        if (quote_id is None) == (not items):
            raise refusal("items_invalid", param="items")
        order_id = derived_id("ord", ctx.command_id("place_order"))
        command = PlaceOrder(
            order_id=order_id,
            account_id=ctx.account_id,
            kind=PURCHASE,
            hold_id=quote_id or order_id,
            items=requests.items_from(items),
            strategy=strategy,
            payment_method_id=payment_method_id,
            usage=usage,
            end_user=requests.end_user_from(end_user),
            document_ids=tuple(document_ids),
        )
        return self._run_on_order(self._runtime.order(ctx, command, "place_order"))

    @rpc
    def get_order(self, ctx: CallContext, order_id: str) -> dict[str, Any]:
        """One order. Raises ``order_unknown``."""
        self._runtime.fresh(ctx, _ORDERS)
        row = views.find_order(self._runtime.views, _account(ctx), order_id)
        if row is None:
            raise refusal("order_unknown")
        if row["status"] == "fulfilled":
            # Who sees that finds the numbers too (contract section 1, Freshness).
            self._runtime.progress.wait_for((_NUMBERS,), row["position"])
        return order_rows.order_json(row)

    @rpc
    def list_orders(
        self,
        ctx: CallContext,
        status: str | None = None,
        limit: int = 20,
        after: str | None = None,
        statuses: Sequence[str] | None = None,
    ) -> dict[str, Any]:
        """The account's orders, newest first: ``{data, next}``. Raises ``invalid_cursor``."""
        self._runtime.fresh(ctx, _ORDERS)
        chosen = statuses if status is None else [status]
        return views.list_orders(self._runtime.views, _listed(ctx), chosen, limit, after)

    @rpc
    def confirm_payment(self, ctx: CallContext, order_id: str) -> dict[str, Any]:
        """The customer came back from the bank's step (3-D Secure); billing looks at the charge.
        Raises ``order_unknown``, ``nothing_to_confirm``."""
        ctx.require_owner()
        self._runtime.fresh(ctx, _ORDERS)
        command = ReportConfirmation(order_id=order_id, account_id=ctx.account_id)
        return self._run_on_order(self._runtime.order(ctx, command, "confirm_payment", order_id))

    @rpc
    def refund_order(
        self,
        ctx: CallContext,
        order_id: str,
        amount: dict[str, str] | None = None,
        numbers: Sequence[str] = (),
        reason: str = "",
    ) -> dict[str, Any]:
        """Staff returns an amount, what the numbers cost, or all that is left. Raises
        ``staff_only``, ``order_unknown``, ``order_not_refundable``, ``refund_too_large``,
        ``number_unknown``, ``mixed_currency``, ``invalid_value``."""
        ctx.require_staff()
        self._runtime.fresh(ctx, _ORDERS)
        command = RequestRefund(
            order_id=order_id,
            refund_id=derived_id("ref", ctx.command_id("refund_order", order_id)),
            amount=requests.money_from(amount),
            numbers=tuple(numbers),
            reason=reason,
        )
        return self._run_on_order(self._runtime.order(ctx, command, "refund_order", order_id))

    @rpc
    def list_operator_orders(
        self, ctx: CallContext, limit: int = 20, after: str | None = None
    ) -> dict[str, Any]:
        """Orders of all accounts that wait for a person (staff), the longest waiting first:
        ``{data, next}``. Raises ``invalid_cursor``."""
        ctx.require_staff()
        self._runtime.fresh(ctx, _ORDERS, operating.OPERATING.name)
        return operating.waiting(self._runtime.views, limit, after)

    @rpc
    def get_operator_order(self, ctx: CallContext, order_id: str) -> dict[str, Any]:
        """An order with what it waits for and what staff did about it (staff). Raises
        ``order_unknown``."""
        ctx.require_staff()
        self._runtime.fresh(ctx, _ORDERS, operating.OPERATING.name)
        return operating.one(self._runtime.views, order_id)

    @rpc
    def check_order_charge(self, ctx: CallContext, order_id: str, reason: str) -> dict[str, Any]:
        """Has the charge of an order that waits for a person looked up now (staff). Raises
        ``order_unknown``, ``order_not_with_operator``, ``charge_unknown``, ``missing_field``."""
        ctx.require_staff()
        command = RequestChargeCheck(order_id=order_id, reason=reason)
        return self._run_on_order(self._runtime.order(ctx, command, "check_charge", order_id))

    @rpc
    def give_up_order(self, ctx: CallContext, order_id: str, reason: str) -> dict[str, Any]:
        """Ends an order that waits for a person and is not paid (staff). Raises ``order_unknown``,
        ``order_not_with_operator``, ``order_paid``, ``missing_field``."""
        ctx.require_staff()
        command = GiveUpOrder(order_id=order_id, reason=reason)
        return self._run_on_order(self._runtime.order(ctx, command, "give_up", order_id))

    @rpc
    def get_number(self, ctx: CallContext, number_or_num_id: str) -> dict[str, Any]:
        """A number of the account: its current tenure, else its last. Raises ``number_unknown``,
        and ``busy`` where it may only not be shown yet."""
        fresh = self._runtime.fresh(ctx, _NUMBERS)
        row = views.find_number(self._runtime.views, _account(ctx), number_or_num_id)
        if row is None:
            raise refusal("number_unknown") if fresh else _not_shown_yet()
        return number_rows.number_json(row)

    @rpc
    def list_numbers(  # noqa: PLR0913  # The filters of the API, the order and the place.
        self,
        ctx: CallContext,
        *,
        status: str | None = None,
        country: str | None = None,
        type: str | None = None,  # noqa: A002  # The field's name in the API.
        sms: bool | None = None,
        q: str | None = None,
        label: str | None = None,
        limit: int = 20,
        after: str | None = None,
        before: str | None = None,
        sort: str | None = None,
        statuses: Sequence[str] | None = None,
    ) -> dict[str, Any]:
        """The account's numbers, newest first unless sorted by ``number``, ``type``, ``city``,
        ``sms``, ``channels``, ``monthly_cost``, ``paid_until``, ``origin``, ``status`` or
        ``added`` (``-city``: the other way round): ``{data, next, previous}``. Filters are those of
        ``count_numbers``, and status. Raises ``invalid_cursor``, ``invalid_value``."""
        self._runtime.fresh(ctx, _NUMBERS)
        where = views.numbers_where(
            status=status,
            statuses=statuses,
            country=country,
            type=type,
            sms=sms,
            label=label,
            q=q,
        )
        order, place = sorting(sort), Place(after, before)
        return views.list_numbers(self._runtime.views, _listed(ctx), where, order, limit, place)

    @rpc
    def count_numbers(
        self,
        ctx: CallContext,
        *,
        country: str | None = None,
        type: str | None = None,  # noqa: A002  # The field's name in the API.
        sms: bool | None = None,
        q: str | None = None,
        label: str | None = None,
    ) -> dict[str, Any]:
        """How many numbers and orders there are by status: ``{numbers, orders, countries,
        change}``, the last as in ``last_change``. ``q``: digits in any printed form, several
        numbers, or text of description and labels. Raises ``invalid_value``."""
        self._runtime.fresh(ctx, _NUMBERS, _ORDERS)
        where = views.numbers_where(country=country, type=type, sms=sms, label=label, q=q)
        return views.count_numbers(self._runtime.views, _listed(ctx), where)

    @rpc
    def last_change(self, ctx: CallContext) -> str:
        """A text that is another one as soon as something about the account's numbers or orders
        has changed. Made to be asked every few seconds: it never waits."""
        return views.last_change(self._runtime.views, _listed(ctx))

    @rpc
    def set_description(
        self, ctx: CallContext, num_id: str, description: str, if_version: int | None = None
    ) -> dict[str, Any]:
        """Changes the note of a number. Raises ``number_unknown``, ``edited_meanwhile``,
        ``invalid_value``."""
        ctx.require_owner()
        command = DescribeNumber(
            num_id=num_id,
            account_id=ctx.account_id,
            description=description,
            if_version=if_version,
        )
        order = self._runtime.order(ctx, command, "set_description", num_id)
        done = self._runtime.application.execute(order)
        return self._answer_number(order, done)

    def _run_on_order(self, order: Order) -> dict[str, Any]:
        done = self._runtime.application.execute(order)
        row = views.find_order(self._runtime.views, None, order.command.order_id)
        for message in done.events:
            row = _with_order_event(row, message, order, done.position)
        if row is None:
            raise _not_shown_yet()
        return order_rows.order_json(row)

    def _answer_number(self, order: Order, done: Done) -> dict[str, Any]:
        find = partial(views.find_number, self._runtime.views, None, order.command.num_id)
        row = find()
        if row is None:  # The caller knows it from its order; the view is a moment behind.
            self._runtime.progress.wait_for((_NUMBERS,), done.position)
            row = find()
        if row is None:
            raise _not_shown_yet()
        for message in done.events if row["position"] < done.position else ():
            version = done.state.described_in
            number_rows.change(row, message, order.now, done.position, version)
        return number_rows.number_json(row)


def _not_shown_yet() -> PbxError:
    return refusal("busy", "It is recorded, and cannot be shown yet.")


def _with_order_event(
    row: dict[str, Any] | None, message: Any, order: Order, position: int
) -> dict[str, Any] | None:
    # The command's own event on top of the view, where the view has not folded it yet.
    if row is None:
        made = isinstance(message, OrderPlaced)
        return order_rows.placed(message, order.now, position) if made else None
    if row["position"] < position:
        order_rows.change(row, message, order.now, position)
    return row


def _account(ctx: CallContext) -> str | None:
    """Whose things the caller may see: staff sees all."""
    return None if ctx.staff else ctx.account_id


def _listed(ctx: CallContext) -> str | None:
    """Whose things a list shows: staff sees all, unless it acts for an account."""
    return None if ctx.staff and not ctx.account_id else ctx.account_id
