"""Brings a database to the schema of this code, once, however many processes start at the same time.

Alembic is loaded when it is needed: most programs that open the door to the database never migrate.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from core.database.connection import Database
from core.errors import ConfigurationError

if TYPE_CHECKING:
    from alembic.config import Config

_MIGRATION_LOCK = 7_305_001
"""Advisory lock that all processes take before they look at the schema version."""

MIGRATIONS = Path(__file__).parent / "migrations"


def alembic_config(url: str) -> Config:
    """Alembic's configuration for the migrations of this package."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    return config


def migrate(database: Database) -> str:
    """Upgrade the schema to the newest version and return it; nothing is done when it is there already.

    Raises ConfigurationError when the database was written by newer code, which this code must not touch.
    """
    from alembic import command
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory
    from alembic.util.exc import CommandError

    config = alembic_config(database.url)
    scripts = ScriptDirectory.from_config(config)
    head = scripts.get_current_head() or ""
    with database.advisory_lock(_MIGRATION_LOCK, wait=True):
        with database.engine.connect() as connection:
            current = MigrationContext.configure(connection).get_current_revision()
        if current == head:
            return head
        if current is not None and current not in {script.revision for script in scripts.walk_revisions()}:
            raise ConfigurationError(
                f"the database has schema version {current}, which this pandascope does not know",
                field="database",
                remedy="it was written by a newer release: install that one, or use another data directory",
            )
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise ConfigurationError(
                str(error), field="database", remedy="restore the database or use a new one"
            ) from error
    return head
