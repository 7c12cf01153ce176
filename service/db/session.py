"""Engines and the two doors to the database: one that may write and one that cannot."""

import select
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DisconnectionError, IntegrityError
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import ConnectionPoolEntry

from service.db.keyring import Keyring
from service.db.types import attach_keyring, get_keyring
from service.settings import Settings, sqlite_path

PING_SKIP_SECONDS = 1
LAST_USED_KEY = "mainstay_used_at"


def add_lazy_pre_ping(engine: Engine) -> None:
    """Let the pool hand out no connection that PostgreSQL has closed, as it does when it restarts.

    The end of a connection lies on it to be read, even if the server crashed. So one that was in use a moment ago
    and has nothing to read is alive; any other is asked, and replaced unless it answers.
    """

    def check(connection: psycopg.Connection[Any], record: ConnectionPoolEntry, _proxy: object) -> None:
        used_at = record.info.get(LAST_USED_KEY)
        if used_at is None:
            return
        if time.monotonic() - used_at < PING_SKIP_SECONDS and _has_no_pending_data(connection):
            return
        try:
            engine.dialect.do_ping(connection)  # type: ignore[arg-type]  # the driver's connection is a DBAPI one
        except psycopg.Error as error:
            raise DisconnectionError from error

    event.listen(engine, "checkout", check)
    event.listen(engine, "checkin", _record_last_use)


def _record_last_use(_connection: object, record: ConnectionPoolEntry) -> None:
    record.info[LAST_USED_KEY] = time.monotonic()


def _has_no_pending_data(connection: psycopg.Connection[Any]) -> bool:
    """Whether nothing lies on the connection to be read."""
    if connection.closed:
        return False
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return not poll.poll(0)


SQLITE_BUSY_SECONDS = 15
CONNECT_TIMEOUT_SECONDS = 10
READ_ONLY_OPTION = "mainstay_read_only"


def create_database_engine(settings: Settings, keyring: Keyring) -> Engine:
    """Make the engine for `settings.database_url`, with the keys for its encrypted columns.

    Parameters are never shown in errors, since they hold readers' data.
    """
    options: dict[str, Any] = {"hide_parameters": True}
    if settings.database_url.startswith("sqlite"):
        path = sqlite_path(settings.database_url)
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        options["connect_args"] = {"timeout": SQLITE_BUSY_SECONDS}
    else:
        # Each connection to the mail server takes two of these, beside the jobs or the threads of the web process;
        # the notices have one more such connection.
        overflow = 8 + 2 * (settings.mail.connections + 1)
        options |= {"pool_size": 8, "max_overflow": overflow, "pool_timeout": CONNECT_TIMEOUT_SECONDS}
        if "connect_timeout" not in settings.database_url:
            options["connect_args"] = {"connect_timeout": CONNECT_TIMEOUT_SECONDS}
    engine = create_engine(settings.database_url, **options)
    attach_keyring(engine.dialect, keyring)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        add_lazy_pre_ping(engine)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    # The driver would begin transactions by itself and too late; `_begin_sqlite` does it instead.
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes the lock at once: a transaction that reads first and writes later could otherwise
    # fail half-way with "database is locked", which no waiting cures.
    read_only = connection.get_execution_options().get(READ_ONLY_OPTION, False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


class Database:
    """The two doors. `transaction()` commits at the end of its block; `read_only()` never changes anything."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.keyring = get_keyring(engine.dialect)
        self._sessions = sessionmaker(engine, expire_on_commit=False)

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """Yield a session; commit when the block ends, roll back when it raises."""
        with self._sessions.begin() as session:
            yield session

    @contextmanager
    def autocommit(self) -> Iterator[Session]:
        """Yield a session for one statement, a transaction of its own: one round trip instead of three."""
        if self.engine.dialect.name != "postgresql":
            with self.transaction() as session:
                yield session
            return
        with self._sessions() as session:
            session.connection(execution_options={"isolation_level": "AUTOCOMMIT"})
            yield session

    @contextmanager
    def read_only(self) -> Iterator[Session]:
        """Yield a session in which PostgreSQL itself refuses to write; nothing is ever committed."""
        with self._sessions() as session:
            session.connection(execution_options={READ_ONLY_OPTION: True, "postgresql_readonly": True})
            yield session


def constraint_name(error: IntegrityError) -> str | None:
    """Return the name of the constraint that PostgreSQL says was violated.

    SQLite names none; there a writer holds the whole database, so that no other can come between
    its look and its insert.
    """
    diagnosis = getattr(error.orig, "diag", None)
    return getattr(diagnosis, "constraint_name", None)
