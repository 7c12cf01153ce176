"""Database faults, each explained to the operator in one sentence that says what it is and what to do."""

import re
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import psycopg
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from service.settings import sqlite_path

NOT_MIGRATED: Final = "The database does not have the tables of this release; run mainstay migrate."
BUSY: Final = (
    "Another process holds a lock on what this command needs; wait until it is done, then run the command again."
)
NOT_LET_IN: Final = (
    "{where} does not let {user} in from this machine; allow it in pg_hba.conf, or correct DATABASE_URL."
)
WRONG_PASSWORD: Final = (
    "{where} refuses the password of {user}, or knows no such user; correct DATABASE_URL, in which special "  # noqa: S105
    "characters are percent-encoded (@ is %40)."
)
NO_DATABASE: Final = "There is no database {name} at {where}; run createdb {name}, or correct DATABASE_URL."
STARTING: Final = "PostgreSQL is starting up or shutting down; run the command again in a moment."
SILENT: Final = "{where} does not answer; check DATABASE_URL, and whether a firewall is in between."
LOST: Final = "The connection to PostgreSQL was lost; check that it runs, and run the command again."
TOO_MANY: Final = "PostgreSQL has no connections left; stop what holds them, or raise max_connections."

# PostgreSQL's error codes (its manual, appendix A). An error during the login has none, only a message.
SENTENCES_BY_STATE: Final[Mapping[str, str]] = {
    "28P01": WRONG_PASSWORD,
    "28000": NOT_LET_IN,
    "3D000": NO_DATABASE,
    "3F000": NOT_MIGRATED,
    "42P01": NOT_MIGRATED,
    "42703": NOT_MIGRATED,
    "42501": "The user {user} may not do this in the database; grant it, or name the database's owner in "
    "DATABASE_URL.",
    "25006": "This database is read-only, as a replica is; name the primary server in DATABASE_URL.",
    "53100": "The database server's disk is full; make room there, and run the command again.",
    "53200": "The database server is out of memory; run the command again when it has some.",
    "53300": TOO_MANY,
    "55P03": BUSY,
    "40P01": BUSY,
    "57014": "The database stopped this because it took too long (statement_timeout); run the command again when "
    "the database is less busy.",
    "57P01": STARTING,
    "57P02": STARTING,
    "57P03": STARTING,
}
SENTENCES_BY_MESSAGE: Final[Mapping[str, str]] = {
    r"Connection refused": "Nothing accepts connections at {where}; start PostgreSQL there, or correct "
    "DATABASE_URL.",
    r"failed to resolve host|could not translate host name": "The host {host} of DATABASE_URL is not known; "
    "correct it, or check this machine's name server.",
    r"on socket .*: No such file or directory": "There is no PostgreSQL socket {where}; start PostgreSQL, or name "
    "its host in DATABASE_URL, as in postgresql://user:password@host/name.",
    r"timeout expired|timed out|No route to host|Network is unreachable": SILENT,
    r"no password supplied": "{where} asks for a password, and DATABASE_URL has none; write it as "
    "postgresql://user:password@host/name.",
    r"authentication failed|no such user": WRONG_PASSWORD,
    r"role \".*\" does not exist": "There is no database user {user} at {where}; create it, or correct "
    "DATABASE_URL.",
    r"database \".*\" does not exist|no such database": NO_DATABASE,
    r"pg_hba\.conf": NOT_LET_IN,
    r"server does not support SSL": "{where} does not offer TLS, which sslmode in DATABASE_URL asks for; leave "
    "sslmode out, or set TLS up on the server.",
    r"certificate verify failed|certificate .*does not match": "The TLS certificate of {where} cannot be "
    "verified; name its authority in sslrootcert, or correct DATABASE_URL.",
    r"starting up|shutting down|in recovery mode|not yet accepting": STARTING,
    r"too many clients|remaining connection slots|too many connections": TOO_MANY,
    r"closed the connection unexpectedly|connection is closed|connection is lost|server_login_retry": LOST,
}


def explain_database_error(error: Exception, database_url: str) -> str | None:
    """Return the sentence for a fault of the database; None for a fault of this program.

    The sentence never holds the password of `database_url`.
    """
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(error, PoolTimeout):
        return TOO_MANY
    if isinstance(error, IntegrityError | DataError) or isinstance(cause, sqlite3.IntegrityError):
        return None
    if isinstance(cause, sqlite3.Error):
        return _explain_sqlite(cause, sqlite_path(database_url))
    if isinstance(cause, psycopg.Error):
        return _explain_postgres(cause, database_url)
    return None


def _explain_postgres(error: psycopg.Error, database_url: str) -> str:
    url = make_url(database_url)
    message = str(error).strip().partition("\n")[0]
    connection = error.pgconn
    host = str(url.host or url.query.get("host") or "")
    try:
        port = connection.port.decode() if connection else ""
    except psycopg.Error:
        port = ""
    port = port or str(url.port or url.query.get("port") or 5432)
    shown_host = f"[{host}]" if ":" in host else host
    where = f"{shown_host}:{port}" if host and not host.startswith("/") else "PostgreSQL"
    if socket := re.search('on socket "([^"]+)"', message):
        where = socket[1]
    values = {
        "where": where,
        "host": host,
        "user": url.username or (connection.user.decode() if connection else "") or "this machine's user",
        "name": url.database or url.username or "",
    }
    sentence = SENTENCES_BY_STATE.get(error.sqlstate or "")
    if sentence is None and not error.sqlstate:
        sentence = next(
            (known for pattern, known in SENTENCES_BY_MESSAGE.items() if re.search(pattern, message)), None
        )
    if sentence is not None:
        return sentence.format(**values)
    if (error.sqlstate or "").startswith("08"):
        return LOST
    message = message.removeprefix("connection is bad: ").removeprefix("connection failed: ").rstrip(".")
    if url.password:
        message = message.replace(str(url.password), "***")
    return f"The database reports: {message}. Check DATABASE_URL, and run mainstay migrate after an upgrade."


def _explain_sqlite(error: sqlite3.Error, path: Path | None) -> str:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code == sqlite3.SQLITE_ERROR and re.search("no such (table|column)|has no column", str(error)):
        return NOT_MIGRATED
    if code == sqlite3.SQLITE_CANTOPEN:
        return f"DATABASE_URL names {path}, which cannot be opened: {_reason_not_openable(path)}."
    reasons = {
        sqlite3.SQLITE_BUSY: "is locked. Another process is writing to it; wait until it is done, or stop it",
        sqlite3.SQLITE_LOCKED: "is locked. Another process is writing to it; wait until it is done, or stop it",
        sqlite3.SQLITE_READONLY: "may not be written; give this user the right to write to it and to its folder",
        sqlite3.SQLITE_PERM: "may not be read; give this user the right to read it and to write to its folder",
        sqlite3.SQLITE_FULL: "cannot grow, because the disk is full; make room, and run the command again",
        sqlite3.SQLITE_IOERR: "cannot be read or written; check whether its disk is full or damaged",
        sqlite3.SQLITE_NOTADB: "is not an SQLite database; correct DATABASE_URL",
        sqlite3.SQLITE_CORRUPT: "is damaged; restore it from a backup",
    }
    reason = reasons.get(code, f"cannot be used ({error}); check DATABASE_URL")
    return f"The database {path or 'in memory'} {reason}."


def _reason_not_openable(path: Path | None) -> str:
    if path is None:
        return "correct it"
    if path.is_dir():
        return "it is a folder; name a file in it"
    folder = path.resolve().parent
    if not folder.exists():
        return f"there is no folder {folder}; create it, or correct DATABASE_URL"
    if not folder.is_dir():
        return f"{folder} is not a folder; correct DATABASE_URL"
    return "give this user the right to read it and to write to its folder"
