"""The public keys of an endpoint, for anybody who verifies.

Revises 20261122_0510; written 2026-11-22 05:20 UTC.
"""

from alembic import op

from migrations.sql import run_script

revision = "20261122_0520"
down_revision = "20261122_0510"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward. We never go back in place: a mistake is mended by the next migration."""
    run_script(op, "20261122_0520_public_keys")


def downgrade() -> None:
    """Refused: restore a backup, or mend forward."""
    raise NotImplementedError
