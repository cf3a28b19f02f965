"""How often somebody may ask. Counted in this process's memory, by machine time."""

from __future__ import annotations

import time

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from shared.refusals import refusal

_FAILURES_PER_EMAIL = "10 per 15 minutes"
_FAILURES_PER_ADDRESS = "50 per 15 minutes"
_LOGINS_PER_ADDRESS = "120 per minute"
_RESETS_PER_EMAIL = "5 per hour"
_RESETS_PER_ADDRESS = "30 per hour"
_TIDY_SECONDS = 1.0


class _Counters(MemoryStorage):
    """Looks once a second for counters that have ended. The library starts a thread for it at each
    request; if it names that otherwise one day, it does so again."""

    _next = 0.0

    def _MemoryStorage__schedule_expiry(self) -> None:  # noqa: N802  # Its name there.
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _TIDY_SECONDS
            super()._MemoryStorage__schedule_expiry()  # type: ignore[misc]  # Not told to mypy.


class Limits:
    """The limits of this process. ``per_caller`` is written as in ``200 per second``."""

    def __init__(self, per_caller: str) -> None:
        self._strategy = FixedWindowRateLimiter(_Counters())
        self._per_caller = parse(per_caller)
        self._failures = (parse(_FAILURES_PER_EMAIL), parse(_FAILURES_PER_ADDRESS))
        self._logins = parse(_LOGINS_PER_ADDRESS)
        self._resets = (parse(_RESETS_PER_EMAIL), parse(_RESETS_PER_ADDRESS))

    def request(self, caller: str) -> None:
        """One more request of a key, user or address. Raises ``rate_limited``."""
        self._hit(self._per_caller, "request", caller)

    def login(self, email: str, address: str) -> None:
        """Before a password or code is looked at. Only failures count against the e-mail."""
        self._hit(self._logins, "login", address)
        self._test(self._failures[0], "failed-email", email)
        self._test(self._failures[1], "failed-address", address)

    def login_failed(self, email: str, address: str) -> None:
        """A password or code was wrong."""
        self._strategy.hit(self._failures[0], "failed-email", email)
        self._strategy.hit(self._failures[1], "failed-address", address)

    def password_reset(self, email: str, address: str) -> None:
        """One more wish for a reset mail."""
        self._hit(self._resets[0], "reset-email", email)
        self._hit(self._resets[1], "reset-address", address)

    def _hit(self, limit: RateLimitItem, *who: str) -> None:
        if not self._strategy.hit(limit, *who):
            self._begin_anew_or_refuse(limit, *who)
            self._strategy.hit(limit, *who)

    def _test(self, limit: RateLimitItem, *who: str) -> None:
        if not self._strategy.test(limit, *who):
            self._begin_anew_or_refuse(limit, *who)

    def _begin_anew_or_refuse(self, limit: RateLimitItem, *who: str) -> None:
        wait = self._strategy.get_window_stats(limit, *who).reset_time - time.time()
        if wait <= limit.get_expiry() + 1:
            raise refusal("rate_limited", f"More than {limit}.", retry_after=max(1.0, wait))
        # It began by a clock that was ahead, and would last until then.
        self._strategy.clear(limit, *who)
