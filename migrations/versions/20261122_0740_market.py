"""What pupils are short of and what is open to them; employers; the variety each pupil has had.

Revises figures as known; written 2026-11-22 07:40 UTC.
"""

from alembic import op

from migrations.sql import run_script

revision = "20261122_0740"
down_revision = "20261122_0730"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward. We never go back in place: a mistake is mended by the next migration."""
    run_script(op, "20261122_0740_market")


def downgrade() -> None:
    """Refused: restore a backup, or mend forward."""
    raise NotImplementedError
