"""What schools search: kept fresh when an employer changes, and cheap however much there is.

Revises the day; written 2026-11-22 03:55 UTC.
"""

from alembic import op

from migrations.sql import run_script

revision = "20261122_0355"
down_revision = "20261122_0350"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward. We never go back in place: a mistake is mended by the next migration."""
    run_script(op, "20261122_0355_what_schools_search")


def downgrade() -> None:
    """Refused: restore a backup, or mend forward."""
    raise NotImplementedError
