"""The voice: numbering, fan-out, claims and records in one round trip each, and the indexes they need.

Revises the model; written 2026-11-22 03:30 UTC.
"""

from alembic import op

from migrations.sql import run_script

revision = "20261122_0330"
down_revision = "20261122_0300"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward. We never go back in place: a mistake is mended by the next migration."""
    run_script(op, "20261122_0330_the_voice")


def downgrade() -> None:
    """Refused: restore a backup, or mend forward."""
    raise NotImplementedError
