"""Safety events are queued for endpoints that are off or behind, too; endpoints left behind hold up no retention.

Revises named again; written 2026-11-29 08:30 UTC.
"""

from alembic import op

from migrations.sql import run_script

revision = "20261129_0830"
down_revision = "20261129_0800"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward. We never go back in place: a mistake is mended by the next migration."""
    run_script(op, "20261129_0830_safety_reaches_all")


def downgrade() -> None:
    """Refused: restore a backup, or mend forward."""
    raise NotImplementedError
