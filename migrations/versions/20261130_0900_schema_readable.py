"""Every process may read which revision the schema has.

Revises temporary last; written 2026-11-30 18:40 UTC.
"""

from alembic import op

from migrations.sql import run_script

revision = "20261130_0900"
down_revision = "20261130_0820"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward. We never go back in place: a mistake is mended by the next migration."""
    run_script(op, "20261130_0900_schema_readable")


def downgrade() -> None:
    """Refused: restore a backup, or mend forward."""
    raise NotImplementedError
