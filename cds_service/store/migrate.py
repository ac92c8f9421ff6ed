"""Migrates a database to the tables of this version.

Every process runs this at its start. A lock lets one migrate; the others wait and then find nothing to do.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from cds_service.errors import SettingsError

# Key of the advisory lock: any number that no other application uses in this database.
_LOCK = 5_272_701


def migrate(engine: Engine) -> None:
    """Brings the database up to date, in one transaction.

    Args:
        engine: without time limits; its transactions lock SQLite for writing at their start.
    Raises:
        SettingsError: a newer version of the service has changed the database.
    """
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    steps = ScriptDirectory.from_config(config)
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            # The lock is released when the transaction ends.
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        reached = _current_revision(connection)
        if reached == steps.get_current_head():
            return
        if reached is not None and reached not in {step.revision for step in steps.walk_revisions()}:
            raise SettingsError(
                f"CDS_DATABASE_URL: a newer version of this service has changed the tables (step {reached[:40]}), so"
                " this version might misread them. Start the newer version, or name another database."
            )
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _current_revision(connection: Connection) -> str | None:
    """The revision of the last migration; None for an empty database."""
    return MigrationContext.configure(connection).get_current_revision()
