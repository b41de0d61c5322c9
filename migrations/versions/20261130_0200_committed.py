"""What is committed counts whatever its day, and so far beside it.

Revises temporary last; written 2026-11-30 02:00 UTC.
"""

from alembic import op

from migrations.sql import run_script

revision = "20261130_0200"
down_revision = "20261130_0100"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward. We never go back in place: a mistake is mended by the next migration."""
    run_script(op, "20261130_0200_committed")


def downgrade() -> None:
    """Refused: restore a backup, or mend forward."""
    raise NotImplementedError
