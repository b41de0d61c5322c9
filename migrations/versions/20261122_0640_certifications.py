"""Certifications of receivers: a graded suite that was asked for, and what came of it.

Revises the retention; written 2026-11-22 06:40 UTC.
"""

from alembic import op

from migrations.sql import run_script

revision = "20261122_0640"
down_revision = "20261122_0540"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward. We never go back in place: a mistake is mended by the next migration."""
    run_script(op, "20261122_0640_certifications")


def downgrade() -> None:
    """Refused: restore a backup, or mend forward."""
    raise NotImplementedError
