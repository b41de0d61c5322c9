"""What is older than what is kept goes by whole partitions, and the periods ahead are counted.

Revises 20261122_0530; written 2026-11-22 05:40 UTC.
"""

from alembic import op

from migrations.sql import run_script

revision = "20261122_0540"
down_revision = "20261122_0530"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward. We never go back in place: a mistake is mended by the next migration."""
    run_script(op, "20261122_0540_retention")


def downgrade() -> None:
    """Refused: restore a backup, or mend forward."""
    raise NotImplementedError
