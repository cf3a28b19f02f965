"""Python, set for this product: many short-lived objects, and threads that wait for pages."""

from __future__ import annotations

import gc
import sys

_GARBAGE = (50_000, 20, 50)  # Batches of events are many short-lived objects without cycles.
_SWITCH_SECONDS = 0.002  # The engine must not keep a page waiting for the interpreter.


def tune_interpreter() -> None:
    """To be called once, at the start of a process."""
    sys.setswitchinterval(_SWITCH_SECONDS)
    gc.set_threshold(*_GARBAGE)
