"""What becomes true by the date alone is written down and told when it does.

Revises positions; written 2026-11-30 08:20 UTC.
"""

from alembic import op

from migrations.sql import run_script

revision = "20261130_0820"
down_revision = "20261130_0810"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward. We never go back in place: a mistake is mended by the next migration."""
    run_script(op, "20261130_0820_by_date")


def downgrade() -> None:
    """Refused: restore a backup, or mend forward."""
    raise NotImplementedError
