"""The database engine, and the sessions on it: `transaction()` may write and `read_only()` cannot."""

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
from service.db.prepared_statements import PreparedStatements
from service.db.time_limits import OPTION, TCP_OPTIONS, DeadlineConnection, TimeLimits, apply_time_limits
from service.db.types import attach_keyring, get_keyring
from service.settings import DEFAULT_SQLITE_FILE, Settings, sqlite_path

SQLITE_BUSY_SECONDS = 15
CONNECT_TIMEOUT_SECONDS = 10
READ_ONLY_OPTION = "mainstay_read_only"

PING_SKIP_SECONDS = 1
LAST_USED_KEY = "mainstay_used_at"


class Database:
    """Sessions on one engine. `transaction()` commits at the end of its block; `read_only()` changes nothing.

    Transactions have `time_limits` on PostgreSQL. What uses the engine itself, such as a migration, has none.
    """

    def __init__(self, engine: Engine, time_limits: TimeLimits | None = None) -> None:
        self.engine = engine
        self.keyring = get_keyring(engine.dialect)
        limits = {} if time_limits is None else {OPTION: time_limits}
        self._limited_engine = engine.execution_options(**limits)
        self._sessions = sessionmaker(self._limited_engine, expire_on_commit=False)

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """Yield a session; commit when the block ends, roll back when it raises."""
        with self._sessions.begin() as session:
            yield session

    @contextmanager
    def autocommit(self) -> Iterator[Session]:
        """Yield a session for one statement, which is its own transaction: one round trip instead of three."""
        if self.engine.dialect.name != "postgresql":
            with self.transaction() as session:
                yield session
            return
        with self._sessions() as session:
            session.connection(execution_options={"isolation_level": "AUTOCOMMIT"})
            yield session

    @contextmanager
    def driver_connection(self) -> Iterator[DeadlineConnection | None]:
        """Yield a connection of the driver, on which each statement is its own transaction; None on SQLite.

        It is for a statement that runs once for each email, on which SQLAlchemy spends more than the database.
        """
        if self.engine.dialect.name != "postgresql":
            yield None
            return
        with self._limited_engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            # It sets how long to wait for an answer.
            connection.begin()
            driver: Any = connection.connection.dbapi_connection
            try:
                yield driver
            finally:
                if driver.closed:
                    connection.invalidate()

    @contextmanager
    def read_only(self, time_limits: TimeLimits | None = None, *, snapshot: bool = False) -> Iterator[Session]:
        """Yield a session that never commits, and in which PostgreSQL itself refuses to write.

        With `snapshot`, all its statements see the same state of the database. On SQLite they always do.
        """
        options: dict[str, Any] = {READ_ONLY_OPTION: True, "postgresql_readonly": True}
        if time_limits is not None:
            options[OPTION] = time_limits
        if snapshot and self.engine.dialect.name == "postgresql":
            options["isolation_level"] = "REPEATABLE READ"
        with self._sessions() as session:
            session.connection(execution_options=options)
            yield session


def create_database_engine(settings: Settings, keyring: Keyring) -> Engine:
    """Create the engine for `settings.database_url`, with the keys for its encrypted columns.

    Errors never show parameters, because they hold personal data.
    """
    options: dict[str, Any] = {"hide_parameters": True}
    if settings.database_url.startswith("sqlite"):
        path = sqlite_path(settings.database_url)
        # Any other folder has to exist, because a mistyped one must not be made.
        if path == DEFAULT_SQLITE_FILE:
            path.parent.mkdir(exist_ok=True)
        options["connect_args"] = {"timeout": SQLITE_BUSY_SECONDS}
    else:
        options |= {
            "pool_size": settings.database_pool,
            "max_overflow": settings.database_pool_overflow,
            "pool_timeout": CONNECT_TIMEOUT_SECONDS,
        }
        options["connect_args"] = {"prepare_threshold": None}
        if "connect_timeout" not in settings.database_url:
            options["connect_args"] |= {"connect_timeout": CONNECT_TIMEOUT_SECONDS}
        options["connect_args"] |= TCP_OPTIONS
    engine = create_engine(settings.database_url, **options)
    attach_keyring(engine.dialect, keyring)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        add_lazy_pre_ping(engine)
        if settings.database_prepares == "auto":
            PreparedStatements(engine)
        apply_time_limits(engine)
    return engine


def session_keyring(session: Session) -> Keyring:
    """Return the keyring of the session's database."""
    return get_keyring(session.get_bind().dialect)


def add_lazy_pre_ping(engine: Engine) -> None:
    """Make the pool replace connections that PostgreSQL has closed, for example in a restart.

    The end of a connection is readable on its socket, even after a crash of the server. A connection that was used
    within `PING_SKIP_SECONDS` and has nothing to read is therefore alive. Any other is pinged first.
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


def constraint_name(error: IntegrityError) -> str | None:
    """Return the name of the constraint that PostgreSQL reports as violated; None on SQLite, which names none.

    On SQLite a writer locks the whole database, so that no other can insert between its look-up and its insert.
    """
    diagnosis = getattr(error.orig, "diag", None)
    return getattr(diagnosis, "constraint_name", None)


def _record_last_use(_connection: object, record: ConnectionPoolEntry) -> None:
    record.info[LAST_USED_KEY] = time.monotonic()


def _has_no_pending_data(connection: psycopg.Connection[Any]) -> bool:
    if connection.closed:
        return False
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return not poll.poll(0)


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    # The driver would begin transactions by itself and too late; `_begin_sqlite` does it instead.
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes the lock at the start. A transaction that reads first and writes later could otherwise fail
    # with "database is locked", and waiting does not help it.
    read_only = connection.get_execution_options().get(READ_ONLY_OPTION, False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")
