"""Coverage of today, kept per school and marked when it has moved.

Revises what was known; written 2026-11-22 07:11 UTC.
"""

from alembic import op

from migrations.sql import run_script

revision = "20261122_0711"
down_revision = "20261122_0710"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward. We never go back in place: a mistake is mended by the next migration."""
    run_script(op, "20261122_0711_kept_cells")


def downgrade() -> None:
    """Refused: restore a backup, or mend forward."""
    raise NotImplementedError
