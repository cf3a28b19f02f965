"""The event log: events that nobody can change, and positions without gaps."""

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Makes the schema's tables, its functions and the application's role."""
    # The driver itself, because it takes many statements at once and leaves % and : alone.
    connection = op.get_bind().connection.driver_connection
    assert connection is not None  # nosec B101  # There is one while a migration runs.
    with connection.cursor() as cursor:
        cursor.execute(Path(__file__).with_suffix(".sql").read_text())


def downgrade() -> None:
    """There is no way back: events are for ever."""
    raise NotImplementedError
