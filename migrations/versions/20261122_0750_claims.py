"""Claims and numbering that begin where the live rows begin, past what is over.

Revises the certifications; written 2026-11-22 07:50 UTC.
"""

from alembic import op

from migrations.sql import run_script

revision = "20261122_0750"
down_revision = "20261122_0740"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward. We never go back in place: a mistake is mended by the next migration."""
    run_script(op, "20261122_0750_claims")


def downgrade() -> None:
    """Refused: restore a backup, or mend forward."""
    raise NotImplementedError
