"""Many slots are changed at once: which are in use, and which schools are told.

Revises leavers; written 2026-11-30 07:20 UTC.
"""

from alembic import op

from migrations.sql import run_script

revision = "20261130_0720"
down_revision = "20261130_0710"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward. We never go back in place: a mistake is mended by the next migration."""
    run_script(op, "20261130_0720_slots_again")


def downgrade() -> None:
    """Refused: restore a backup, or mend forward."""
    raise NotImplementedError
