"""SIGKILL for processes of the product: at every fail-point, and at any moment."""

from __future__ import annotations

import time

from shared import failpoints
from tests.faults.distributed.run import Run

_APPEND = ("append.before", "append.after")
_CALL = ("rpc.taken", "rpc.done", "rpc.answered", "rpc.acked")
_CHECKPOINT = ("checkpoint.before", "checkpoint.after")
# What each process passes when customers hold, buy and describe numbers.
POINTS: dict[str, tuple[str, ...]] = {
    "gateway": ("call.sent", "call.answered", "answer.before", "answer.after"),
    "inventory": (*_CALL, *_APPEND),
    "orders": (*_CALL, *_APPEND),
    "routing": _CALL,
    "billing": _CALL,
    "inventory-runner": (*_APPEND, *_CHECKPOINT),
    "orders-runner": (*_APPEND, *_CHECKPOINT),
    "billing-runner": (*_APPEND, *_CHECKPOINT, "effect.before", "effect.after"),
    "routing-runner": (*_APPEND, *_CHECKPOINT),
    "relay": ("relay.publishing", "relay.published", "relay.confirmed", "relay.moved"),
}
TOGETHER: dict[str, tuple[str, ...]] = {
    "gateway": POINTS["gateway"],
    "services": (*_CALL, *_APPEND),
    "runners": (*_APPEND, *_CHECKPOINT, "effect.before", "effect.after"),
    "relay": POINTS["relay"],
}
_REACH_SECONDS = 25.0
_ROUNDS = 3
_LONG_SECONDS = 420.0


def at_every_point(run: Run) -> None:
    """Every process dies at each of its fail-points, several at a time: one of each process in
    turn. The load goes on all the while."""
    points = TOGETHER if run.system.together else POINTS
    for turn in range(1 if run.short else _ROUNDS):
        left = {name: list(places) for name, places in points.items()}
        for places in left.values():
            run.chance.shuffle(places)
        while any(left.values()):
            chosen = [name for name, places in left.items() if places]
            run.chance.shuffle(chosen)
            for pair in _pairs(chosen):
                _die(run, {name: left[name].pop() for name in pair}, times=1 + turn)
    run.since = run.system.listening()


def die_at(run: Run, name: str, place: str, times: int = 1) -> None:
    """One process dies at one place; returns when it runs again."""
    _die(run, {name: place}, times=times)


def _pairs(names: list[str]) -> list[list[str]]:
    return [names[n : n + 3] for n in range(0, len(names), 3)]


def _die(run: Run, places: dict[str, str], times: int) -> None:
    before = {name: run.system.pid(name) for name in places}
    done = len(failpoints.carried_out(run.system.points))
    for name, place in places.items():
        failpoints.order(run.system.points, name, place, run.chance.randint(1, 3 * times))
        run.planned.append(f"{name} {place}")
    end = time.monotonic() + _REACH_SECONDS
    reached: list[tuple[str, str]] = []
    while len(reached) < len(places) and time.monotonic() < end:
        time.sleep(0.02)  # Processes of others: there is nothing but asking again.
        reached = failpoints.carried_out(run.system.points)[done:]
    for name in places:
        failpoints.withdraw(run.system.points, name)
    run.reached += [f"{name} {place}" for name, place in reached]
    run.kills += len(reached)
    for name, _ in reached:
        run.system.back(name, before[name])


def each_kind(run: Run) -> None:
    """Every process of the product, and the payment provider's, dies at a moment that nobody
    chose."""
    names = run.system.names
    run.chance.shuffle(names)
    for name in names:
        since = run.kill(name)
        run.useful(since)
        time.sleep(run.chance.random())  # Not always at the same moment of a purchase.
    slowest = sorted(zip(run.recovery, names, strict=True), reverse=True)[:3]
    run.notes.append("slowest: " + ", ".join(f"{name} {took:.1f} s" for took, name in slowest))


def long_run(run: Run) -> None:
    """A process dies every few seconds until as many commands are acknowledged as were aimed at, or
    the time is up that the scenarios behind this one need."""
    most = 20 if run.short else min(_LONG_SECONDS, max(20, run.spare))
    end = time.monotonic() + most
    while run.load.ledger.count < run.goal and time.monotonic() < end:
        time.sleep(run.chance.uniform(2, 6))
        run.kill(run.chance.choice(run.system.names))
    run.since = run.system.listening()


def all_at_once(run: Run) -> None:
    """All processes of the product die in the same moment."""
    for _ in range(1 if run.short else 3):
        before = {name: run.system.kill(name) for name in run.system.names}
        run.kills += len(before)
        for name, old in before.items():
            run.system.back(name, old)
        run.useful(run.system.listening())
