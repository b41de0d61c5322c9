"""What a periodic task does with many rows can be done row by row; partitions that were detached are attached again.

Revises temporary last; written 2026-11-30 05:00 UTC.
"""

from alembic import op

from migrations.sql import run_script

revision = "20261130_0500"
down_revision = "20261130_0410"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward. We never go back in place: a mistake is mended by the next migration."""
    run_script(op, "20261130_0500_one_row_alone")


def downgrade() -> None:
    """Refused: restore a backup, or mend forward."""
    raise NotImplementedError
