"""How many rows stand where: numbers that cost a look at whole tables, and are kept according to that cost."""

import datetime
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from schemas.enums import JobOutcome, NotificationStatus, PledgeStatus, ReminderStatus, SuppressionReason
from service.db.models.email import Notification
from service.db.models.jobs import JobRun
from service.db.models.pledge import Pledge
from service.db.models.reminder import Reminder
from service.domain.email.suppression import count_suppressions
from service.domain.ports import TransactionFactory

# At a table of ten million rows a count takes seconds, at a small one no time at all. Kept for a hundred times as
# long as it took, it costs each process a hundredth of its time at most.
CACHE_COST_FACTOR = 100
# Prometheus itself gives up after ten seconds, unless it is told otherwise.
WAIT_SECONDS = 2.0


@dataclass(frozen=True)
class JobStatus:
    """When a job last ended well, if it ever did, and how many workers are at it."""

    succeeded_at: datetime.datetime | None
    running: int


@dataclass(frozen=True, kw_only=True)
class StatusCounts:
    """How the desk stands: counts by word, and what became of each job."""

    pledges: dict[PledgeStatus, int]
    reminders: dict[ReminderStatus, int]
    notices: dict[NotificationStatus, int]
    suppressed: dict[SuppressionReason, int]
    jobs: dict[str, JobStatus]


def collect_status_counts(session: Session) -> StatusCounts:
    """Count everything now."""
    return StatusCounts(
        pledges=count_pledges(session),
        reminders=count_reminders(session),
        notices=count_notices(session),
        suppressed=count_suppressions(session),
        jobs=_jobs(session),
    )


def count_pledges(session: Session) -> dict[PledgeStatus, int]:
    """Return how many pledges stand where; a status that none has is 0."""
    rows = session.execute(select(Pledge.status, func.count()).group_by(Pledge.status)).all()
    return dict.fromkeys(PledgeStatus, 0) | dict(rows)


def count_reminders(session: Session) -> dict[ReminderStatus, int]:
    """Return how many reminders stand where; a status that none has is 0."""
    rows = session.execute(select(Reminder.status, func.count()).group_by(Reminder.status)).all()
    return dict.fromkeys(ReminderStatus, 0) | dict(rows)


def count_notices(session: Session) -> dict[NotificationStatus, int]:
    """Return how many notices stand where; a status that none has is 0."""
    rows = session.execute(select(Notification.status, func.count()).group_by(Notification.status)).all()
    return dict.fromkeys(NotificationStatus, 0) | dict(rows)


def _jobs(session: Session) -> dict[str, JobStatus]:
    rows = session.execute(
        select(
            JobRun.job,
            func.max(JobRun.ended_at).filter(JobRun.outcome == JobOutcome.SUCCEEDED),
            func.count().filter(JobRun.outcome == JobOutcome.RUNNING),
        )
        .group_by(JobRun.job)
        .order_by(JobRun.job)
    ).all()
    return {job: JobStatus(succeeded_at, running) for job, succeeded_at, running in rows}


class CachedStatusCounts:
    """Hands out the latest count and makes a new one when it is time, beside whoever asks."""

    def __init__(
        self,
        reading: TransactionFactory,
        *,
        count: Callable[[Session], StatusCounts] = collect_status_counts,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reading = reading
        self._count = count
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._counting: threading.Thread | None = None
        self._latest: StatusCounts | None = None
        self._good_until = 0.0

    def latest(self, *, wait_seconds: float = WAIT_SECONDS) -> StatusCounts | None:
        """Return the latest count. A new one is waited for, but not for long; None if there never was one."""
        with self._lock:
            if self._monotonic() >= self._good_until and self._counting is None:
                self._counting = threading.Thread(target=self._renew, daemon=True)
                self._counting.start()
            counting = self._counting
        if counting is not None:
            counting.join(wait_seconds)
        return self._latest

    def _renew(self) -> None:
        began = self._monotonic()
        took = 0.0
        try:
            with self._reading() as session:
                self._latest = self._count(session)
            took = self._monotonic() - began
        except SQLAlchemyError:
            # Whoever asks gets the count before; that the database is away, other checks say by name.
            pass
        finally:
            with self._lock:
                self._good_until = self._monotonic() + CACHE_COST_FACTOR * took
                self._counting = None
