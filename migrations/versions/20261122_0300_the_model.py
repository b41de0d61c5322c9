"""The model: tables of every room, the functions that are let past row security, and the policies.

The first; written 2026-11-22 03:00 UTC.
"""

from alembic import op

from migrations.sql import run_script

revision = "20261122_0300"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward. We never go back in place: a mistake is mended by the next migration."""
    run_script(op, "20261122_0300_the_model")


def downgrade() -> None:
    """Refused: restore a backup, or mend forward."""
    raise NotImplementedError
