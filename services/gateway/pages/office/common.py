"""What the pages of the back office share."""

from __future__ import annotations

from typing import Any

import msgspec
from werkzeug.wrappers import Response

from services.gateway.pages.rendering import page
from services.gateway.surroundings import context, gateway, passing_over, require

TABS = ("accounts", "stock", "import", "orders")
_SANDBOX_TABS = ("outbox", "clock")
_PATHS = {"import": "/office/stock/import"}


def office_page(template: str, tab: str, /, status: int = 200, **values: Any) -> Response:
    """A page with the tabs of the back office; ``tab`` is the one that is shown."""
    names = TABS + (_SANDBOX_TABS if gateway().settings.sandbox else ())
    tabs = [(name, _PATHS.get(name, f"/office/{name}")) for name in names]
    return page(template, status, tabs=tabs, tab=tab, **values)


def kept(answer: Response) -> Response:
    """A form that is shown again: the address stays that of the form."""
    answer.headers["HX-Push-Url"] = "false"
    return answer


def for_account(account_id: str, service: str, method: str, **arguments: Any) -> Any:
    """Asks a service as staff, for one account."""
    about = msgspec.structs.replace(context(), account_id=account_id)
    return gateway().client.call(service, method, about, **arguments)


def account_name(account_id: str) -> str:
    """The name of an account, or its id where it has none."""
    unknown = passing_over("account_unknown")
    found = unknown(lambda: for_account(account_id, "billing", "get_account"))
    return str((found or {}).get("name") or account_id)


def require_sandbox() -> None:
    """Raises ``route_unknown`` where money is real."""
    require(gateway().settings.sandbox, "route_unknown")
