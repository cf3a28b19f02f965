"""Cards. Their numbers go from the browser to the payment provider and never reach us."""

from __future__ import annotations

from typing import Any

from services.gateway.declare import Key, Routes, created
from services.gateway.identity import Who
from services.gateway.schemas.buying import Card, CardBody, CardPath, Cards, SetupIntent
from services.gateway.schemas.common import Nothing, page
from services.gateway.surroundings import ask, gateway, order, require

ROUTES = Routes("Cards", "What is charged. The first card added is the default.")
_PROVIDER = ("payment_provider_unavailable",)


@ROUTES.get("/v1/payment-methods", Cards, waits_for=("payment_methods",))
def list_payment_methods() -> dict[str, Any]:
    """The cards of the account"""
    return page({"data": ask("billing", "list_payment_methods"), "next": None})


@ROUTES.post(
    "/v1/payment-methods/setup-intents", {201: SetupIntent}, who=Who.OWNER, refuses=_PROVIDER
)
def create_setup_intent(body: Nothing) -> tuple[Any, int]:  # noqa: ARG001  # Only that it is empty.
    """Begin entering a card at the payment provider"""
    return created(order("billing", "create_setup_intent"))


@ROUTES.post(
    "/v1/payment-methods",
    {201: Card},
    who=Who.OWNER,
    key=Key.REQUIRED,
    refuses=(*_PROVIDER, "card_declined", "payment_method_unknown", "route_unknown"),
)
def add_payment_method(body: CardBody) -> tuple[Any, int]:
    """Add the card that was entered (in sandbox also a test token)"""
    if body.payment_method is not None:
        require(gateway().settings.sandbox, "route_unknown", "There are no test tokens here.")
    named = body.model_dump(exclude_none=True)
    require(len(named) == 1, "missing_field", "Send setup_intent_id.", param="setup_intent_id")
    return created(order("billing", "add_payment_method", **named))


@ROUTES.put(
    "/v1/payment-methods/<payment_method_id>/default",
    Card,
    who=Who.OWNER,
    refuses=("payment_method_unknown",),
)
def set_default_payment_method(path: CardPath, body: Nothing) -> Any:  # noqa: ARG001
    """Charge this card unless another is named"""
    return order("billing", "set_default_payment_method", payment_method_id=path.payment_method_id)


@ROUTES.delete(
    "/v1/payment-methods/<payment_method_id>",
    {204: None},
    who=Who.OWNER,
    refuses=("payment_method_unknown", "payment_method_in_use"),
)
def remove_payment_method(path: CardPath) -> tuple[None, int]:
    """Take a card away"""
    order("billing", "remove_payment_method", payment_method_id=path.payment_method_id)
    return None, 204
