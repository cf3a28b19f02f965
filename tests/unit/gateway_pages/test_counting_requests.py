"""How often somebody may ask is counted without a thread for each request."""

from __future__ import annotations

import threading

import pytest

from services.gateway.limits import Limits
from shared.errors import PbxError


def test_counting_a_request_starts_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = Limits("50 per minute")
    limits.request("somebody")  # This one may tidy up.
    started: list[threading.Thread] = []
    monkeypatch.setattr(threading.Thread, "start", started.append)

    for _ in range(49):
        limits.request("somebody")

    assert len(started) <= 1, "once a second, however many ask"
    with pytest.raises(PbxError, match="rate_limited"):
        limits.request("somebody")
    limits.request("somebody else")
