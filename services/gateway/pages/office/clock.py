"""The test clock: what time it is for the business, putting it forward, what became due."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any

from flask import g, request

from services.gateway import texts
from services.gateway.identity import Who
from services.gateway.pages.declare import Answer, Pages
from services.gateway.pages.office.common import office_page, require_sandbox
from services.gateway.pages.paths import go
from services.gateway.pages.rendering import known_problem, new_key
from services.gateway.surroundings import ask, order, passing_over
from shared.days import months_later
from shared.errors import Refusal

PAGES = Pages()
STEPS = ("hour", "day", "month")
_RUNNING = frozenset({"queued", "running"})
_WAIT_SECONDS = 1.0


@PAGES.get("/office/clock", Who.STAFF)
def show_clock() -> Answer:
    """The clock, what is due next, and the advance that the address names."""
    require_sandbox()
    job = _job(request.args.get("job"))
    clock = ask("clock", "get_clock")
    return office_page(
        "office/clock.html",
        "clock",
        clock=clock | {"next": [_named(due) for due in clock["next"]]},
        steps=STEPS,
        job=job,
        due=[_named(due) for due in job["due"]] if job else [],
        running=job is not None and job["status"] in _RUNNING,
        problem=known_problem(request.args.get("problem")),
        form_key=new_key(),
    )


@PAGES.post("/office/clock", Who.STAFF)
def advance_clock() -> Answer:
    """Puts it forward: by a step, or to the instant that was typed (UTC)."""
    require_sandbox()
    g.command_key = f"page clock:{request.form.get('form_key', '')[:64]}"
    to = _target(request.form.get("by"), request.form.get("to", ""))
    if to is None:
        return go("/office/clock", problem="invalid_value")
    try:
        job = order("clock", "advance_clock", to=to.isoformat(), wait=_WAIT_SECONDS)
    except Refusal as error:
        return go("/office/clock", problem=error.code)
    return go("/office/clock", job=job["id"])


def _target(by: str | None, typed: str) -> datetime | None:
    now = datetime.fromisoformat(ask("clock", "get_clock")["now"])
    match by:
        case "hour":
            return now + timedelta(hours=1)
        case "day":
            return now + timedelta(days=1)
        case "month":
            return datetime.combine(months_later(now.date(), 1), now.timetz())
        case _:
            return _instant(typed, now)


def _instant(typed: str, now: datetime) -> datetime | None:
    """A day or minute as a browser's field sends it. A day means this time of it."""
    try:
        found = datetime.fromisoformat(typed)
    except ValueError:
        return None
    if found.tzinfo is None:
        found = found.replace(tzinfo=UTC)
    midnight = found.timetz().replace(tzinfo=None) == time(0)
    only_day = midnight and len(typed) == len("2026-01-31")
    return datetime.combine(found.date(), now.timetz()) if only_day else found


def _job(job_id: str | None) -> dict[str, Any] | None:
    if not job_id:
        return None
    found: dict[str, Any] | None = passing_over("job_unknown")(
        lambda: ask("clock", "get_clock_job", job_id=job_id)
    )
    return found


def _named(due: dict[str, Any]) -> dict[str, Any]:
    name = f"office.due.{due['name']}"
    return due | {"what": texts.TEXTS.get(name, due["name"])}
