"""Rows carry the number of their last change, and a mark says up to which number every change has been committed.

Revises temporary last; written 2026-11-30 08:00 UTC.
"""

from alembic import op

from migrations.sql import run_script

revision = "20261130_0800"
down_revision = "20261130_0740"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward. We never go back in place: a mistake is mended by the next migration."""
    run_script(op, "20261130_0800_changes")


def downgrade() -> None:
    """Refused: restore a backup, or mend forward."""
    raise NotImplementedError
