"""The database's clock, by which workers go: leases, due times and send rates are the same for all of them."""

import datetime
import time
from collections.abc import Callable

import structlog
from sqlalchemy import func, select
from sqlalchemy.orm import Session

# A clock that is kept in step by NTP differs by less.
TOLERANCE = datetime.timedelta(seconds=5)

log = structlog.get_logger()


def elapsed_seconds() -> float:
    """Return the seconds since this machine started, those of a suspension too. Nobody sets this clock."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


def utc_now() -> datetime.datetime:
    """Return the current time in UTC by this machine's clock; the clock of the web processes and commands."""
    return datetime.datetime.now(datetime.UTC)


class DatabaseClock:
    """A `Clock` that reads the database's clock in `synchronise`, and counts on from there without asking again.

    An SQLite database is on this machine, so its clock is the machine's. `skew` is by how much the machine's clock
    was ahead of the database's when it was last read.
    """

    def __init__(
        self,
        *,
        machine: Callable[[], datetime.datetime] = utc_now,
        elapsed: Callable[[], float] = elapsed_seconds,
    ) -> None:
        self._machine = machine
        self._elapsed = elapsed
        self._read_at: tuple[datetime.datetime, float] | None = None
        self.is_synchronised = False
        self.skew = datetime.timedelta(0)

    def __call__(self) -> datetime.datetime:
        """Return the current time in UTC."""
        if self._read_at is None:
            return self._machine()
        instant, elapsed = self._read_at
        return instant + datetime.timedelta(seconds=self._elapsed() - elapsed)

    def synchronise(self, session: Session) -> datetime.timedelta:
        """Read the database's clock, and log it if the machine's differs by more than `TOLERANCE`.

        Returns by how much the database's clock is ahead of what this one has counted since it was last read.
        """
        if session.get_bind().dialect.name != "postgresql":
            self.is_synchronised = True
            return datetime.timedelta(0)
        before = self._elapsed()
        now = session.execute(select(func.clock_timestamp())).scalar_one()
        after = self._elapsed()
        half = datetime.timedelta(seconds=(after - before) / 2)
        ahead = datetime.timedelta(0) if self._read_at is None else now + half - self()
        # The answer took a while, so the clock was read somewhere between. What is within that is not corrected.
        if self._read_at is None or abs(ahead) > half:
            self._read_at = now + half, after
        skew = self._machine() - self()
        if abs(skew) > TOLERANCE and (not self.is_synchronised or abs(skew - self.skew) > TOLERANCE):
            log.warning("clock_differs_from_database", seconds=round(skew.total_seconds()))
        self.is_synchronised, self.skew = True, skew
        return ahead
