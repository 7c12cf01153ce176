"""Bringing the database's schema up to date, and telling whether it is."""

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
# Any fixed number serves, as long as every release of this service uses the same one.
MIGRATION_LOCK = 7_205_759_403_792
LOCK_TIMEOUT = "10s"


def alembic_config() -> Config:
    """Return Alembic's configuration for the migrations that ship with this code."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


def migrate(engine: Engine, *, revision: str = "head") -> None:
    """Apply the migrations that are missing, in one transaction; a second process waits for the first."""
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
    """Keep SQLite from deleting what refers to a table that is built anew; between transactions only."""
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
    """Whether every migration of this release has been applied; those of a newer release may be there as well."""
    with engine.connect().execution_options(**{READ_ONLY_OPTION: True}) as connection:
        applied = set(MigrationContext.configure(connection).get_current_heads())
    return applied == head_revisions() or bool(applied - known_revisions())


@cache
def known_revisions() -> frozenset[str]:
    """Return every migration of this release; the next one's are applied while this one still serves."""
    script = ScriptDirectory.from_config(alembic_config())
    return frozenset(revision.revision for revision in script.walk_revisions())


@cache
def head_revisions() -> frozenset[str]:
    """Return the last migration of this release, which a health check asks for every few seconds."""
    return frozenset(ScriptDirectory.from_config(alembic_config()).get_heads())
