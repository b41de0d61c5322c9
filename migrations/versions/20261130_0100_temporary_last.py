"""Functions look among temporary tables last.

Revises policies whole; written 2026-11-30 01:00 UTC.
"""

from alembic import op

from migrations.sql import run_script

revision = "20261130_0100"
down_revision = "20261129_1200"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward. We never go back in place: a mistake is mended by the next migration."""
    run_script(op, "20261130_0100_temporary_last")


def downgrade() -> None:
    """Refused: restore a backup, or mend forward."""
    raise NotImplementedError
