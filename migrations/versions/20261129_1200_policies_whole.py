"""Rows of dated data are whole, or refused where they are written.

Revises references taken; written 2026-11-29 12:00 UTC.
"""

from alembic import op

from migrations.sql import run_script

revision = "20261129_1200"
down_revision = "20261129_1150"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward. We never go back in place: a mistake is mended by the next migration."""
    run_script(op, "20261129_1200_policies_whole")


def downgrade() -> None:
    """Refused: restore a backup, or mend forward."""
    raise NotImplementedError
