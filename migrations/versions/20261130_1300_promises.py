"""What a booking will be judged by, asked beforehand: whom an offer is shown to, whom a school relies on, who is suspended.

Revises both at once; written 2026-11-30 20:05 UTC.
"""

from alembic import op

from migrations.sql import run_script

revision = "20261130_1300"
down_revision = "20261130_1200"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward. We never go back in place: a mistake is mended by the next migration."""
    run_script(op, "20261130_1300_promises")


def downgrade() -> None:
    """Refused: restore a backup, or mend forward."""
    raise NotImplementedError
