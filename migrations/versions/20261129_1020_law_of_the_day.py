"""Figures are reckoned by the law of the day that is kept as dated data.

Revises who recorded; written 2026-11-29 10:20 UTC.
"""

from alembic import op

from migrations.sql import run_script

revision = "20261129_1020"
down_revision = "20261129_1010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward. We never go back in place: a mistake is mended by the next migration."""
    run_script(op, "20261129_1020_law_of_the_day")


def downgrade() -> None:
    """Refused: restore a backup, or mend forward."""
    raise NotImplementedError
