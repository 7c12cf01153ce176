"""Applies the migrations, and reports whether the schema is up to date."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from service.db.session import READ_ONLY_OPTION

MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"
# The number is arbitrary, but every release must use the same one.
MIGRATION_LOCK = 7_205_759_403_792
LOCK_TIMEOUT = "10s"


def alembic_config() -> Config:
    """Return Alembic's configuration for the migrations of this release."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


def migrate(engine: Engine, *, revision: str = "head") -> None:
    """Apply the pending migrations in one transaction; concurrent calls run one after the other."""
    with engine.connect() as connection, _without_foreign_keys(connection), connection.begin():
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK})
            connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
        config = alembic_config()
        config.attributes["connection"] = connection
        if revision == "base":
            command.downgrade(config, revision)
        else:
            command.upgrade(config, revision)


@contextmanager
def _without_foreign_keys(connection: Connection) -> Iterator[None]:
    """Turn foreign keys off on SQLite, so that rebuilding a table does not delete the rows that refer to it.

    The pragma has no effect inside a transaction.
    """
    if connection.dialect.name != "sqlite":
        yield
        return
    driver: Any = connection.connection.driver_connection
    driver.execute("PRAGMA foreign_keys = OFF")
    try:
        yield
    finally:
        driver.execute("PRAGMA foreign_keys = ON")


def is_up_to_date(engine: Engine) -> bool:
    """Return whether every migration of this release is applied; a newer release may have added its own."""
    with engine.connect().execution_options(**{READ_ONLY_OPTION: True}) as connection:
        applied = set(MigrationContext.configure(connection).get_current_heads())
    return applied == head_revisions() or bool(applied - known_revisions())


@cache
def known_revisions() -> frozenset[str]:
    """Return every migration of this release.

    The next release migrates the database while this one still serves.
    """
    script = ScriptDirectory.from_config(alembic_config())
    return frozenset(revision.revision for revision in script.walk_revisions())


@cache
def head_revisions() -> frozenset[str]:
    """Return the last migration of this release; cached because health checks ask every few seconds."""
    return frozenset(ScriptDirectory.from_config(alembic_config()).get_heads())
