"""The deliveries of one order key are in one total order, by sequence and position; what waits for nothing is freed.

Revises temporary last; written 2026-11-30 03:00 UTC.
"""

from alembic import op

from migrations.sql import run_script

revision = "20261130_0300"
down_revision = "20261130_0200"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward. We never go back in place: a mistake is mended by the next migration."""
    run_script(op, "20261130_0300_total_order")


def downgrade() -> None:
    """Refused: restore a backup, or mend forward."""
    raise NotImplementedError
