"""Work that looks at more than one stream. Each function may be repeated at any point: what it
orders has an id that derives from the one it was ordered with."""

from __future__ import annotations

from services.billing import collecting
from services.billing.domain import account, charge
from services.billing.domain.account import Account
from services.billing.domain.charge_state import Charge
from services.billing.messages import (
    ChargeOrder,
    CheckCharge,
    CloseOwedPayment,
    CollectOwed,
    RequestCharge,
    SettleReport,
)
from services.billing.policies import charge_id_of
from shared.application import Order, accepted
from shared.runtime import Runtime
from shared.spec import Process, Steps


def charge_order(runtime: Runtime, order: Order) -> Steps:
    """Requests the charge of an order from the card named, or from the default card."""
    wanted: ChargeOrder = order.command
    owner: Account = runtime.application.load(account.AGGREGATE, wanted.account_id)
    card = owner.chargeable(wanted.payment_method_id)
    command = RequestCharge(
        charge_id=charge_id_of(wanted.order_id),
        account_id=wanted.account_id,
        order_id=wanted.order_id,
        amount=wanted.amount,
        payment_method_id=card.payment_method_id if card else None,
        provider_customer=card.provider_customer if card else "",
        provider_method=card.provider_id if card else "",
    )
    accepted((yield [order.sibling(command, "charge")]))


def settle_report(runtime: Runtime, order: Order) -> None:
    """Looks a provider's report up in its charge, and has the provider asked if it is news."""
    report: SettleReport = order.command
    state: Charge = runtime.application.load(charge.AGGREGATE, report.charge_id)
    if charge.calls_for_a_look(report, state):
        command = CheckCharge(charge_id=report.charge_id, give_up=False)
        runtime.application.execute(order.sibling(command, "look"))


PROCESSES: dict[type, Process] = {
    ChargeOrder: charge_order,
    SettleReport: settle_report,
    CollectOwed: collecting.collect,
    CloseOwedPayment: collecting.close,
}
