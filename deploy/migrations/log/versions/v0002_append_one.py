"""A shorter way for what most appends are: the events of one entry."""

from pathlib import Path

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Makes the function."""
    # The driver itself, because it takes many statements at once and leaves % and : alone.
    connection = op.get_bind().connection.driver_connection
    assert connection is not None  # nosec B101  # There is one while a migration runs.
    with connection.cursor() as cursor:
        cursor.execute(Path(__file__).with_suffix(".sql").read_text())


def downgrade() -> None:
    """There is no way back: events are for ever, and so are the ways to write them."""
    raise NotImplementedError
