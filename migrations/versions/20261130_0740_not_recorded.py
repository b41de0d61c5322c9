"""What is not recorded of an offer or an employer is null; an empty list says that there is none.

Revises offers end; written 2026-11-30 07:40 UTC.
"""

from alembic import op

from migrations.sql import run_script

revision = "20261130_0740"
down_revision = "20261130_0730"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward. We never go back in place: a mistake is mended by the next migration."""
    run_script(op, "20261130_0740_not_recorded")


def downgrade() -> None:
    """Refused: restore a backup, or mend forward."""
    raise NotImplementedError
