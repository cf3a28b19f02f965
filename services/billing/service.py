"""Billing as others call it: accounts, cards, charges, refunds, and the provider's webhooks."""

from __future__ import annotations

import dataclasses
from typing import Any

from services.billing import answers, balance, queries, webhooks
from services.billing.cards import CardDesk
from services.billing.countries import default_time_zone
from services.billing.domain import account, charge
from services.billing.domain.account import Account
from services.billing.domain.charge_state import Charge
from services.billing.messages import (
    AddPaymentMethod,
    ChangeDefaultPaymentMethod,
    ChargeRefundFailed,
    CheckCharge,
    OpenAccount,
    RefundCharge,
    RemovePaymentMethod,
)
from services.billing.projections import PROJECTIONS
from services.billing.provider import Provider
from shared.aggregate import Aggregate
from shared.application import Done
from shared.ids import derived_id
from shared.refusals import refusal
from shared.rpc import CallContext, rpc
from shared.runtime import Runtime

_SCRIPT = "https://js.stripe.com/v3/"


class Billing:
    """The RPC surface. Each method checks account and role itself; another account's object is
    not found. Commands answer with the object and ``position``, its place in the log."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._settings = runtime.settings
        self._provider = Provider(runtime.settings)
        self._desk = CardDesk(self._provider, runtime.settings.sandbox)
        for projection in PROJECTIONS:  # A question may come before the first event is folded.
            runtime.views.create(projection.tables)

    # ── Accounts ──────────────────────────────────────────────────────────────────────────────────

    @rpc
    def open_account(
        self,
        ctx: CallContext,
        name: str,
        email: str,
        country: str,
        time_zone: str | None = None,
        currency: str = "USD",
    ) -> dict[str, Any]:
        """Opens an account (staff). Country ISO 3166-1 alpha-2, time zone IANA (default: the
        country's usual one), currency ISO 4217. Raises ``invalid_value``."""
        ctx.require_staff()
        command = OpenAccount(
            account_id=derived_id("acct", ctx.command_id("open_account")),
            name=name,
            email=email,
            country=country,
            time_zone=time_zone or default_time_zone(country),
            currency=currency,
        )
        done = self._do(ctx, command, "open_account")
        return answers.opened(done, self._runtime.application.log)

    @rpc
    def get_account(self, ctx: CallContext, account_id: str | None = None) -> dict[str, Any]:
        """The caller's account; staff may name any. Raises ``account_unknown``."""
        if account_id not in {None, ctx.account_id} and not ctx.staff:
            raise refusal("account_unknown")
        self._runtime.fresh(ctx, "accounts")
        return queries.one_account(self._runtime.views, account_id or ctx.account_id)

    @rpc
    def list_accounts(
        self, ctx: CallContext, limit: int = 20, after: str | None = None
    ) -> dict[str, Any]:
        """All accounts (staff), the newest first."""
        ctx.require_staff()
        self._runtime.fresh(ctx, "accounts")
        return queries.accounts(self._runtime.views, limit, after)

    # ── Cards ─────────────────────────────────────────────────────────────────────────────────────

    @rpc
    def create_setup_intent(self, ctx: CallContext) -> dict[str, Any]:
        """Begins to add a card: what the provider's script needs in the browser. Raises
        ``payment_provider_unavailable``."""
        ctx.require_owner()
        owner = self._account(ctx)
        begun = self._desk.begin(ctx.account_id, owner, str(ctx.command_id("setup_intent")))
        return {"id": begun.id, "client_secret": begun.client_secret, **self._script()}

    @rpc
    def add_payment_method(
        self,
        ctx: CallContext,
        setup_intent_id: str | None = None,
        payment_method: str | None = None,
    ) -> dict[str, Any]:
        """Adds the card of a completed set-up, or (sandbox) of a test token. The same card twice
        is one card. Raises ``card_declined``, ``authentication_required``,
        ``payment_method_unknown``, ``invalid_value``, ``payment_provider_unavailable``."""
        ctx.require_owner()
        owner = self._account(ctx)
        card_id = derived_id("pm", ctx.command_id("add_payment_method"))
        known = owner.known(card_id)
        if known is not None:  # The same request again; the card may have been removed since.
            return answers.card(
                owner, known, self._last_position(account.AGGREGATE, ctx.account_id)
            )
        if (setup_intent_id is None) == (payment_method is None):
            raise refusal("missing_field", "Send setup_intent_id.", param="setup_intent_id")
        return self._add(ctx, owner, card_id, setup_intent_id, payment_method)

    @rpc
    def list_payment_methods(self, ctx: CallContext) -> list[dict[str, Any]]:
        """The account's cards in the order they were added."""
        self._runtime.fresh(ctx, "payment_methods")
        return queries.cards(self._runtime.views, ctx.account_id)

    @rpc
    def set_default_payment_method(
        self, ctx: CallContext, payment_method_id: str
    ) -> dict[str, Any]:
        """Names the card charged by default. Raises ``payment_method_unknown``."""
        ctx.require_owner()
        command = ChangeDefaultPaymentMethod(
            account_id=ctx.account_id, payment_method_id=payment_method_id
        )
        return answers.card_done(self._do(ctx, command, "default"), payment_method_id)

    @rpc
    def remove_payment_method(self, ctx: CallContext, payment_method_id: str) -> dict[str, Any]:
        """Takes a card away; the provider is told next. Raises ``payment_method_unknown``, and
        ``payment_method_in_use`` while a charge of it waits for its outcome."""
        ctx.require_owner()
        self._runtime.fresh(ctx, "charges")
        mine = self._account(ctx).card(payment_method_id) is not None
        if mine and queries.is_being_charged(self._runtime.views, payment_method_id):
            raise refusal("payment_method_in_use", param="payment_method_id")
        command = RemovePaymentMethod(
            account_id=ctx.account_id, payment_method_id=payment_method_id
        )
        return answers.card_done(self._do(ctx, command, "remove"), payment_method_id)

    # ── Charges ───────────────────────────────────────────────────────────────────────────────────

    @rpc
    def list_charges(
        self,
        ctx: CallContext,
        order_id: str | None = None,
        limit: int = 20,
        after: str | None = None,
    ) -> dict[str, Any]:
        """The account's charges (staff without an account: all), the newest first."""
        self._runtime.fresh(ctx, "charges")
        of = ctx.account_id or None if ctx.staff else ctx.account_id
        return queries.charges(self._runtime.views, of, order_id, limit, after)

    @rpc
    def get_charge(self, ctx: CallContext, charge_id: str) -> dict[str, Any]:
        """One charge with its refunds; staff also sees the provider's id. Raises
        ``charge_unknown``."""
        self._runtime.fresh(ctx, "charges")
        of = None if ctx.staff else ctx.account_id
        found = queries.one_charge(self._runtime.views, charge_id, of)
        if ctx.staff:
            found["provider_id"] = self._charge(ctx, charge_id).provider_id or None
        return found

    @rpc
    def get_payment_action(self, ctx: CallContext, charge_id: str) -> dict[str, Any] | None:
        """What the customer's browser needs for the bank's step (3-D Secure); ``None`` when the
        charge waits for none. Raises ``charge_unknown``."""
        found = self._charge(ctx, charge_id)
        if found.status != "action_required" or not isinstance(found.client_secret, str):
            return None
        action = {"type": "three_d_secure", "client_secret": found.client_secret}
        return {**action, **self._script()}

    # ── What is owed ──────────────────────────────────────────────────────────────────────────────

    @rpc
    def get_balance(self, ctx: CallContext) -> dict[str, Any]:
        """What the account owes because each was too little to be charged, by currency."""
        self._runtime.fresh(ctx, "charges")
        found = balance.owed_by_currency(self._runtime.views, ctx.account_id)
        return {"currencies": [one.as_json() for one in found.values()]}

    @rpc
    def pay_owed(
        self, ctx: CallContext, currency: str, payment_method_id: str | None = None
    ) -> dict[str, Any]:
        """Pays all that is owed in a currency at once, with the card named or the default one. The
        outcome comes later, as that of a charge. Raises ``nothing_owed``, ``below_minimum``,
        ``balance_being_paid``, ``payment_method_required``, ``payment_method_unknown``."""
        ctx.require_owner()
        owner = self._account(ctx)
        payment_id = derived_id("chg", ctx.command_id("pay_owed"))
        known: Charge = self._runtime.application.load(charge.AGGREGATE, payment_id)
        if known.status:  # The same request again: what it paid is not owed any more.
            return balance.begun(known, self._last_position(charge.AGGREGATE, payment_id))
        self._runtime.fresh(ctx, "charges")
        found = balance.owed(self._runtime.views, ctx.account_id, currency)
        command = balance.payment_of(found, payment_id, owner, payment_method_id)
        done = self._do(ctx, command, "pay_owed")
        return balance.begun(done.state, done.position)

    @rpc
    def confirm_owed_payment(self, ctx: CallContext, charge_id: str) -> dict[str, Any]:
        """The customer came back from the bank's step (3-D Secure): the provider is asked. Raises
        ``charge_unknown``, ``nothing_to_confirm``."""
        ctx.require_owner()
        found = self._charge(ctx, charge_id)
        if not found.covers:
            raise refusal("charge_unknown")
        if found.status != "action_required":
            raise refusal("nothing_to_confirm")
        command = CheckCharge(charge_id=charge_id, give_up=False)
        done = self._do(ctx, command, f"confirm {charge_id}")
        return balance.begun(done.state, done.position)

    @rpc
    def refund(
        self, ctx: CallContext, charge_id: str, amount: dict[str, str] | None = None
    ) -> dict[str, Any]:
        """Returns an amount of a charge, or all that is left (staff). Raises ``charge_unknown``,
        ``refund_too_large``, ``invalid_value``."""
        ctx.require_staff()
        found = self._charge(ctx, charge_id)
        refund_id = derived_id("ref", ctx.command_id("refund"))
        wanted = found.left if amount is None else answers.money(amount)
        command = RefundCharge(charge_id=charge_id, refund_id=refund_id, amount=wanted)
        done = self._do(ctx, command, "refund")
        for event in done.events:
            if isinstance(event, ChargeRefundFailed):
                raise refusal(event.code, event.detail, param="amount")
        return answers.refund(done, refund_id)

    @rpc
    def receive_webhook(self, ctx: CallContext, body: str, signature: str) -> dict[str, bool]:
        """Takes a report of the provider, ``body`` exactly as it came. The signature says who
        speaks. Raises ``webhook_signature_wrong``; then nothing was done."""
        event = self._provider.webhook(body, signature)
        report = webhooks.report_of(event, live=not self._settings.sandbox)
        if report is None:
            return {"handled": False}
        self._runtime.run(webhooks.order_of(report, event["id"], ctx, self._runtime.clock.now()))
        return {"handled": True}

    def _add(
        self,
        ctx: CallContext,
        owner: Account,
        card_id: str,
        setup_id: str | None,
        token: str | None,
    ) -> dict[str, Any]:
        key = str(ctx.command_id("add_payment_method"))
        if setup_id is not None:
            facts = self._desk.completed(ctx.account_id, setup_id)
        else:
            facts = self._desk.of_token(ctx.account_id, owner, token or "", key)
        command = AddPaymentMethod(
            account_id=ctx.account_id, payment_method_id=card_id, **dataclasses.asdict(facts)
        )
        done = self._do(ctx, command, "add_payment_method")
        state: Account = done.state
        added = state.of_provider(facts.provider_id)
        return answers.card_done(done, added.payment_method_id if added else card_id)

    def _do(self, ctx: CallContext, command: object, part: str) -> Done:
        return self._runtime.application.execute(self._runtime.order(ctx, command, part))

    def _account(self, ctx: CallContext) -> Account:
        found: Account = self._runtime.application.load(account.AGGREGATE, ctx.account_id)
        if not found.account_id:
            raise refusal("account_unknown")
        return found

    def _charge(self, ctx: CallContext, charge_id: str) -> Charge:
        found: Charge = self._runtime.application.load(charge.AGGREGATE, charge_id)
        if not found.status or (found.account_id != ctx.account_id and not ctx.staff):
            raise refusal("charge_unknown")
        return found

    def _last_position(self, aggregate: Aggregate, key: str) -> int:
        stream = f"{aggregate.category}-{key}"
        return self._runtime.application.log.read_stream(stream)[-1].position

    def _script(self) -> dict[str, str | None]:
        return {
            "publishable_key": self._settings.stripe_publishable_key,
            "script_url": self._settings.stripe_script_url or _SCRIPT,
        }
