"""Accounts: the list, opening one, and one account with who looked at it."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from zoneinfo import available_timezones

import phonenumbers
from flask import g, request
from werkzeug.wrappers import Response

from services.gateway import keys, looking, texts
from services.gateway.identity import Who
from services.gateway.pages.choices import Choices
from services.gateway.pages.declare import Answer, Pages
from services.gateway.pages.formats import Formats
from services.gateway.pages.office.common import for_account, kept, office_page
from services.gateway.pages.paths import go, with_query
from services.gateway.pages.rendering import new_key, page
from services.gateway.problems import read
from services.gateway.routes import accounts as api
from services.gateway.routes.users import people
from services.gateway.routes.users import shown as user_shown
from services.gateway.schemas.people import AccountBody
from services.gateway.surroundings import STAFF_ACCOUNT, ask, context, gateway, passing_over
from shared.errors import PbxError
from shared.ids import derived_id

PAGES = Pages()
_PAGE = 50
_GONE = frozenset({"released", "failed"})
_MOST_LOOKS = 20
_UNPROCESSABLE = 422
_FIELDS = ("name", "email", "country", "time_zone")


@PAGES.get("/office", Who.STAFF)
def show_office() -> Answer:
    """The back office begins with the accounts."""
    return go("/office/accounts", enrolled=request.args.get("enrolled"))


@PAGES.get("/office/accounts", Who.STAFF)
def show_accounts() -> Answer:
    """All accounts, newest first; or the one that an id or a user's e-mail names."""
    q = request.args.get("q", "").strip()
    after = request.args.get("after") or None
    found = _named(q) if q else ask("billing", "list_accounts", limit=_PAGE, after=after)
    following = with_query("/office/accounts", after=found["next"]) if found["next"] else None
    return office_page(
        "office/accounts.html",
        "accounts",
        rows=found["data"],
        q=q,
        next_page=following,
        first_page=after is not None,
    )


@PAGES.get("/office/accounts/new", Who.STAFF)
def show_new_account() -> Answer:
    """The form; a dialog where there is JavaScript."""
    return _form({}, None, new_key())


@PAGES.post("/office/accounts", Who.STAFF)
def open_account() -> Answer:
    """Opens an account. Its API key is shown this once, so the answer is the page itself."""
    form_key = request.form.get("form_key", "")[:64]
    g.command_key = f"page account:{form_key}"
    known = _opened_before()
    if known is not None:
        return go(f"/office/accounts/{known}", again="1")
    sent = {name: request.form.get(name, "").strip() or None for name in _FIELDS}
    try:
        opened, _status = api.open_account(_body(sent))
    except PbxError as error:
        return kept(_form(sent, error, form_key, _UNPROCESSABLE))
    answer = page("office/opened.html", account=opened)
    answer.headers["HX-Push-Url"] = f"/office/accounts/{opened['id']}"
    return answer


@PAGES.get("/office/accounts/<account_id>", Who.STAFF)
def show_account(account_id: str) -> Answer:
    """One account: who uses it, what it has, and who of the staff looked at it."""
    account = ask("billing", "get_account", account_id=account_id)
    counted = for_account(account_id, "orders", "count_numbers")["numbers"]
    return office_page(
        "office/account.html",
        "accounts",
        account=account,
        users=[user_shown(user) for user in people().of(account_id)],
        cards=for_account(account_id, "billing", "list_payment_methods"),
        numbers=sum(n for status, n in counted.items() if status not in _GONE),
        looks=_looks(account_id),
        again="again" in request.args,
    )


def _named(q: str) -> dict[str, Any]:
    user = people().by_email(q)
    account_id = user.account_id if user is not None else q
    unknown = passing_over("account_unknown")
    account = unknown(lambda: ask("billing", "get_account", account_id=account_id))
    if account is None or account_id == STAFF_ACCOUNT:
        return {"data": [], "next": None}
    cards = for_account(account_id, "billing", "list_payment_methods")
    return {"data": [account | {"cards": len(cards)}], "next": None}


def _body(sent: dict[str, str | None]) -> AccountBody:
    named = {name: found for name, found in sent.items() if found is not None}
    return read(AccountBody, **named)


def _opened_before() -> str | None:
    """The account that this form has opened already: a second key would end the first."""
    account_id = derived_id("acct", context().command_id("open_account"))
    return account_id if keys.of(gateway().state, account_id) else None


def _form(
    sent: dict[str, Any], error: PbxError | None, form_key: str, status: int = 200
) -> Response:
    return page(
        "office/new_account.html",
        status,
        sent={name: sent.get(name) or "" for name in _FIELDS},
        problem=_problem(error) if error else None,
        form_key=form_key,
        countries=_countries(),
        zones=_zones(),
    )


def _problem(error: PbxError) -> dict[str, str]:
    fields = {str(one.get("param", "")).rsplit(".", 1)[-1] for one in error.errors}
    fields.add(str(error.param or "").rsplit(".", 1)[-1])
    named = [texts.text(f"office.account.{name}") for name in _FIELDS if name in fields]
    return {
        "title": texts.problem_title(error.code),
        "next": texts.text("office.check_fields", fields=", ".join(named))
        if named and error.code != "email_taken"
        else texts.problem_next(error.code),
        "code": error.code,
    }


@lru_cache
def _countries() -> Choices:
    shown = Formats()
    offered = ((code, shown.country(code)) for code in phonenumbers.SUPPORTED_REGIONS)
    return sorted(offered, key=lambda pair: pair[1])


@lru_cache
def _zones() -> tuple[str, ...]:
    return tuple(sorted(z for z in available_timezones() if "/" in z and z[:4] != "Etc/"))


def _looks(account_id: str) -> list[dict[str, Any]]:
    found = looking.of_account(gateway().state, account_id, _MOST_LOOKS)
    return [
        {
            "email": row.email,
            "began": datetime.fromtimestamp(row.began_at, UTC),
            "ended": datetime.fromtimestamp(row.ended_at, UTC) if row.ended_at else None,
            "now": row.ended_at is None and row.session_there,
        }
        for row in found
    ]
