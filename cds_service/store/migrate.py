"""A database as it was found to one with the tables of this version.

Every process does this at its start. One at a time: the others wait for the lock and then find nothing left to do.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from cds_service.errors import SettingsError

# Any number will do, as long as nobody else locks by it in this database.
_LOCK = 5_272_701


def migrate(engine: Engine) -> None:
    """Brings the database up to date, in one transaction.

    Args:
        engine: one without time limits, whose transactions lock a SQLite database for writing from their beginning.
    Raises:
        SettingsError: a newer version of the service has changed the database.
    """
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    steps = ScriptDirectory.from_config(config)
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            # The lock goes with the transaction, however that ends.
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        reached = _reached(connection)
        if reached == steps.get_current_head():
            return
        if reached is not None and reached not in {step.revision for step in steps.walk_revisions()}:
            raise SettingsError(
                f"CDS_DATABASE_URL: a newer version of this service has changed the tables (step {reached[:40]}), so"
                " this version might misread them. Start the newer version, or name another database."
            )
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _reached(connection: Connection) -> str | None:
    """The last step that was made; None if none was."""
    return MigrationContext.configure(connection).get_current_revision()
