"""Prepared statements, and when to do without them.

psycopg prepares a statement that a connection has executed a few times, and then names it instead of sending it. A
pooler in transaction mode, such as PgBouncer, gives each transaction another connection to PostgreSQL. A name that
was prepared on one of them does not exist on the next, or is another statement there, and no error says so. So
statements are prepared only where no pooler is in between.
"""

import threading
from typing import Any
from weakref import WeakSet

import psycopg
import structlog
from psycopg import errors
from sqlalchemy import Engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError

PREPARE_THRESHOLD = 5
NAME_ERRORS = (errors.DuplicatePreparedStatement, errors.InvalidSqlStatementName)

log = structlog.get_logger()


def is_name_conflict(error: BaseException) -> bool:
    """Whether a statement failed because its name is not, or is already, prepared; a repeat then succeeds."""
    return isinstance(error, DBAPIError) and isinstance(error.orig, NAME_ERRORS)


class PreparedStatements:
    """Turns prepared statements on for the direct connections of an engine, until anything speaks against them.

    The first connection through a pooler turns them off for all connections of the process, and so does the first
    error about a name, for poolers that cannot be recognised. The engine must open its connections without them.
    """

    def __init__(self, engine: Engine) -> None:
        self._threshold: int | None = PREPARE_THRESHOLD
        self._lock = threading.Lock()
        self._connections: WeakSet[psycopg.Connection[Any]] = WeakSet()
        event.listen(engine, "connect", self._add_connection)
        event.listen(engine, "handle_error", self._check_error)

    def _add_connection(self, connection: psycopg.Connection[Any], _record: object) -> None:
        if self._threshold is None:
            return
        if is_pooled(connection):
            self._turn_off("a connection pooler such as PgBouncer is in between")
            return
        with self._lock:
            # Another thread may have turned them off meanwhile.
            connection.prepare_threshold = self._threshold
            self._connections.add(connection)

    def _check_error(self, context: ExceptionContext) -> None:
        if isinstance(context.original_exception, NAME_ERRORS):
            self._turn_off(type(context.original_exception).__name__)

    def _turn_off(self, reason: str) -> None:
        with self._lock:
            were_on, self._threshold = self._threshold is not None, None
            for connection in self._connections:
                connection.prepare_threshold = None
            self._connections.clear()
        if were_on:
            log.warning("prepared_statements_off", reason=reason)


def is_pooled(connection: psycopg.Connection[Any]) -> bool:
    """Whether a pooler is between this new connection and PostgreSQL.

    A server names its process when a connection starts, for cancelling. A pooler names no real process there.
    """
    connection.autocommit = True
    try:
        row = connection.execute("SELECT pg_backend_pid()").fetchone()
    finally:
        connection.autocommit = False
    return row is None or row[0] != connection.info.backend_pid
