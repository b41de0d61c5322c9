"""A pupil may be named again in a booking, and employers who withdrew cover are found at once.

Revises rows by key; written 2026-11-29 08:00 UTC.
"""

from alembic import op

from migrations.sql import run_script

revision = "20261129_0800"
down_revision = "20261129_0640"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward. We never go back in place: a mistake is mended by the next migration."""
    run_script(op, "20261129_0800_named_again")


def downgrade() -> None:
    """Refused: restore a backup, or mend forward."""
    raise NotImplementedError
