"""The queue's functions find rows by their keys, whatever the statistics say.

Revises the partners; written 2026-11-29 06:40 UTC.
"""

from alembic import op

from migrations.sql import run_script

revision = "20261129_0640"
down_revision = "20261122_0760"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward. We never go back in place: a mistake is mended by the next migration."""
    run_script(op, "20261129_0640_rows_by_key")


def downgrade() -> None:
    """Refused: restore a backup, or mend forward."""
    raise NotImplementedError
