"""Coverage: the functions that count for dashboards, and the index they need.

Revises the voice; written 2026-11-22 03:35 UTC.
"""

from alembic import op

from migrations.sql import run_script

revision = "20261122_0335"
down_revision = "20261122_0330"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward. We never go back in place: a mistake is mended by the next migration."""
    run_script(op, "20261122_0335_coverage")


def downgrade() -> None:
    """Refused: restore a backup, or mend forward."""
    raise NotImplementedError
