"""``pbxim projections rebuild``: read models anew from the log, beside a product that runs.

It only reads the log and writes views. Policies, effects and timers are no part of it: they have
places of their own, and nothing of what they did is done again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass

from deploy.ground import Ground, all_specs, make_folder
from deploy.single import make_lock
from shared.clock import MachineClock
from shared.config import Settings
from shared.consumers import checkpoints
from shared.consumers.feed import Feed
from shared.consumers.projections import Projection
from shared.consumers.rebuilding import Rebuilding
from shared.consumers.timers import timer_projection
from shared.errors import Unavailable
from shared.refusals import refusal
from shared.runtime import Progress
from shared.spec import ServiceSpec
from shared.stores import SqliteStore
from shared.stores.sqlite import draft_of

_SWAP_SECONDS = 60.0  # Of trying again, while others look at the old tables.
_PAUSE_SECONDS = 0.25

# Others append meanwhile. Each lap has only that to do which came during the one before.
_LAPS = 3

Told = Callable[[int, int], None]  # How far of how far: events, over all read models.


@dataclass(frozen=True)
class Built:
    """What became of one read model. ``swapped``: it is the one that is read now."""

    name: str
    position: int
    swapped: bool


def rebuild(
    settings: Settings, names: Sequence[str], told: Told, *, afresh: bool = False
) -> Iterator[Built]:
    """Builds the named read models anew, or all; each is answered when it is done. ``afresh``: what
    a run that was ended has left is thrown away.

    Raises ``rebuild_running``, ``rebuild_failed``, ``setting_invalid`` for a name that there is
    not, and ``Unavailable``. What was built until then is kept, and the next one goes on there.
    """
    chosen = _chosen(names)
    make_folder(settings)
    with _alone(settings), _on_ground(settings) as ground:
        feed = Feed(ground.log, ground.application.codec)
        with ExitStack() as at_last:
            rebuildings = [Rebuilding(p, feed, ground.runtime(s).views) for s, p in chosen]
            for one in rebuildings:
                at_last.callback(one.close)
                one.begin(afresh=afresh)
            _fill(rebuildings, ground.log.head, told)
            for one in rebuildings:
                yield _put_in_place(one)
        _tidy(settings)


def read_models(specs: Iterable[ServiceSpec]) -> Iterator[tuple[str, Projection]]:
    """Every read model with its service."""
    for spec in specs:
        for projection in spec.projections:
            yield spec.name, projection
        if spec.timers is not None:
            yield spec.name, timer_projection(spec.name, spec.timers)[0]


def _chosen(names: Sequence[str]) -> list[tuple[str, Projection]]:
    known = list(read_models(all_specs()))
    unknown = set(names) - {projection.name for _, projection in known}
    if unknown:
        there = ", ".join(sorted(projection.name for _, projection in known))
        detail = f"There is no read model {', '.join(sorted(unknown))}. There are: {there}."
        raise refusal("setting_invalid", detail, param="only")
    return [(service, one) for service, one in known if not names or one.name in names]


def _fill(rebuildings: Sequence[Rebuilding], head: Callable[[], int], told: Told) -> None:
    for _ in range(_LAPS):
        goal, moved = head(), True
        while moved:
            # In turn, so that the log is read once for all that are at the same place.
            moved = sum(one.step() for one in rebuildings if one.position < goal) > 0
            told(sum(one.position for one in rebuildings), goal * len(rebuildings))


def _put_in_place(one: Rebuilding) -> Built:
    end = time.monotonic() + _SWAP_SECONDS
    while True:
        one.step()  # What came while the others had their turn.
        try:
            swapped = one.swap()
        except Unavailable as error:
            if error.code != "busy" or time.monotonic() > end:
                raise
            time.sleep(_PAUSE_SECONDS)  # Whoever waited behind us has their turn.
        else:
            return Built(one.name, one.position, swapped)


def _tidy(settings: Settings) -> None:
    # A file keeps its size when its tables go. In PostgreSQL nothing of them is left.
    if settings.database is not None:
        return
    path = draft_of(settings.data / "views.db")
    with closing(SqliteStore(path, durable=False)) as draft, draft.read() as connection:
        if checkpoints.positions(connection):
            return
    for file in settings.data.glob(f"{path.name}*"):
        file.unlink()


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    lock = make_lock(settings, "rebuild")
    if not lock.acquire():
        raise refusal("rebuild_running", "Another rebuild is at work.")
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _on_ground(settings: Settings) -> Iterator[Ground]:
    ground = Ground(settings, all_specs(), MachineClock(), Progress())
    try:
        yield ground
    finally:
        ground.close()
