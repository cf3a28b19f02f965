"""A process that fills no read models knows from their checkpoints how far they are."""

from __future__ import annotations

from pathlib import Path

from deploy.stored_progress import StoredProgress
from tests.support.boxes import FillBox, box_service, projection
from tests.support.worlds import World


def test_progress_is_what_the_checkpoints_say(tmp_path: Path) -> None:
    world = World(tmp_path, [box_service(projections=(projection(),))])
    progress = StoredProgress(world.assembly.ground.store("views", "boxes"))
    before = progress.position(["boxes"])
    done = world.execute(FillBox(box_id="b", amount=1))
    too_early = progress.wait_for(["boxes"], done.position, seconds=0.05)

    world.settle()

    assert before == 0
    assert not too_early
    assert progress.wait_for(["boxes"], done.position, seconds=0.05)
    assert not progress.wait_for(["boxes", "none such"], done.position, seconds=0.05)
    assert progress.wait_for(["none such"], 0, seconds=0.05)
    assert progress.wait_on("box-b", lambda: True, seconds=0.05)
    world.close()
