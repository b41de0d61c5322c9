"""Targets about young people with a characteristic count those who have it.

Revises the safety lane that reaches all; written 2026-11-29 08:40 UTC.
"""

from alembic import op

from migrations.sql import run_script

revision = "20261129_0840"
down_revision = "20261129_0830"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward. We never go back in place: a mistake is mended by the next migration."""
    run_script(op, "20261129_0840_targets_of_some")


def downgrade() -> None:
    """Refused: restore a backup, or mend forward."""
    raise NotImplementedError
