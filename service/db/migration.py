"""Applies the migrations."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from alembic import command
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, delete, insert, text
from sqlalchemy.exc import DBAPIError, OperationalError

from service.db.models.schema_compatibility import SchemaCompatibility
from service.db.schema import (
    OWN_VERSION_TABLE,
    Schema,
    SchemaStatus,
    alembic_config,
    head_revisions,
    oldest_compatible_revision,
    read_schema,
)

# The number is arbitrary, but every release must use the same one.
MIGRATION_LOCK = 7_205_759_403_792
OTHER_MIGRATION_TIMEOUT_SECONDS = 30
LOCK_TIMEOUT_SECONDS = 10
GRANTED_OR_NOT = (psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction)
UNMIGRATABLE_STATUSES = (SchemaStatus.INCOMPATIBLE, SchemaStatus.DAMAGED)


class MigrationError(Exception):
    """The database was not migrated and has not changed; the message says in one sentence why and what to do."""


def migrate(engine: Engine, *, revision: str = "head", into_existing: bool = False) -> Schema:
    """Apply the pending migrations in one transaction; concurrent calls run one after the other.

    Returns the schema that was found. One of a newer release stays as it is. With `into_existing`,
    Mainstay's tables are added beside those of another application.

    Raises:
        MigrationError: the database is another application's or of an incompatible release, a lock was not
            released in time, or a migration failed.
        OperationalError: the database cannot be reached.
    """
    with engine.connect() as connection, _without_foreign_keys(connection):
        try:
            with explained_errors(), connection.begin():
                return _migrate(connection, revision, into_existing=into_existing)
        except CommandError as error:
            raise MigrationError(f"The migrations cannot be applied: {str(error).rstrip('.')}.") from error


@contextmanager
def explained_errors() -> Iterator[None]:
    """Raise `MigrationError` for the error of a statement; other errors of the database pass."""
    try:
        yield
    except DBAPIError as error:
        sentence = _explain(error)
        if sentence is None:
            raise
        raise MigrationError(sentence) from error


def _migrate(connection: Connection, revision: str, *, into_existing: bool) -> Schema:
    if connection.dialect.name == "postgresql":
        _set_lock_timeout(connection, OTHER_MIGRATION_TIMEOUT_SECONDS)
        try:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK})
        except OperationalError as error:
            if not isinstance(error.orig, psycopg.errors.LockNotAvailable):
                raise
            raise MigrationError(
                "Another mainstay migrate is running on this database; wait until it has finished, then run it "
                "again."
            ) from error
        _set_lock_timeout(connection, LOCK_TIMEOUT_SECONDS)
    schema = read_schema(connection)
    if schema.status in UNMIGRATABLE_STATUSES or (schema.status == SchemaStatus.FOREIGN and not into_existing):
        raise MigrationError(str(schema.problem))
    if schema.status == SchemaStatus.NEWER:
        return schema
    config = alembic_config()
    config.attributes["connection"] = connection
    config.attributes["version_table"] = (
        OWN_VERSION_TABLE if schema.status == SchemaStatus.FOREIGN and schema.revisions else schema.version_table
    )
    if revision == "base":
        command.downgrade(config, revision)
    else:
        command.upgrade(config, revision)
    if revision in ("head", *head_revisions()):
        connection.execute(delete(SchemaCompatibility))
        connection.execute(insert(SchemaCompatibility), {"id": 1, "oldest_revision": oldest_compatible_revision()})
    return schema


def _set_lock_timeout(connection: Connection, seconds: int) -> None:
    connection.execute(text(f"SET LOCAL lock_timeout = '{seconds}s'"))


def _explain(error: DBAPIError) -> str | None:
    """Return the sentence for a statement that failed; None for a fault that every command may meet."""
    cause: Any = error.orig
    if isinstance(cause, psycopg.errors.LockNotAvailable):
        return (
            "Another process holds a lock that the migration needs, and what was begun is undone: run mainstay "
            "migrate again once that transaction has ended, or stop the worker and exports meanwhile."
        )
    sqlite_code = getattr(cause, "sqlite_errorcode", None)
    is_of_statement = sqlite_code == sqlite3.SQLITE_ERROR or (
        getattr(cause, "sqlstate", None) is not None and not isinstance(error, OperationalError)
    )
    if not is_of_statement or isinstance(cause, GRANTED_OR_NOT):
        return None
    reason = str(cause).strip().partition("\n")[0].rstrip(".")
    return f"The migration failed, and what was begun is undone: {reason}."


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
