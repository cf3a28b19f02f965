"""Stock files and the jobs they become."""

from __future__ import annotations

from typing import Any

from flask import request

from services.gateway.declare import Key, Routes
from services.gateway.identity import Who
from services.gateway.routes.test_clock import CLOCK_JOB
from services.gateway.schemas.common import page
from services.gateway.schemas.stock import Job, JobPath, Stock, StockQuery
from services.gateway.surroundings import ask, gateway, order
from shared.refusals import refusal

ROUTES = Routes("Stock", "What is on sale, for staff.")
_CSV = {
    "required": True,
    "content": {"text/csv": {"schema": {"type": "string"}}},
    "description": "The columns of the stock file: country, region, city, area_code, type, "
    "first_number, count, sms, setup_fee, monthly_fee, min_period_months, per_minute, "
    "connect_fee, currency, billing_increments",
}


@ROUTES.post(
    "/v1/stock/imports",
    {202: Job},
    who=Who.STAFF,
    key=Key.REQUIRED,
    refuses=("csv_header_wrong", "csv_empty"),
    body=_CSV,
)
def import_stock() -> tuple[Any, int]:
    """Take a stock file in; its rows are run as a job"""
    if request.mimetype != "text/csv":
        raise refusal("unsupported_media_type", "Send the file as text/csv.")
    job_id = order("inventory", "import_stock", csv=text_of(request.get_data()))["job_id"]
    return ask("inventory", "get_job", job_id=job_id), 202


@ROUTES.get("/v1/jobs/<job_id>", Job, refuses=("job_unknown",))
def get_job(path: JobPath) -> Any:
    """How far a job is, with the rows that failed"""
    of = "clock" if path.job_id.startswith(CLOCK_JOB) and gateway().settings.sandbox else None
    method = "get_clock_job" if of else "get_job"
    return ask(of or "inventory", method, job_id=path.job_id)


@ROUTES.get("/v1/stock", Stock, who=Who.STAFF, waits_for=("stock",), refuses=("invalid_cursor",))
def list_stock(query: StockQuery) -> dict[str, Any]:
    """The blocks of the stock, with what is left of each"""
    wanted = query.model_dump(exclude={"cursor"}, exclude_none=True)
    return page(ask("inventory", "get_stock", **wanted, after=query.cursor))


def text_of(raw: bytes) -> str:
    """A file's text. Raises ``invalid_value`` for one that is not UTF-8."""
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise refusal("invalid_value", "The file is not UTF-8 text.", param="body") from None
