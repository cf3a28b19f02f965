"""The test clock."""

from __future__ import annotations

from pydantic import AwareDatetime, Field

from services.gateway.schemas.common import Answer, Strict
from services.gateway.schemas.stock import Job


class AdvanceBody(Strict):
    """Where to: an instant not before now."""

    to: AwareDatetime = Field(description="RFC 3339", examples=["2027-01-31T12:00:00Z"])


class TestClock(Answer):
    """Business time."""

    now: str


class ClockJob(Job):
    """An advance under way: per cent of the way, and what became due."""

    now: str
    to: str
    reached: str
