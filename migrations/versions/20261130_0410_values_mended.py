"""Stored dates and moments outside of the bounds are mended.

Revises values in bounds; written 2026-11-30 19:00 UTC.
"""

from alembic import op

from migrations.sql import run_script

revision = "20261130_0410"
down_revision = "20261130_0400"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward. We never go back in place: a mistake is mended by the next migration."""
    run_script(op, "20261130_0410_values_mended")


def downgrade() -> None:
    """Refused: restore a backup, or mend forward."""
    raise NotImplementedError
