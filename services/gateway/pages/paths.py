"""Where to go next: always a path of this site, whatever the request asks for."""

from __future__ import annotations

from urllib.parse import urlencode, urlsplit

from flask import redirect, request
from werkzeug.wrappers import Response

_SEE_OTHER = 303
HOME = "/numbers"


def own_path(wanted: str | None, otherwise: str = HOME) -> str:
    """The wanted path if it is one of this site; never another host, in any spelling."""
    path = wanted or ""
    plain = path.startswith("/") and not path.startswith("//")
    safe = plain and "\\" not in path and path.isprintable()
    return path if safe else otherwise


def went_from() -> str:
    """The page the person is on: this one, or the one whose form or script sent the request."""
    if request.method == "GET" and "HX-Request" not in request.headers:
        return own_path(request.full_path.rstrip("?"))
    parts = urlsplit(request.headers.get("HX-Current-URL") or request.referrer or "")
    if parts.netloc != request.host:
        return HOME
    return own_path(f"{parts.path}?{parts.query}" if parts.query else parts.path)


def with_query(path: str, **values: str | None) -> str:
    """The path with these values in its query; empty ones are left out."""
    pairs = {name: value for name, value in values.items() if value}
    sign = "&" if "?" in path else "?"
    return f"{path}{sign}{urlencode(pairs)}" if pairs else path


def go(path: str, **values: str | None) -> Response:
    """See there: after a form, so that reload and back repeat nothing."""
    return redirect(with_query(path, **values), _SEE_OTHER)
