"""Our own files for the browser: scripts, styles. Their address changes with their content."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

from flask import send_from_directory, url_for
from werkzeug.wrappers import Response

from services.gateway.identity import Who
from services.gateway.pages.declare import Pages

PAGES = Pages()
_STATIC = Path(__file__).parent.parent / "static"
_FOR_EVER = "public, max-age=31536000, immutable"
_SHORT = 12


@PAGES.get("/assets/<digest>/<path:name>", Who.ANYONE)
def asset(digest: str, name: str) -> Response:
    """A file. An address of an earlier version gives the present one, and is not kept."""
    answer = send_from_directory(_STATIC, name)
    answer.headers["Cache-Control"] = _FOR_EVER if digest == _digest(name) else "no-cache"
    return answer


def asset_url(name: str) -> str:
    """The address of a file under ``static/``."""
    return url_for("pages.asset", digest=_digest(name), name=name)


@lru_cache
def _digest(name: str) -> str:
    return hashlib.sha256((_STATIC / name).read_bytes()).hexdigest()[:_SHORT]
