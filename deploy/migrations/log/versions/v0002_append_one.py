"""A shorter way for what most appends are: the events of one entry."""

from deploy.migrations.sql import no_way_back as downgrade
from deploy.migrations.sql import run_beside

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

__all__ = ["downgrade"]


def upgrade() -> None:
    """Makes the function."""
    run_beside(__file__)
