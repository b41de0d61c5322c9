"""What the safety lane could not deliver is found by an index of its own.

Revises 20261122_0410; written 2026-11-22 05:00 UTC.
"""

from alembic import op

from migrations.sql import run_script

revision = "20261122_0500"
down_revision = "20261122_0410"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward. We never go back in place: a mistake is mended by the next migration."""
    run_script(op, "20261122_0500_undelivered")


def downgrade() -> None:
    """Refused: restore a backup, or mend forward."""
    raise NotImplementedError
