"""Filling a hold: find candidates, write down which, hold them, replace those that are gone.

One piece of work for the RPC and for the policy. It may be cut off and repeated at any point, and
by two at once: the numbers it goes for are in the hold's stream before the first one is touched,
every command has an id that derives from the first one's, and what turns out not to be the hold's
own goes back by policy (``ReleaseStrays``, ``ConfirmHeld``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice

from services.inventory import wishes
from services.inventory.candidates import Candidate, candidates
from services.inventory.domain import hold as domain
from services.inventory.domain.hold_state import ASKED, NEW, WAITING, Hold
from services.inventory.messages import (
    AskHold,
    AwaitStock,
    HeldLine,
    HoldNumber,
    Item,
    Missing,
    RecordHeld,
    TryMore,
)
from shared.application import Done, Order
from shared.errors import PbxError, Refusal
from shared.runtime import Runtime


def fill(runtime: Runtime, order: Order, gone: set[str] | None = None) -> Done:
    """Runs an ``AskHold`` to its end; the answer is the hold after it.

    ``gone`` are numbers not to try; those that were tried are added. Raises the refusals of
    ``wishes.check`` and ``wishes.check_held`` for wishes that cannot be.
    """
    ask: AskHold = order.command
    state = runtime.application.load(domain.AGGREGATE, ask.hold_id)
    if state.status not in {NEW, WAITING, ASKED}:
        return runtime.application.execute(order)  # Nothing to do: it answers with what there is.
    with runtime.views.read() as connection:
        wishes.check(connection, runtime.settings, ask.items)
        if state.status == NEW and ask.order_id is None:
            wishes.check_held(connection, runtime.settings, ask)
        # A repeated try goes first for what the first one went for, and so finds its own numbers.
        wants = [_Want(i, candidates(connection, i, ask.hold_id, state.tried)) for i in ask.items]
        filling = _Filling(runtime, order, wants, gone if gone is not None else set())
        try:
            return filling.run(state)
        except _SettledMeanwhileError:  # By another try at the same hold, or it has ended.
            return runtime.application.execute(order)


class _SettledMeanwhileError(Exception):
    """The hold is not being filled any more."""


@dataclass
class _Want:
    """One item of the hold: where its numbers come from and what it has got."""

    item: Item
    source: Iterator[Candidate]
    trying: list[Candidate] = field(default_factory=list)
    got: list[Candidate] = field(default_factory=list)

    def draw(self, seen: set[str]) -> list[Candidate]:
        """The next candidates for what is still missing."""
        fresh = (c for c in self.source if c.number not in seen)
        self.trying = list(islice(fresh, self.item.quantity - len(self.got)))
        seen.update(c.number for c in self.trying)
        return self.trying

    def line(self) -> HeldLine:
        """What it has got."""
        first = self.got[0]
        numbers = tuple(c.number for c in self.got)
        return HeldLine(
            offer_id=first.offer_id, place=first.place, terms=first.terms, numbers=numbers
        )


@dataclass
class _Filling:
    """One try to fill a hold. ``seen`` are the numbers it has drawn, or was told not to."""

    runtime: Runtime
    order: Order
    wants: list[_Want]
    seen: set[str]
    tried: set[str] = field(default_factory=set)  # What is written down in the hold's stream.

    def run(self, state: Hold) -> Done:
        drawn = self._draw()
        if state.status == WAITING and not drawn:
            return Done(0, (), state)  # It waits on, and that is nothing new.
        self.tried.update(state.tried)
        if state.status != ASKED:
            self._begin(drawn)
        while drawn:
            self._announce(drawn)
            self._hold()
            drawn = self._draw()
        return self._finish()

    def _draw(self) -> list[Candidate]:
        # Particular numbers first: else an offer's row might take the very one that is named.
        named_first = sorted(self.wants, key=lambda want: want.item.number is None)
        return [c for want in named_first for c in want.draw(self.seen)]

    def _begin(self, drawn: list[Candidate]) -> None:
        command = replace(self.order.command, tried=tuple(c.number for c in drawn))
        done = self._execute(command, "ask", *command.tried)
        self.tried.update(done.state.tried)

    def _announce(self, drawn: list[Candidate]) -> None:
        numbers = tuple(c.number for c in drawn if c.number not in self.tried)
        if numbers:
            command = TryMore(hold_id=self._ask.hold_id, numbers=numbers)
            try:
                self._execute(command, "more", *numbers)
            except Refusal as error:
                raise _SettledMeanwhileError from error
            self.tried.update(numbers)

    def _hold(self) -> None:
        trying = [(want, candidate) for want in self.wants for candidate in want.trying]
        orders = [self.order.sibling(self._hold_number(c), "hold", c.number) for _, c in trying]
        outcomes = self.runtime.application.execute_many(orders)
        for (want, candidate), outcome in zip(trying, outcomes, strict=True):
            if self._is_mine(outcome):
                want.got.append(candidate)

    def _is_mine(self, outcome: Done | PbxError) -> bool:
        if not isinstance(outcome, PbxError):
            # An answer from an earlier try may be older than the number's release.
            return bool(outcome.state.hold_id == self._ask.hold_id)
        if outcome.code != "number_gone":
            raise outcome
        return False

    def _hold_number(self, candidate: Candidate) -> HoldNumber:
        return HoldNumber(
            number=candidate.number,
            block_id=candidate.block_id,
            offer_id=candidate.offer_id,
            terms=candidate.terms,
            hold_id=self._ask.hold_id,
            account_id=self._ask.account_id,
        )

    def _finish(self) -> Done:
        hold_id, free_in = self._ask.hold_id, self._ask.items[0].free_in
        lines = tuple(want.line() for want in self.wants if want.got)
        if not lines and free_in is not None:
            return self._execute(AwaitStock(hold_id=hold_id, country=free_in), "wait")
        missing = tuple(_missing(w) for w in self.wants if len(w.got) < w.item.quantity)
        return self._execute(RecordHeld(hold_id=hold_id, lines=lines, missing=missing), "record")

    def _execute(self, command: object, *parts: str) -> Done:
        return self.runtime.application.execute(self.order.sibling(command, *parts))

    @property
    def _ask(self) -> AskHold:
        ask: AskHold = self.order.command
        return ask


def _missing(want: _Want) -> Missing:
    left = want.item.quantity - len(want.got)
    return Missing(item=want.item, quantity=left, code="number_gone")
