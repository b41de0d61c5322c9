"""A cancelled slot says why and by whom; an employer has one booking by one reference.

Revises closures; written 2026-11-30 06:30 UTC.
"""

from alembic import op

from migrations.sql import run_script

revision = "20261130_0630"
down_revision = "20261130_0620"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward. We never go back in place: a mistake is mended by the next migration."""
    run_script(op, "20261130_0630_slot_cancellations")


def downgrade() -> None:
    """Refused: restore a backup, or mend forward."""
    raise NotImplementedError
