"""Migrations that are plain SQL: a whole script, with $$ bodies and as many statements as it likes."""

from pathlib import Path
from types import ModuleType

from sqlalchemy import text

VERSIONS = Path(__file__).parent / "versions"


def run_script(op: ModuleType, name: str) -> None:
    """Run `versions/<name>.sql` inside the migration's transaction, in one message of the simple protocol.

    asyncpg prepares what SQLAlchemy sends, and a prepared statement is a single one; its own `execute`
    without arguments is not prepared.
    """
    script = (VERSIONS / f"{name.removesuffix('.sql')}.sql").read_text(encoding="utf-8")
    connection = op.get_bind()
    connection.execute(text("SELECT 1"))  # the driver begins the transaction with the first statement
    adapted = connection.connection.dbapi_connection
    if adapted is None:
        raise RuntimeError("the connection is closed")
    adapted.run_async(lambda driver: driver.execute(script))
