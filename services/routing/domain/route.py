"""A route: where calls and texts of a tenure's number go, and its labels.

In this version a route has its channels and labels; destinations follow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import assert_never

from services.routing.messages import ChangeLabels, ConfigureRoute, LabelsChanged, RouteConfigured
from shared.aggregate import Aggregate
from shared.refusals import refusal

Command = ConfigureRoute | ChangeLabels
Event = RouteConfigured | LabelsChanged

MOST_LABELS = 20
LONGEST_LABEL = 40
MOST_CHANNELS = 100


@dataclass(frozen=True, slots=True)
class Route:
    """Whose number it is, what it can take, and how it is labelled. ``labelled_in`` is the version
    in which the labels changed last; it is what an edit names as the version it was made on."""

    account_id: str = ""
    number: str = ""
    max_channels: int = 0
    sms: bool = False
    labels: tuple[str, ...] = ()
    version: int = 0
    labelled_in: int = 0


def configure(command: ConfigureRoute, state: Route) -> Sequence[Event]:
    """Sets the number up, once, with 1 to 100 channels."""
    if state.version:
        return []
    if not 1 <= command.max_channels <= MOST_CHANNELS:
        detail = f"A number has 1 to {MOST_CHANNELS} channels."
        raise refusal("invalid_value", detail, param="max_channels")
    return [
        RouteConfigured(
            num_id=command.num_id,
            number=command.number,
            account_id=command.account_id,
            max_channels=command.max_channels,
            sms=command.sms,
        )
    ]


def change_labels(command: ChangeLabels, state: Route) -> Sequence[Event]:
    """Replaces the labels: kept as written, compared without case; of two that are the same the
    first stays (contract section 2).

    Raises ``number_unknown``, ``edited_meanwhile``, ``invalid_value``.
    """
    if not state.version or state.account_id != command.account_id:
        raise refusal("number_unknown")
    if command.if_version not in {None, state.labelled_in}:
        raise refusal("edited_meanwhile", param="labels")
    labels = _merged(command.labels)
    _check(labels)
    return [] if labels == state.labels else [_changed(command, labels, state)]


def _merged(labels: tuple[str, ...]) -> tuple[str, ...]:
    first: dict[str, str] = {}
    for label in labels:
        first.setdefault(label.casefold(), label)
    return tuple(first.values())


def _check(labels: tuple[str, ...]) -> None:
    if len(labels) > MOST_LABELS:
        raise refusal(
            "invalid_value", f"A number has at most {MOST_LABELS} labels.", param="labels"
        )
    for label in labels:
        if not label.strip() or len(label) > LONGEST_LABEL or not label.isprintable():
            detail = f"A label has 1 to {LONGEST_LABEL} characters that can be printed."
            raise refusal("invalid_value", detail, param="labels")


def _changed(command: ChangeLabels, labels: tuple[str, ...], state: Route) -> LabelsChanged:
    return LabelsChanged(
        num_id=command.num_id, number=state.number, account_id=state.account_id, labels=labels
    )


def decide(command: Command, state: Route) -> Sequence[Event]:
    """Which rule a command meets."""
    match command:
        case ConfigureRoute():
            return configure(command, state)
        case ChangeLabels():
            return change_labels(command, state)
        case _:
            assert_never(command)


def evolve(state: Route, event: Event) -> Route:
    """What happened to the route."""
    version = state.version + 1
    match event:
        case RouteConfigured():
            return _configured(event, version)
        case LabelsChanged():
            return replace(state, labels=event.labels, version=version, labelled_in=version)
        case _:
            assert_never(event)


def _configured(event: RouteConfigured, version: int) -> Route:
    return Route(
        account_id=event.account_id,
        number=event.number,
        max_channels=event.max_channels,
        sms=event.sms,
        version=version,
        labelled_in=version,
    )


AGGREGATE = Aggregate(
    category="route",
    commands=(ConfigureRoute, ChangeLabels),
    initial=Route(),
    key=lambda command: command.num_id,
    evolve=evolve,
    decide=decide,
    begins=(ConfigureRoute,),
)
