"""The organisation that recorded a line of costs, and whose client made a change to a programme.

Revises targets of some; written 2026-11-29 10:10 UTC.
"""

from alembic import op

from migrations.sql import run_script

revision = "20261129_1010"
down_revision = "20261129_0840"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward. We never go back in place: a mistake is mended by the next migration."""
    run_script(op, "20261129_1010_who_recorded")


def downgrade() -> None:
    """Refused: restore a backup, or mend forward."""
    raise NotImplementedError
