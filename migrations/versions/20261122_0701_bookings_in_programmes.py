"""Bookings in programmes: which they are part of, and a school that leaves.

Revises the tables of running a programme; written 2026-11-22 07:01 UTC.
"""

from alembic import op

from migrations.sql import run_script

revision = "20261122_0701"
down_revision = "20261122_0700"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward. We never go back in place: a mistake is mended by the next migration."""
    run_script(op, "20261122_0701_bookings_in_programmes")


def downgrade() -> None:
    """Refused: restore a backup, or mend forward."""
    raise NotImplementedError
