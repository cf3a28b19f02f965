"""The sandbox's own pages: the Stripe.js stand-in, the card form, 3-D Secure, receipts.

No page has an inline script or style, and each says so in its Content-Security-Policy.
"""

from __future__ import annotations

from decimal import Decimal
from functools import cache
from html import escape
from pathlib import Path
from string import Template

from deploy.payment_sandbox.errors import Json, no_such
from deploy.payment_sandbox.records import Reader
from deploy.payment_sandbox.settings import Settings
from deploy.payment_sandbox.wire import Response

_HERE = Path(__file__).parent
_HTML = "text/html; charset=utf-8"
_SCRIPT = "text/javascript; charset=utf-8"
_STYLE = "text/css; charset=utf-8"
_FILES = {
    "/v3": ("static/stripe.js", _SCRIPT),
    "/v3/": ("static/stripe.js", _SCRIPT),
    "/v3/card.js": ("static/card.js", _SCRIPT),
    "/v3/challenge.js": ("static/challenge.js", _SCRIPT),
    "/v3/frame.js": ("static/frame.js", _SCRIPT),
    "/v3/frame.css": ("static/frame.css", _STYLE),
    "/v3/card": ("templates/card.html", _HTML),
    "/v3/challenge": ("templates/challenge.html", _HTML),
}


def serve(path: str, settings: Settings, reader: Reader) -> Response | None:
    """The page or file at `path`, or None."""
    if path in _FILES:
        name, content_type = _FILES[path]
        return Response(200, _content(name), content_type, _headers(settings))
    if path.startswith("/receipts/"):
        charge = reader.get("charge", path.removeprefix("/receipts/"))
        return Response(200, _receipt(charge), _HTML, _headers(settings))
    return None


@cache
def _content(name: str) -> bytes:
    return (_HERE / name).read_bytes()


def _headers(settings: Settings) -> tuple[tuple[str, str], ...]:
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
        " base-uri 'none'; form-action 'none';"
        f" frame-ancestors {' '.join(settings.embedders)}"
    )
    return (
        ("Content-Security-Policy", policy),
        ("Referrer-Policy", "no-referrer"),
        ("Cache-Control", "no-store"),
        # The dashboard's page may ask for isolation; the script is meant to be embedded.
        ("Cross-Origin-Resource-Policy", "cross-origin"),
    )


def _receipt(charge: Json) -> bytes:
    if not charge["paid"]:
        raise no_such("receipt", charge["id"])
    # Two decimals for every currency: the sandbox does not know which have none.
    amount = (Decimal(charge["amount"]) / 100).quantize(Decimal("0.01"))
    values = {
        "amount": f"{amount} {charge['currency'].upper()}",
        "card": f"{charge['payment_method_details']['card']['brand']} …"
        f"{charge['payment_method_details']['card']['last4']}",
        "charge": charge["id"],
        "description": charge["description"] or "",
    }
    template = Template(_content("templates/receipt.html").decode())
    return template.substitute({name: escape(value) for name, value in values.items()}).encode()
