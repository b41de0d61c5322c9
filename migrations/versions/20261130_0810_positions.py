"""The feed says which positions it holds, and its mark waits for every transaction of before.

Revises changes; written 2026-11-30 08:10 UTC.
"""

from alembic import op

from migrations.sql import run_script

revision = "20261130_0810"
down_revision = "20261130_0800"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward. We never go back in place: a mistake is mended by the next migration."""
    run_script(op, "20261130_0810_positions")


def downgrade() -> None:
    """Refused: restore a backup, or mend forward."""
    raise NotImplementedError
