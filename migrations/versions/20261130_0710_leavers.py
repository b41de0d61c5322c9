"""Pupils who leave are noted, so that the worker withdraws them from what comes after.

Revises identity corrections; written 2026-11-30 07:10 UTC.
"""

from alembic import op

from migrations.sql import run_script

revision = "20261130_0710"
down_revision = "20261130_0700"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward. We never go back in place: a mistake is mended by the next migration."""
    run_script(op, "20261130_0710_leavers")


def downgrade() -> None:
    """Refused: restore a backup, or mend forward."""
    raise NotImplementedError
