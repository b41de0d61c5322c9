"""The history of the database, and how to bring one up to date."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError

FILE_NAMES = "%%(year)d%%(month).2d%%(day).2d_%%(hour).2d%%(minute).2d_%%(slug)s"


def upgrade(owner_dsn: str, revision: str = "head") -> None:
    """Bring the database to `revision` as its owner, each migration whole or not at all. Has its own loop."""
    command.upgrade(configuration(owner_dsn), revision)


def head() -> str:
    """The revision that this code was written for."""
    return str(ScriptDirectory.from_config(configuration("")).get_current_head())


def knows(revision: str) -> bool:
    """Whether this code brings the revision: one that it does not know is of a newer release."""
    try:
        return ScriptDirectory.from_config(configuration("")).get_revision(revision) is not None
    except CommandError:
        return False


def configuration(owner_dsn: str) -> Config:
    """Alembic's configuration without a file; the address, with its password, is never written anywhere."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.set_main_option("timezone", "UTC")
    config.set_main_option("file_template", FILE_NAMES)
    config.attributes["owner_dsn"] = owner_dsn
    return config
