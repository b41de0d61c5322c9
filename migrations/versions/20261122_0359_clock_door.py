"""The door to the domain clock: a function that nobody may call until `tendays run` opens it in development.

Revises what schools search; written 2026-11-22 03:59 UTC.
"""

from alembic import op

from migrations.sql import run_script

revision = "20261122_0359"
down_revision = "20261122_0355"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward. We never go back in place: a mistake is mended by the next migration."""
    run_script(op, "20261122_0359_clock_door")


def downgrade() -> None:
    """Refused: restore a backup, or mend forward."""
    raise NotImplementedError
