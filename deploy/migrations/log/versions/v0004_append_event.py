"""The shortest way: one event."""

from deploy.migrations.sql import no_way_back as downgrade
from deploy.migrations.sql import run_beside

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

__all__ = ["downgrade"]


def upgrade() -> None:
    """Makes the function."""
    run_beside(__file__)
