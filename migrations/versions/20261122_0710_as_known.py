"""Figures as at any day and as known at any moment.

Revises the certifications; written 2026-11-22 07:10 UTC.
"""

from alembic import op

from migrations.sql import run_script

revision = "20261122_0710"
down_revision = "20261122_0640"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward. We never go back in place: a mistake is mended by the next migration."""
    run_script(op, "20261122_0710_as_known")


def downgrade() -> None:
    """Refused: restore a backup, or mend forward."""
    raise NotImplementedError
