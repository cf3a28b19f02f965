"""A step of a migration whose statements stand in a file beside it."""

from __future__ import annotations

from pathlib import Path

from alembic import op


def run_beside(step: str) -> None:
    """Runs the file that is called as the step (its ``__file__``), with the ending ``.sql``."""
    # The driver itself, because it takes many statements at once and leaves % and : alone.
    connection = op.get_bind().connection.driver_connection
    assert connection is not None  # nosec B101  # There is one while a migration runs.
    with connection.cursor() as cursor:
        cursor.execute(Path(step).with_suffix(".sql").read_text())


def no_way_back() -> None:
    """The ``downgrade`` of every step of the log. Raises ``NotImplementedError``."""
    raise NotImplementedError(
        "The log is only migrated forwards: events are for ever, so are the ways to write them. "
        "An older release runs on a newer log."
    )
