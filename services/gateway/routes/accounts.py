"""Accounts of customers, for staff."""

from __future__ import annotations

from typing import Any

from flask import g

from services.gateway import keys
from services.gateway.declare import Key, Routes, created
from services.gateway.identity import Who
from services.gateway.people import NewUser
from services.gateway.routes.users import people
from services.gateway.schemas.common import Paging, page
from services.gateway.schemas.people import (
    Account,
    AccountBody,
    AccountPath,
    Accounts,
    OpenedAccount,
)
from services.gateway.surroundings import ask, context, gateway, order, require, without_position
from shared.ids import derived_id
from shared.rpc import OWNER

ROUTES = Routes("Accounts", "Customers. Staff opens an account; its first owner is invited.")


@ROUTES.post(
    "/v1/accounts",
    {201: OpenedAccount},
    who=Who.STAFF,
    key=Key.REQUIRED,
    refuses=("email_taken",),
)
def open_account(body: AccountBody) -> tuple[Any, int]:
    """Open an account and invite its first owner"""
    _check_email(body.email)
    account = order("billing", "open_account", **body.model_dump(exclude_none=True))
    user_id = _invite_owner(account["id"], body)
    return created({**account, "api_key": _first_key(account["id"]), "user_id": user_id})


@ROUTES.get("/v1/accounts", Accounts, who=Who.STAFF, waits_for=("accounts",))
def list_accounts(query: Paging) -> dict[str, Any]:
    """Accounts, newest first"""
    found = ask("billing", "list_accounts", limit=query.limit, after=query.cursor)
    return page({**found, "data": [without_position(one) for one in found["data"]]})


@ROUTES.get("/v1/accounts/<account_id>", Account, refuses=("account_unknown",))
def get_account(path: AccountPath) -> Any:
    """An account: the own one, or for staff any"""
    own = path.account_id == g.caller.account_id
    require(own or g.caller.staff, "account_unknown")
    return without_position(ask("billing", "get_account", account_id=path.account_id))


def _check_email(email: str) -> None:
    # Before the account exists. The user of a repeated request is its own.
    found = people().by_email(email)
    require(found is None or found.id == _user_id(), "email_taken", param="email")


def _user_id() -> str:
    return derived_id("user", context().command_id("first-owner"))


def _invite_owner(account_id: str, body: AccountBody) -> str:
    new = NewUser(
        id=_user_id(), account_id=account_id, email=body.email, name=body.name, role=OWNER
    )
    return str(people().invite(new, gateway().now()).id)


def _first_key(account_id: str) -> str:
    key_id = derived_id("key", context().command_id("first-key"))
    return keys.make(
        gateway().state,
        key_id,
        account_id=account_id,
        role=OWNER,
        name="First key",
        now=gateway().now(),
    )
