"""Events of the installation itself: its mode, its clock, and commands that were refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import assert_never

from shared.aggregate import Aggregate
from shared.messages import command, event
from shared.refusals import refusal


@event("InstallationStarted")
class InstallationStarted:
    """The first event of every log: which mode the installation is in, for good."""

    mode: str


@event("ClockAdvanced")
class ClockAdvanced:
    """Business time was put forward (sandbox only). ``offset_seconds`` is against machine time."""

    offset_seconds: float


@event("CommandRefused")
class CommandRefused:
    """A policy's or timer's command was refused. Recorded, so that it can be found."""

    service: str
    command: str
    stream: str
    code: str
    detail: str


@event("ParkedDropped")
class ParkedDropped:
    """An operator decided that a parked event needs no handling."""

    consumer: str
    position: int
    reason: str


@command
class StartInstallation:
    """Says the mode; refused where the log belongs to the other one."""

    mode: str


@command
class AdvanceClock:
    """Puts business time forward to this offset; less than today's is pointless."""

    offset_seconds: float


@command
class RecordRefusal:
    """Writes down a refused command under its id."""

    refused_id: str
    service: str
    command: str
    stream: str
    code: str
    detail: str


@command
class DropParked:
    """Takes a parked event off the list, with a reason."""

    consumer: str
    position: int
    reason: str


Command = StartInstallation | AdvanceClock | RecordRefusal | DropParked
Event = InstallationStarted | ClockAdvanced | CommandRefused | ParkedDropped


@dataclass(frozen=True, slots=True)
class Installation:
    """The mode and the clock."""

    mode: str = ""
    offset: timedelta = timedelta(0)


def evolve(state: Installation, happened: Event) -> Installation:
    """Folds the installation's events."""
    match happened:
        case InstallationStarted(mode=mode):
            return Installation(mode, state.offset)
        case ClockAdvanced(offset_seconds=seconds):
            return Installation(state.mode, timedelta(seconds=seconds))
        case CommandRefused() | ParkedDropped():
            return state
        case _:
            assert_never(happened)


def decide(wanted: Command, state: Installation) -> Sequence[Event]:
    """The rules of the installation."""
    match wanted:
        case StartInstallation(mode=mode):
            return _start(mode, state)
        case AdvanceClock(offset_seconds=seconds):
            return _advance(seconds, state)
        case RecordRefusal():
            return [_refused(wanted)]
        case DropParked(consumer=consumer, position=position, reason=reason):
            return [ParkedDropped(consumer=consumer, position=position, reason=reason)]
        case _:
            assert_never(wanted)


def _start(mode: str, state: Installation) -> Sequence[Event]:
    if state.mode and state.mode != mode:
        detail = f"This log was made in {state.mode} mode; the setting says {mode}."
        raise refusal("log_of_other_mode", detail, param="PBXIM_MODE")
    return [] if state.mode else [InstallationStarted(mode=mode)]


def _advance(seconds: float, state: Installation) -> Sequence[Event]:
    if state.mode == "live":
        raise refusal("route_unknown", "There is no test clock in live mode.")
    later = timedelta(seconds=seconds) > state.offset
    return [ClockAdvanced(offset_seconds=seconds)] if later else []


def _refused(r: RecordRefusal) -> CommandRefused:
    return CommandRefused(
        service=r.service, command=r.command, stream=r.stream, code=r.code, detail=r.detail
    )


def _key(wanted: Command) -> str:
    match wanted:
        case RecordRefusal(refused_id=refused_id):
            return f"refusal-{refused_id}"
        case DropParked(consumer=consumer, position=position):
            return f"parked-{consumer}-{position}"
        case _:
            return "installation"


PLATFORM = Aggregate(
    category="platform",
    commands=(StartInstallation, AdvanceClock, RecordRefusal, DropParked),
    initial=Installation(),
    key=_key,
    evolve=evolve,
    decide=decide,
)
