"""Two functions as several changes want them: slots as searched, and partitions that are dropped.

Revises positions; written 2026-11-30 09:59 UTC.
"""

from alembic import op

from migrations.sql import run_script

revision = "20261130_0959"
down_revision = "20261130_0900"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward. We never go back in place: a mistake is mended by the next migration."""
    run_script(op, "20261130_0959_both_at_once")


def downgrade() -> None:
    """Refused: restore a backup, or mend forward."""
    raise NotImplementedError
