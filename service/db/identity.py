"""The identity of a database, which distinguishes a restored backup from the database that was backed up."""

import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

SQLITE_IDENTITY = "sqlite"
BACKUP_PREFIX = "backup of "
# A restored dump creates the table anew, and thus with another number, or in another server.
TABLE_NUMBER = text("SELECT 'installations'::regclass::oid")
MAY_READ_SERVER = text("SELECT has_function_privilege('pg_control_system()', 'execute')")
SERVER_NUMBER = text("SELECT system_identifier FROM pg_control_system()")


def database_identity(session: Session) -> str:
    """Return what changes when a dump of PostgreSQL is restored; that of a file of SQLite is always the same."""
    if session.get_bind().dialect.name == "sqlite":
        return SQLITE_IDENTITY
    server = session.scalar(SERVER_NUMBER) if session.scalar(MAY_READ_SERVER) else ""
    return f"postgresql {server}/{session.scalar(TABLE_NUMBER)}"


def is_same_database(stored: str, current: str) -> bool:
    """Compare two identities; without the server if one was stored by a role that may not read it."""
    (server, _, table), (current_server, _, current_table) = stored.rpartition("/"), current.rpartition("/")
    blank = "postgresql "
    if blank in (server, current_server) and server.startswith(blank) and current_server.startswith(blank):
        return table == current_table
    return stored == current


def backup_identity(at: datetime.datetime) -> str:
    """Return the identity that a backup made at this instant has until its restore is confirmed."""
    return f"{BACKUP_PREFIX}{at:%Y-%m-%d %H:%M} UTC"
