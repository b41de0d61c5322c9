"""Programmes are run: the history of every change, what ends without being lost, what owners may ask.

Revises the certifications; written 2026-11-22 07:00 UTC.
"""

from alembic import op

from migrations.sql import run_script

revision = "20261122_0700"
down_revision = "20261122_0640"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward. We never go back in place: a mistake is mended by the next migration."""
    run_script(op, "20261122_0700_programmes_run")


def downgrade() -> None:
    """Refused: restore a backup, or mend forward."""
    raise NotImplementedError
