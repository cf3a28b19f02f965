"""The test clock: business time, and putting it forward. Sandbox only."""

from __future__ import annotations

from typing import Any

from services.gateway.declare import Routes
from services.gateway.identity import Who
from services.gateway.schemas.clock import AdvanceBody, ClockJob, TestClock
from services.gateway.surroundings import ask, gateway

ROUTES = Routes("Test clock", "Business time, to be put forward; sandbox only.")
CLOCK_JOB = "job_clock_"
_WAIT_SECONDS = 3.0
_ACCEPTED = 202


@ROUTES.get("/v1/test-clock", TestClock, who=Who.STAFF, sandbox_only=True)
def get_test_clock() -> Any:
    """What time it is for holds, bank steps and everything else of the business"""
    return ask("clock", "get_clock")


@ROUTES.post(
    "/v1/test-clock/advance",
    {200: TestClock, 202: ClockJob},
    who=Who.STAFF,
    sandbox_only=True,
    refuses=("clock_backwards", "clock_busy"),
)
def advance_test_clock(body: AdvanceBody) -> Any:
    """Put the clock forward: each thing due happens in order, at its own time"""
    with gateway().waiters.place() as may_wait:
        wait = _WAIT_SECONDS if may_wait else 0.0
        job = ask("clock", "advance_clock", to=body.to.isoformat(), wait=wait)
    return {"now": job["now"]} if job["status"] == "done" else (job, _ACCEPTED)
