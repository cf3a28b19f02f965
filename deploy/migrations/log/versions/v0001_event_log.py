"""The event log: events that nobody can change, and positions without gaps."""

from deploy.migrations.sql import no_way_back as downgrade
from deploy.migrations.sql import run_beside

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

__all__ = ["downgrade"]


def upgrade() -> None:
    """Makes the schema's tables, its functions and the application's role."""
    run_beside(__file__)
