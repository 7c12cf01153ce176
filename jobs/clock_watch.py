"""Notices that the clock of the machine or of the database was set back, and goes on as if it had not been.

The scheduler goes by the first, and leases and send slots by the second. After it was set back by an hour, the
worker would do nothing for an hour, or leases would end an hour late.
"""

import datetime
import time
from collections.abc import Callable

import structlog
from apscheduler.schedulers.base import BaseScheduler
from sqlalchemy.exc import SQLAlchemyError

from service.container import Container
from service.domain.email.queue import release_send_slots, shorten_leases
from service.domain.ports import Clock

CHECK_SECONDS = 1
# A clock that is kept in step by NTP moves by less.
TOLERANCE = datetime.timedelta(seconds=5)

log = structlog.get_logger()


class ClockWatch:
    """Compares the clock with the monotonic one, which nobody sets."""

    def __init__(self, clock: Clock, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self.restart()

    def restart(self) -> None:
        """Take the clock as right from now on."""
        self._started_at, self._started = self._clock(), self._monotonic()

    def set_back_by(self) -> datetime.timedelta:
        """Return by how much the clock was set back, or zero. One that was set forward is right from now on."""
        elapsed = datetime.timedelta(seconds=self._monotonic() - self._started)
        behind = self._started_at + elapsed - self._clock()
        if behind >= TOLERANCE:
            return behind
        self.restart()
        return datetime.timedelta(0)


def resume_after_set_back(container: Container, scheduler: BaseScheduler, behind: datetime.timedelta) -> bool:
    """Let leases, send slots and jobs go by the clock as it is now; return whether the database could be told."""
    now = container.clock()
    log.warning("clock_set_back", seconds=int(behind.total_seconds()))
    for job in scheduler.get_jobs():
        job.modify(next_run_time=datetime.datetime.now(datetime.UTC))
    try:
        with container.database.transaction() as session:
            shorten_leases(session, now=now, lease=container.lease_duration)
            release_send_slots(session, now=now)
    except SQLAlchemyError as error:
        log.warning("clock_set_back_not_recorded", error_class=type(error).__name__)
        return False
    return True
