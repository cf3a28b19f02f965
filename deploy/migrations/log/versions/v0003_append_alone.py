"""The application's role writes by the functions alone."""

from deploy.migrations.sql import no_way_back as downgrade
from deploy.migrations.sql import run_beside

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

__all__ = ["downgrade"]


def upgrade() -> None:
    """Has the functions run with their owner's rights, and takes the others away."""
    run_beside(__file__)
