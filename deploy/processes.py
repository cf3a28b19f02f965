"""What every process of the distributed system does at its start and at its end."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import TypeVar

from shared import config, failpoints, logging, otlp
from shared.config import Settings
from shared.errors import PbxError, Unavailable
from shared.refusals import refusal

T = TypeVar("T")
_AGAIN_SECONDS = 0.5
_WAIT_FOR = frozenset({"log_not_migrated"})  # Somebody is about to.


def settings_of(process: str, *needed: str) -> Settings:
    """The settings; logging and fail-points are set up by them. ``needed`` name those that this
    process cannot do without (``amqp``, ``database``). Raises ``setting_invalid``."""
    settings = config.load()
    for name in needed:
        if getattr(settings, name) is None:
            variable = f"PBXIM_{name.upper()}"
            raise refusal(
                "setting_invalid", f"{variable} is missing; {process} needs it.", param=variable
            )
    logging.set_up(settings.log_level, as_json=settings.log_json, process=settings.process)
    otlp.start(settings.otlp, settings.process or process.removeprefix("the ").removeprefix("a "))
    failpoints.arm(settings.failpoint, settings.process)
    return settings


def when_there(make: Callable[[], T], stopping: threading.Event) -> T | None:
    """What ``make`` makes, as soon as the servers it needs are there; ``None`` where the process is
    told to stop before. The order in which processes and servers start does not matter."""
    told = ""
    while not stopping.is_set():
        try:
            return make()
        except PbxError as error:
            if not isinstance(error, Unavailable) and error.code not in _WAIT_FOR:
                raise
            if error.detail != told:
                told = error.detail
                logging.logger("start").warning("waits_for", code=error.code, detail=told)
        stopping.wait(_AGAIN_SECONDS)
    return None


def until_told(work: Callable[[threading.Event], None], name: str) -> None:
    """Runs until SIGTERM or Ctrl-C. Ends with a message and 1 where it cannot go on."""
    try:
        work(told_to_stop())
    except PbxError as error:
        sys.exit(f"pbxim {name}: {error.detail} ({error.code})")


def told_to_stop() -> threading.Event:
    """What SIGTERM and Ctrl-C set."""
    stopping = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopping.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    return stopping


def wait_for(stopping: threading.Event) -> None:
    """Waits in the main thread until it is told to stop.

    In short turns: the system may give a signal to any thread, Python handles it in the main one,
    and a wait without an end sleeps on (Python's ``signal``, "Signals and threads").
    """
    while not stopping.wait(_AGAIN_SECONDS):
        pass
