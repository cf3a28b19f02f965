"""/openapi.json, /docs (Swagger UI from its wheel, offline) and /docs/errors.

Swagger UI writes styles into its elements, so this page alone allows inline styles; scripts come
from files here as everywhere.
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

import flask_openapi3_swagger  # type: ignore[import-untyped]  # Has no types.
from flask import Flask, Response, send_from_directory

from services.gateway.declare import Api
from services.gateway.identity import Who, may_call
from services.gateway.problems import status_of
from shared.refusals import CODES

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_WEEK = 7 * 24 * 3600
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>PBX.IM Numbers API ({mode})</title>
<link rel="icon" href="/docs/files/images/swagger.svg">
<link rel="stylesheet" href="/docs/files/css/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/files/js/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
_START = """SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
});
"""
_ERRORS = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>Errors of the PBX.IM Numbers API</title></head>
<body>
<main>
<h1>Errors</h1>
<p>The field <code>code</code> of a problem is stable. What to do about each:</p>
<table>
<thead><tr><th>code</th><th>status</th><th>title</th><th>next step</th></tr></thead>
<tbody>
{rows}
</tbody>
</table>
</main>
</body>
</html>
"""


def register(app: Api, mode: str) -> None:
    """Adds the document and its pages."""
    _add(app, "/openapi.json", "openapi_document", lambda: app.api_doc)
    _add(app, "/docs", "docs", lambda: _html(_PAGE.format(mode=mode), _POLICY))
    _add(app, "/docs/start.js", "docs_start", lambda: Response(_START, mimetype="text/javascript"))
    _add(app, "/docs/errors", "docs_errors", lambda: _html(_errors(), None))
    _add(app, "/docs/files/<path:name>", "docs_files", _file)


def _add(app: Flask, rule: str, endpoint: str, view: Any) -> None:
    app.add_url_rule(rule, endpoint, may_call(Who.ANYONE)(view))


def _html(text: str, policy: str | None) -> Response:
    answer = Response(text, mimetype="text/html")
    if policy is not None:
        answer.headers["Content-Security-Policy"] = policy
    return answer


def _file(name: str) -> Response:
    folder = Path(flask_openapi3_swagger.__file__).parent / "templates" / "swagger"
    answer = send_from_directory(folder, name, max_age=_WEEK)
    answer.headers["Cache-Control"] = f"public, max-age={_WEEK}"
    return answer


def _errors() -> str:
    rows = [
        f'<tr id="{escape(code)}"><td><code>{escape(code)}</code></td><td>{status_of(code)}</td>'
        f"<td>{escape(known.title)}</td><td>{escape(known.next_step)}</td></tr>"
        for code, known in sorted(CODES.items())
    ]
    return _ERRORS.format(rows="\n".join(rows))
