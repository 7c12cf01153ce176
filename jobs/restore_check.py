"""Keeps a worker from starting on a database that was restored from a backup, before the operator knows of it."""

import sys
from collections.abc import Callable

import structlog
from sqlalchemy.exc import SQLAlchemyError

from service.container import Container
from service.db.clock import DatabaseClock
from service.domain.monitoring.restore_guard import Restore, find_restore, take_identity

log = structlog.get_logger()


def find_restore_when_up(container: Container, is_told_to_stop: Callable[[], bool]) -> Restore | None:
    """Return the signs that the database was restored, as soon as it answers; None if there are none.

    No job may run before: the database that comes back after an outage may be a restored one, and its clock is not
    known. On a signal to stop, the worker exits with 0.
    """
    was_away = False
    while True:
        try:
            with container.database.transaction() as session:
                if isinstance(container.clock, DatabaseClock):
                    container.clock.synchronise(session)
                restore = find_restore(session, now=container.clock())
                if restore is None:
                    take_identity(session)
        except SQLAlchemyError as error:
            if not was_away:
                log.warning("database_away", error_class=type(error).__name__)
            was_away = True
            if is_told_to_stop():
                sys.exit(0)
        else:
            return restore
