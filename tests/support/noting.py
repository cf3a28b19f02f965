"""A policy that may be made to fail; what is seen of its work are notes, and what is parked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shared.consumers import parking
from shared.happened import Happened
from tests.support.boxes import BoxNoted, FillBox, note_it
from tests.support.worlds import World

POLICY = "policy:boxes"


class Crash(BaseException):
    """The process dies here."""


def die_before_the_checkpoint(place: str) -> None:
    if place == "checkpoint.before":
        raise Crash


class Moody:
    """A reaction that fails for the boxes that are named, as long as they are."""

    def __init__(self) -> None:
        self.failing: set[str] = set()
        self.tries: list[str] = []

    def __call__(self, happened: Happened) -> Sequence[Any]:
        self.tries.append(happened.message.box_id)
        if happened.message.box_id in self.failing:
            raise ValueError(f"no to {happened.message.box_id}")
        return note_it(happened)


def fill(world: World, *boxes: str) -> list[int]:
    return [world.execute(FillBox(box_id=box_id, amount=1)).position for box_id in boxes]


def notes(world: World, box_id: str | None = None) -> list[str]:
    return [n.text for n in world.messages(BoxNoted) if box_id in {None, n.box_id}]


def seen(*positions: int) -> list[str]:
    return [f"seen {position}" for position in positions]


def parked(world: World) -> list[tuple[int, str, int]]:
    with world.state.read() as connection:
        return [(p["position"], p["status"], p["attempts"]) for p in parking.listed(connection)]
