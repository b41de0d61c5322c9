"""Which references of costs are taken by lines that the caller does not see.

Revises the law of the day; written 2026-11-29 11:50 UTC.
"""

from alembic import op

from migrations.sql import run_script

revision = "20261129_1150"
down_revision = "20261129_1020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward. We never go back in place: a mistake is mended by the next migration."""
    run_script(op, "20261129_1150_references_taken")


def downgrade() -> None:
    """Refused: restore a backup, or mend forward."""
    raise NotImplementedError
