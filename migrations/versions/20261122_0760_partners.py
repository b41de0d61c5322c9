"""Who runs a programme and who takes part in it know of each other as organisations.

Revises the market; written 2026-11-22 07:36 UTC.
"""

from alembic import op

from migrations.sql import run_script

revision = "20261122_0760"
down_revision = "20261122_0750"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward. We never go back in place: a mistake is mended by the next migration."""
    run_script(op, "20261122_0760_partners")


def downgrade() -> None:
    """Refused: restore a backup, or mend forward."""
    raise NotImplementedError
