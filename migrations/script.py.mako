"""${message}.

Revises ${down_revision | comma,n}; written ${create_date}.
"""

from alembic import op
% if imports:
${imports}
% endif

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade() -> None:
    """Go forward. We never go back in place: a mistake is mended by the next migration."""
    ${upgrades if upgrades else "raise NotImplementedError"}


def downgrade() -> None:
    """Refused: restore a backup, or mend forward."""
    raise NotImplementedError
