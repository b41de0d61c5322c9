"""Events for a vendor itself are told to the side `vendor`.

Revises total order; written 2026-11-30 03:10 UTC.
"""

from alembic import op

from migrations.sql import run_script

revision = "20261130_0310"
down_revision = "20261130_0300"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward. We never go back in place: a mistake is mended by the next migration."""
    run_script(op, "20261130_0310_vendor_side")


def downgrade() -> None:
    """Refused: restore a backup, or mend forward."""
    raise NotImplementedError
