"""Stock files: handing one in, and the job that it becomes."""

from __future__ import annotations

import contextlib
from collections import Counter
from typing import Any

from flask import g, request
from werkzeug.wrappers import Response

from services.gateway import texts
from services.gateway.identity import Who
from services.gateway.pages.declare import Answer, Pages
from services.gateway.pages.office.common import kept, office_page
from services.gateway.pages.paths import go
from services.gateway.pages.rendering import new_key
from services.gateway.routes.jobs import text_of
from services.gateway.surroundings import ask, order
from shared.errors import Refusal

PAGES = Pages()
GOOD = ("stocked", "repriced", "unchanged")
_RUNNING = frozenset({"queued", "running"})
_MOST_SHOWN = 200
_UNPROCESSABLE = 422
_QUARTERS = 4


@PAGES.get("/office/stock/import", Who.STAFF)
def show_import() -> Answer:
    """The form: a file, or text."""
    return _form("", None, new_key())


@PAGES.post("/office/stock/import", Who.STAFF, takes_file=True)
def import_stock() -> Answer:
    """Takes the file in. The same form sent twice is the same job."""
    form_key, pasted = request.form.get("form_key", "")[:64], request.form.get("csv", "")
    g.command_key = f"page import:{form_key}"
    try:
        job_id = order("inventory", "import_stock", csv=_csv(pasted))["job_id"]
    except Refusal as error:
        return kept(_form(pasted, error, form_key, _UNPROCESSABLE))
    return go(f"/office/stock/imports/{job_id}")


@PAGES.get("/office/stock/imports/<job_id>", Who.STAFF)
def show_import_job(job_id: str) -> Answer:
    """How far it is; while it runs the page looks again every second."""
    job = ask("inventory", "get_job", job_id=job_id)
    wrong = [row for row in job["rows"] if row["code"] not in GOOD]
    counts = Counter(row["code"] for row in job["rows"])
    return office_page(
        "office/import_job.html",
        "import",
        job=job,
        done=job["succeeded"] + job["failed"],
        running=job["status"] in _RUNNING,
        said=_said(job),
        counts=[(code, counts[code]) for code in GOOD],
        wrong=[row | _explained(row["code"]) for row in wrong[:_MOST_SHOWN]],
        hidden=max(0, len(wrong) - _MOST_SHOWN),
    )


def _csv(pasted: str) -> str:
    file = request.files.get("file")
    if file is None or not file.filename:
        return pasted
    with contextlib.closing(file):  # A large one lies in a temporary file.
        raw = file.read()
    return text_of(raw) if raw else pasted


def _form(pasted: str, error: Refusal | None, form_key: str, status: int = 200) -> Response:
    return office_page(
        "office/import.html",
        "import",
        status,
        pasted=pasted,
        problem=_problem(error) if error else None,
        form_key=form_key,
    )


def _problem(error: Refusal) -> dict[str, str]:
    return _explained(error.code) | {"code": error.code, "detail": error.detail}


def _explained(code: str) -> dict[str, str]:
    return {"title": texts.problem_title(code), "next": texts.problem_next(code)}


def _said(job: dict[str, Any]) -> str:
    """What is announced: each quarter, and the end. Not every row."""
    done = job["succeeded"] + job["failed"]
    if job["status"] not in _RUNNING:
        fields = {"succeeded": job["succeeded"], "failed": job["failed"]}
        return texts.text(f"office.import.said.{job['status']}", **fields)
    quarters = _QUARTERS * done // max(1, job["total"])
    return texts.text("office.import.said.running", percent=100 * quarters // _QUARTERS)
