"""The day itself: alarms and closures by sitting, the school's deciding report, what settling a visit may touch.

Revises who agreed; written 2026-11-22 03:50 UTC.
"""

from alembic import op

from migrations.sql import run_script

revision = "20261122_0350"
down_revision = "20261122_0340"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward. We never go back in place: a mistake is mended by the next migration."""
    run_script(op, "20261122_0350_the_day")


def downgrade() -> None:
    """Refused: restore a backup, or mend forward."""
    raise NotImplementedError
