"""How long PostgreSQL may work, wait for a lock or wait for us, and how long we wait for PostgreSQL.

The limits are set in each transaction, because a pooler such as PgBouncer gives every transaction another session
and refuses them as options of the connection.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import psycopg
from psycopg.abc import PQGen
from sqlalchemy import Connection, Engine, event

OPTION = "mainstay_time_limits"
# PostgreSQL ends a statement at its limit. If it has not even said so after this time, it is gone.
ANSWER_MARGIN_SECONDS = 5
# A server that vanished without closing its connections is noticed after 30 to 60 seconds of silence.
TCP_OPTIONS = {
    "tcp_user_timeout": 30_000,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}

ResultT = TypeVar("ResultT")


@dataclass(frozen=True)
class TimeLimits:
    """Limits in seconds: of a statement, of waiting for a lock, and of being idle within a transaction."""

    statement: int
    lock: int
    idle: int

    @property
    def sql(self) -> str:
        """The statement that sets the limits until the end of the transaction; one that can be prepared."""
        values = {
            "statement_timeout": self.statement,
            "lock_timeout": self.lock,
            "idle_in_transaction_session_timeout": self.idle,
        }
        return "SELECT " + ", ".join(f"set_config('{name}', '{value}s', true)" for name, value in values.items())


# A job may scan whole tables, and holds a transaction while it renders a batch of emails.
JOB_LIMITS = TimeLimits(statement=300, lock=30, idle=300)
# Folding the addresses of an upgrade may rewrite every row.
MIGRATION_LIMITS = TimeLimits(statement=3600, lock=10, idle=300)
# The reader of an export decides how fast its rows are fetched, within the limits of the web server.
EXPORT_LIMITS = TimeLimits(statement=300, lock=30, idle=600)


class DeadlineConnection(psycopg.Connection[Any]):
    """A connection that is closed if PostgreSQL does not answer in time; None waits for ever."""

    answer_seconds: float | None = None
    _meanwhile: Callable[[], None] | None = None

    @contextmanager
    def work_meanwhile(self, work: Callable[[], None]) -> Iterator[None]:
        """Call `work` once, while PostgreSQL is busy with the first statement in the block.

        A statement that the driver prepares must have been run with `prepare=True` on this connection before, else
        `work` may be called while it is being prepared. If `work` raises an error, the connection is closed, and
        the statement may or may not have been committed. `work` must not use this connection.
        """
        self._meanwhile = work
        try:
            yield
        finally:
            self._meanwhile = None

    def wait(self, gen: PQGen[ResultT], interval: float = 0.1, timeout: float | None = None) -> ResultT:
        """Wait for an answer.

        Raises:
            psycopg.OperationalError: there was none in time, and the connection is closed.
        """
        if self._meanwhile is not None:
            gen = self._working(gen, self._meanwhile)
            self._meanwhile = None
        if timeout is not None or self.answer_seconds is None:
            return super().wait(gen, interval, timeout)
        try:
            return super().wait(gen, interval, self.answer_seconds)
        except psycopg.errors._WaitTimeout:
            # What PostgreSQL would still send belongs to a statement that nobody waits for.
            self.pgconn.finish()
            raise psycopg.OperationalError("the database did not answer in time") from None

    def _working(self, gen: PQGen[ResultT], work: Callable[[], None]) -> PQGen[ResultT]:
        """Wrap what sends a statement and reads its result, so that `work` is called in between."""
        try:
            # The driver has sent all that it can when it first waits.
            state = next(gen)
        except StopIteration as stop:
            return cast("ResultT", stop.value)
        try:
            work()
        except BaseException:
            self.pgconn.finish()
            raise
        while True:
            ready = yield state
            try:
                state = gen.send(ready)
            except StopIteration as stop:
                return cast("ResultT", stop.value)


def apply_time_limits(engine: Engine) -> None:
    """Set the limits of the execution option `OPTION` at the start of each transaction on PostgreSQL."""

    def connect(_dialect: object, _record: object, arguments: Any, options: Any) -> Any:
        return DeadlineConnection.connect(*arguments, **options)

    def begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        limits: TimeLimits | None = options.get(OPTION)
        raw: Any = connection.connection.dbapi_connection
        if isinstance(raw, DeadlineConnection):
            raw.answer_seconds = None if limits is None else limits.statement + ANSWER_MARGIN_SECONDS
        # A single statement in a transaction of its own has no place for them.
        if limits is not None and options.get("isolation_level") != "AUTOCOMMIT":
            connection.exec_driver_sql(limits.sql)

    event.listen(engine, "do_connect", connect)
    event.listen(engine, "begin", begin)
