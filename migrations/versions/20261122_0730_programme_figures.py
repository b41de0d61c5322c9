"""Figures of programmes: strands side by side, targets with a forecast, money.

Revises the running of programmes; written 2026-11-22 07:30 UTC.
"""

from alembic import op

from migrations.sql import run_script

revision = "20261122_0730"
down_revision = "20261122_0720"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward. We never go back in place: a mistake is mended by the next migration."""
    run_script(op, "20261122_0730_programme_figures")


def downgrade() -> None:
    """Refused: restore a backup, or mend forward."""
    raise NotImplementedError
