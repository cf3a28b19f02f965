"""Given these events, when this command, then those events (or that refusal).

``given(AGGREGATE, *events).when(command).then(*events)`` or ``.refused("code")``. ``.then()``
without events says: it is already so, nothing is recorded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from shared.aggregate import Aggregate
from shared.errors import PbxError
from shared.refusals import CODES


@dataclass(frozen=True)
class When:
    """A command that is about to meet a state."""

    aggregate: Aggregate
    state: Any
    command: Any

    def decided(self) -> Sequence[Any]:
        """What ``decide`` answers."""
        assert type(self.command) in self.aggregate.commands, "the aggregate does not list it"
        return list(self.aggregate.decide(self.command, self.state))

    def then(self, *expected: Any) -> None:
        """Exactly these events are recorded, and the state can be folded on with them."""
        events = self.decided()

        assert events == list(expected)
        self.aggregate.fold(self.state, events)

    def refused(self, code: str, *, param: str | None = None) -> PbxError:
        """The command is refused with this code of the catalogue (and names this field)."""
        with pytest.raises(PbxError) as caught:
            self.decided()

        assert caught.value.code == code
        assert isinstance(caught.value, CODES[code].kind)
        assert param in {None, caught.value.param}
        return caught.value


@dataclass(frozen=True)
class Given:
    """A state that came of events."""

    aggregate: Aggregate
    state: Any

    def when(self, command: Any) -> When:
        """The command to try on it."""
        return When(self.aggregate, self.state, command)


def given(aggregate: Aggregate, *events: Any) -> Given:
    """The state of an aggregate after these events."""
    return Given(aggregate, aggregate.fold(aggregate.initial, events))
