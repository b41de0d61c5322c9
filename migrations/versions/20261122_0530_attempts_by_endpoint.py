"""Attempts are found by their endpoint: nothing ever asked for them by organisation.

Revises 20261122_0520; written 2026-11-22 05:30 UTC.
"""

from alembic import op

from migrations.sql import run_script

revision = "20261122_0530"
down_revision = "20261122_0520"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward. We never go back in place: a mistake is mended by the next migration."""
    run_script(op, "20261122_0530_attempts_by_endpoint")


def downgrade() -> None:
    """Refused: restore a backup, or mend forward."""
    raise NotImplementedError
