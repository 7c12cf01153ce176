"""Telling whether a pooled connection still lives, mostly without asking PostgreSQL.

SQLAlchemy's own `pool_pre_ping` asks before each transaction, which is one round trip in six of a reminder's.
"""

import select
import time
from typing import Any

import psycopg
from sqlalchemy import Engine, event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry

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
