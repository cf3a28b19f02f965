"""The shortest way: one event."""

from deploy.migrations.sql import run_beside

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Makes the function."""
    run_beside(__file__)


def downgrade() -> None:
    """There is no way back: events are for ever, and so are the ways to write them."""
    raise NotImplementedError
