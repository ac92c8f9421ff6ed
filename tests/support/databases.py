"""SQLite databases with all tables: copies of one that was migrated once, for a migration outlasts most tests."""

from __future__ import annotations

import shutil
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

from cds_service.store.database import Database


def sqlite_url(folder: Path) -> str:
    """URL of the database in this folder; made if it is not there."""
    path = folder / "cds.db"
    if not path.exists():
        shutil.copyfile(Path(_template().name) / "cds.db", path)
    return f"sqlite:///{path}"


@lru_cache(maxsize=1)
def _template() -> TemporaryDirectory[str]:
    """A folder with a migrated database; removed when the process ends."""
    folder = TemporaryDirectory(prefix="cds-database-")
    Database(f"sqlite:///{folder.name}/cds.db").close()
    return folder
