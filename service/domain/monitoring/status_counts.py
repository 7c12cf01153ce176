"""Counts of rows by status. Each needs a scan of whole tables, so they are cached for as long as that costs."""

import datetime
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from schemas.enums import (
    EmailStatus,
    JobOutcome,
    PledgeStatus,
    RefundStatus,
    ReminderStatus,
    SuppressionReason,
)
from service.db.models.email import OutgoingEmail
from service.db.models.jobs import JobRun
from service.db.models.payment import Refund
from service.db.models.pledge import Pledge
from service.db.models.reminder import Reminder
from service.domain.email.suppression import count_suppressions
from service.domain.ports import TransactionFactory

# A count takes seconds on ten million rows and almost no time on a small table. Caching it for a hundred times its
# duration limits the cost to one hundredth of each process's time.
CACHE_COST_FACTOR = 100
# Prometheus times out after ten seconds by default.
WAIT_SECONDS = 2.0


@dataclass(frozen=True)
class JobStatus:
    """When a job last succeeded (None: never), and how many workers are running it."""

    succeeded_at: datetime.datetime | None
    running: int


@dataclass(frozen=True, kw_only=True)
class StatusCounts:
    """Counts by status or reason, and the status of each job."""

    pledges: dict[PledgeStatus, int]
    reminders: dict[ReminderStatus, int]
    emails: dict[EmailStatus, int]
    refunds: dict[RefundStatus, int]
    suppressed: dict[SuppressionReason, int]
    jobs: dict[str, JobStatus]


def collect_status_counts(session: Session) -> StatusCounts:
    """Count all rows, without the cache."""
    return StatusCounts(
        pledges=count_pledges(session),
        reminders=count_reminders(session),
        emails=count_emails(session),
        refunds=count_refunds(session),
        suppressed=count_suppressions(session),
        jobs=_job_statuses(session),
    )


def count_pledges(session: Session) -> dict[PledgeStatus, int]:
    """Return the number of pledges for every status, including 0."""
    rows = session.execute(select(Pledge.status, func.count()).group_by(Pledge.status)).all()
    return dict.fromkeys(PledgeStatus, 0) | dict(rows)


def count_reminders(session: Session) -> dict[ReminderStatus, int]:
    """Return the number of reminders for every status, including 0."""
    rows = session.execute(select(Reminder.status, func.count()).group_by(Reminder.status)).all()
    return dict.fromkeys(ReminderStatus, 0) | dict(rows)


def count_emails(session: Session) -> dict[EmailStatus, int]:
    """Return the number of emails for every status, including 0."""
    rows = session.execute(select(OutgoingEmail.status, func.count()).group_by(OutgoingEmail.status)).all()
    return dict.fromkeys(EmailStatus, 0) | dict(rows)


def count_refunds(session: Session) -> dict[RefundStatus, int]:
    """Return the number of refunds for every status, including 0."""
    rows = session.execute(select(Refund.status, func.count()).group_by(Refund.status)).all()
    return dict.fromkeys(RefundStatus, 0) | dict(rows)


def _job_statuses(session: Session) -> dict[str, JobStatus]:
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
    """Returns the latest counts, and refreshes them in a background thread when they expire."""

    def __init__(
        self,
        read_only: TransactionFactory,
        *,
        count: Callable[[Session], StatusCounts] = collect_status_counts,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read_only = read_only
        self._count = count
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._refresh_thread: threading.Thread | None = None
        self._latest: StatusCounts | None = None
        self._expires_at = 0.0

    def latest(self, *, wait_seconds: float = WAIT_SECONDS) -> StatusCounts | None:
        """Return the latest counts, after waiting up to `wait_seconds` for a refresh; None before the first."""
        with self._lock:
            if self._monotonic() >= self._expires_at and self._refresh_thread is None:
                self._refresh_thread = threading.Thread(target=self._refresh, daemon=True)
                self._refresh_thread.start()
            refresh_thread = self._refresh_thread
        if refresh_thread is not None:
            refresh_thread.join(wait_seconds)
        return self._latest

    def _refresh(self) -> None:
        started_at = self._monotonic()
        duration = 0.0
        try:
            with self._read_only() as session:
                self._latest = self._count(session)
            duration = self._monotonic() - started_at
        except SQLAlchemyError:
            # Callers get the previous counts; /readyz reports that the database is unavailable.
            pass
        finally:
            with self._lock:
                self._expires_at = self._monotonic() + CACHE_COST_FACTOR * duration
                self._refresh_thread = None
