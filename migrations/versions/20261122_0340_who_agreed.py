"""Who agreed: parties before they are related, controllers' agreements and grants, persons whose number changes.

Revises coverage; written 2026-11-22 03:40 UTC.
"""

from alembic import op

from migrations.sql import run_script

revision = "20261122_0340"
down_revision = "20261122_0335"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward. We never go back in place: a mistake is mended by the next migration."""
    run_script(op, "20261122_0340_who_agreed")


def downgrade() -> None:
    """Refused: restore a backup, or mend forward."""
    raise NotImplementedError
