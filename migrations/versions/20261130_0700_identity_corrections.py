"""Who a pupil is can be put right, and it is written down who did.

Revises temporary last; written 2026-11-30 07:00 UTC.
"""

from alembic import op

from migrations.sql import run_script

revision = "20261130_0700"
down_revision = "20261130_0630"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward. We never go back in place: a mistake is mended by the next migration."""
    run_script(op, "20261130_0700_identity_corrections")


def downgrade() -> None:
    """Refused: restore a backup, or mend forward."""
    raise NotImplementedError
