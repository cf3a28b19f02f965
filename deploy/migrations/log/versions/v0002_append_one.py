"""A shorter way for what most appends are: the events of one entry."""

from deploy.migrations.sql import run_beside

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Makes the function."""
    run_beside(__file__)


def downgrade() -> None:
    """There is no way back: events are for ever, and so are the ways to write them."""
    raise NotImplementedError
