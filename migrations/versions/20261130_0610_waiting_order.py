"""A newcomer never passes a waiting booking that fits into the free places.

Revises proposals; written 2026-11-30 06:10 UTC.
"""

from alembic import op

from migrations.sql import run_script

revision = "20261130_0610"
down_revision = "20261130_0600"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward. We never go back in place: a mistake is mended by the next migration."""
    run_script(op, "20261130_0610_waiting_order")


def downgrade() -> None:
    """Refused: restore a backup, or mend forward."""
    raise NotImplementedError
