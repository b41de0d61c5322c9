"""What ends with an offer or a site; who is named in an offer; sectors as dated data.

Revises slots again; written 2026-11-30 07:30 UTC.
"""

from alembic import op

from migrations.sql import run_script

revision = "20261130_0730"
down_revision = "20261130_0720"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward. We never go back in place: a mistake is mended by the next migration."""
    run_script(op, "20261130_0730_offers_end")


def downgrade() -> None:
    """Refused: restore a backup, or mend forward."""
    raise NotImplementedError
