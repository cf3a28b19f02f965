"""What routing is told and what it tells: where calls and texts of a number go, and its labels.

The stored form of the events is for ever (``tests/contract/golden/messages.json``).
"""

from __future__ import annotations

from shared.messages import command, event

SERVICE = "routing"


@event("RouteConfigured")
class RouteConfigured:
    """A number can take calls: as many at once as it has channels."""

    num_id: str
    number: str
    account_id: str
    max_channels: int
    sms: bool


@event("LabelsChanged")
class LabelsChanged:
    """The customer's labels of a number, all of them, as written."""

    num_id: str
    number: str
    account_id: str
    labels: tuple[str, ...]


@command
class ConfigureRoute:
    """Sets a new number up with its channels."""

    num_id: str
    number: str
    account_id: str
    max_channels: int
    sms: bool


@command
class ChangeLabels:
    """Replaces the labels. ``if_version``: refused as stale at any other version."""

    num_id: str
    account_id: str
    labels: tuple[str, ...]
    if_version: int | None = None
