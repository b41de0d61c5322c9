"""Clients that sign may keep their keys at a URL of their own.

Revises both at once; written 2026-11-30 12:00 UTC.
"""

from alembic import op

from migrations.sql import run_script

revision = "20261130_1200"
down_revision = "20261130_0959"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward. We never go back in place: a mistake is mended by the next migration."""
    run_script(op, "20261130_1200_client_keys")


def downgrade() -> None:
    """Refused: restore a backup, or mend forward."""
    raise NotImplementedError
