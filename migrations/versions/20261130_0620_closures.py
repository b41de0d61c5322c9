"""The history of a booking says which occurrence was closed, and by whom.

Revises waiting order; written 2026-11-30 06:20 UTC.
"""

from alembic import op

from migrations.sql import run_script

revision = "20261130_0620"
down_revision = "20261130_0610"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward. We never go back in place: a mistake is mended by the next migration."""
    run_script(op, "20261130_0620_closures")


def downgrade() -> None:
    """Refused: restore a backup, or mend forward."""
    raise NotImplementedError
