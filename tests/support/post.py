"""A carrier outside, as an effect calls it: it keeps a book, and may be made to fail."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import select

from shared.consumers.effects import (
    EFFECTS,
    Attempt,
    Effect,
    NotSentError,
    OutcomeUnknownError,
)
from shared.happened import Happened
from shared.spec import ServiceSpec
from tests.support.boxes import BoxFilled, BoxNoted, FillBox, NoteBox, box_service
from tests.support.worlds import World

table = EFFECTS.tables["effect"]


class Crash(BaseException):
    """The process dies here."""


class Post:
    """A carrier outside. It keeps a book of what it was sent, and may be made to fail."""

    def __init__(self) -> None:
        self.book: list[str] = []
        self.attempts: list[Attempt] = []
        self.troubles: list[Callable[..., None]] = []
        self.before: Callable[[str], None] = lambda _box_id: None

    def send(self, happened: Happened, attempt: Attempt) -> Sequence[Any]:
        """Sends, unless an earlier attempt did: what is in doubt is looked up first."""
        box_id = happened.message.box_id
        self.attempts.append(attempt)
        self.before(box_id)
        found = attempt.maybe_sent and attempt.provider_key in self.book
        if self.troubles:
            self.troubles.pop(0)(attempt.provider_key, found=found)
        if not found:
            self.book.append(attempt.provider_key)
        return [NoteBox(box_id=box_id, text=f"sent {attempt.provider_key}")]

    def unreachable(self, _key: str, **_: bool) -> None:
        """The connection was refused."""
        raise NotSentError("refused")

    def answer_lost(self, key: str, *, found: bool) -> None:
        """It was sent (or only looked up); the answer did not arrive."""
        self.book += [] if found else [key]
        raise OutcomeUnknownError("timed out")

    def request_lost(self, _key: str, **_: bool) -> None:
        """It was not sent, and nobody knows."""
        raise OutcomeUnknownError("timed out")

    def dies_before(self, _key: str, **_: bool) -> None:
        """Our process dies before the call."""
        raise Crash

    def dies_after(self, key: str, *, found: bool) -> None:
        """Our process dies when it was sent."""
        self.book += [] if found else [key]
        raise Crash

    def nonsense(self, _key: str, **_: bool) -> None:
        """A mistake of our program."""
        raise ZeroDivisionError


def service(post: Post) -> ServiceSpec:
    effect = Effect(
        name="send",
        provider="post",
        events=(BoxFilled,),
        key=lambda message: message.box_id,
        provider_key=lambda message: f"{message.box_id}/{message.amount}",
        call=post.send,
        unknown=lambda happened: [NoteBox(box_id=happened.message.box_id, text="unknown")],
        at_once=2,
    )
    return box_service(effects=lambda _runtime: (effect,))


def fill(world: World, *boxes: str, amount: int = 1) -> None:
    for box_id in boxes:
        world.execute(FillBox(box_id=box_id, amount=amount))


def take_in(world: World) -> None:
    while world.consumer("effects:boxes").step():
        pass


def rows(world: World) -> list[tuple[str, int, bool]]:
    query = select(table.c.provider_key, table.c.attempts, table.c.maybe_sent)
    with world.state.read() as connection:
        return [tuple(row) for row in connection.execute(query.order_by(table.c.position))]


def notes(world: World) -> list[str]:
    return [note.text for note in world.messages(BoxNoted)]
