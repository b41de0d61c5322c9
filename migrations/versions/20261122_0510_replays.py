"""Replays of a range as jobs: done in slices, each committed with its progress.

Revises 20261122_0500; written 2026-11-22 05:10 UTC.
"""

from alembic import op

from migrations.sql import run_script

revision = "20261122_0510"
down_revision = "20261122_0500"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward. We never go back in place: a mistake is mended by the next migration."""
    run_script(op, "20261122_0510_replays")


def downgrade() -> None:
    """Refused: restore a backup, or mend forward."""
    raise NotImplementedError
