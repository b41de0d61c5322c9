"""An agreed booking stands beside a proposal to move it, whose places are held.

Revises temporary last; written 2026-11-30 06:00 UTC.
"""

from alembic import op

from migrations.sql import run_script

revision = "20261130_0600"
down_revision = "20261130_0500"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward. We never go back in place: a mistake is mended by the next migration."""
    run_script(op, "20261130_0600_proposals")


def downgrade() -> None:
    """Refused: restore a backup, or mend forward."""
    raise NotImplementedError
