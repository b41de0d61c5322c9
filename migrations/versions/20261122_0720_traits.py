"""Coverage by characteristic: what the gaps to peers are counted from.

Revises the kept cells; written 2026-11-22 07:20 UTC.
"""

from alembic import op

from migrations.sql import run_script

revision = "20261122_0720"
down_revision = "20261122_0711"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward. We never go back in place: a mistake is mended by the next migration."""
    run_script(op, "20261122_0720_traits")


def downgrade() -> None:
    """Refused: restore a backup, or mend forward."""
    raise NotImplementedError
