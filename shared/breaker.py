"""A circuit breaker: while a provider does not answer, do not make everybody wait for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class BreakerOpenError(Exception):
    """The provider has failed again and again; it is left alone for a while."""


class Breaker:
    """Opens after some failures in a row, lets one call through after ``seconds``.

    ``failures`` are exceptions of the given classes; any other outcome counts as an answer.
    ``opened`` is raised in place of a call, made with a message.
    """

    def __init__(
        self,
        failures: tuple[type[Exception], ...],
        opened: type[Exception] = BreakerOpenError,
        *,
        after: int = 8,
        seconds: float = 5.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._failures = failures
        self._opened = opened
        self._after = after
        self._seconds = seconds
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._count = 0
        self._closed_again = 0.0

    def guard(self, call: Callable[[], T]) -> T:
        """Makes the call, or refuses while open. Raises what the call raises."""
        self._enter()
        try:
            answer = call()
        except self._failures:
            self._failed()
            raise
        except Exception:  # A refusal is an answer: the provider is there.
            self._count = 0
            raise
        self._count = 0
        return answer

    @property
    def is_open(self) -> bool:
        """Whether calls are refused just now."""
        return self._count >= self._after and self._monotonic() < self._closed_again

    def _enter(self) -> None:
        with self._lock:
            if self.is_open:
                message = "the provider is left alone after repeated failures"
                raise self._opened(message)
            if self._count >= self._after:  # One call finds out; the others wait for its answer.
                self._closed_again = self._monotonic() + self._seconds

    def _failed(self) -> None:
        with self._lock:
            self._count += 1
            self._closed_again = self._monotonic() + self._seconds
