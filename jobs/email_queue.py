"""The database side of sending: dispatchers claim batches of emails from a queue and record their results in it.

`EmailQueue` has what both kinds of email share; `ReminderQueue` and `NotificationQueue` bind it to their tables. A
mail server gives each reply only once, so a reply is written again and again until the database has it, whatever
the database answers meanwhile.
"""

import datetime
import math
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Concatenate, Generic, ParamSpec, TypeVar

import structlog
from sqlalchemy import exc
from sqlalchemy.orm import Session

from schemas.enums import SuppressionReason
from service.container import Container
from service.domain.email.delivery import DeliveryResult
from service.domain.email.queue import reserve_send_slots
from service.domain.email.rendering import PreparedEmails
from service.domain.email.suppression import suppress
from service.domain.errors import LeaseLost
from service.domain.notifications.delivery import (
    complete_notifications,
    fail_notification_rendering,
    mark_notification_sending,
    record_notification_result,
)
from service.domain.notifications.emails import build_notification_emails
from service.domain.notifications.queue import (
    NotificationClaim,
    claim_due_notifications,
    oldest_due_notification_age,
)
from service.domain.ports import AlertEmail, Email, NotificationEmail, ReminderEmail, TransactionFactory
from service.domain.reminders.delivery import (
    DeliveryPolicy,
    complete_deliveries,
    fail_rendering,
    mark_sending,
    record_and_mark_next,
    record_result,
)
from service.domain.reminders.emails import build_reminder_emails
from service.domain.reminders.queue import ReminderClaim, claim_due_reminders, count_due, oldest_due_age

# With a rate limit, no batch takes longer to send than this, so that other workers find emails to claim.
MAX_BATCH_SECONDS = 5
DB_RETRY_SECONDS = 120
# A worker has 30 seconds to stop.
DB_RETRY_SECONDS_ON_SHUTDOWN = 10
MAX_DB_BACKOFF_SECONDS = 2
# Any error of the driver: a pooler or a failover has more than those about the connection.
DATABASE_ERRORS = (exc.DBAPIError, exc.TimeoutError)

log = structlog.get_logger()
P = ParamSpec("P")
T = TypeVar("T")
ClaimT = TypeVar("ClaimT")
EmailT = TypeVar("EmailT", bound=Email)


@dataclass(frozen=True, kw_only=True)
class EmailLogEvents:
    """The names of the log events for one kind of email."""

    sent: str
    uncertain: str
    deferred: str
    rejected: str
    failed: str
    rendering_failed: str
    lease_lost: str
    unrecorded: str
    batch_sent: str


REMINDER_LOG_EVENTS = EmailLogEvents(
    sent="reminder_sent",
    uncertain="reminder_in_doubt",
    deferred="reminder_delayed",
    rejected="reminder_refused",
    failed="reminder_failed",
    rendering_failed="reminder_unwritable",
    lease_lost="reminder_lease_lost",
    unrecorded="reminder_not_recorded",
    batch_sent="reminders_carried",
)
NOTIFICATION_LOG_EVENTS = EmailLogEvents(
    sent="notice_sent",
    uncertain="notice_in_doubt",
    deferred="notice_delayed",
    rejected="notice_refused",
    failed="notice_failed",
    rendering_failed="notice_unwritable",
    lease_lost="notice_lease_lost",
    unrecorded="notice_not_recorded",
    batch_sent="notices_carried",
)


@dataclass(frozen=True)
class EmailBatch(Generic[ClaimT, EmailT]):
    """Emails to send, the earliest instant for each, and how many were postponed to their sending hours."""

    prepared: PreparedEmails[ClaimT, EmailT]
    send_at: list[datetime.datetime]
    postponed: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether nothing was due."""
        return not (self.prepared.emails or self.prepared.finished or self.postponed)


class EmailQueue(ABC, Generic[ClaimT, EmailT]):
    """The queue of one kind of email."""

    log_events: EmailLogEvents
    max_batch_size: int

    def __init__(self, container: Container, stop: threading.Event) -> None:
        self._container = container
        self._stop = stop

    @abstractmethod
    def has_due(self) -> bool:
        """Whether there is an email to claim."""

    @abstractmethod
    def claim_batch(self) -> EmailBatch[ClaimT, EmailT]:
        """Claim due emails and build them."""

    @abstractmethod
    def log_fields(self, claim: ClaimT) -> dict[str, str]:
        """Return the fields that identify the email in the log."""

    @abstractmethod
    def _mark_sending(self, session: Session, claim: ClaimT, *, now: datetime.datetime) -> None:
        """Record that an email is about to be sent.

        Raises:
            LeaseLost: this worker no longer holds its lease.
        """

    @abstractmethod
    def _record_result(self, session: Session, result: DeliveryResult[ClaimT], *, now: datetime.datetime) -> None:
        """Record the result of an attempt.

        Raises:
            LeaseLost: this worker no longer holds its lease.
        """

    @abstractmethod
    def _record_and_mark_next(
        self, session: Session, result: DeliveryResult[ClaimT], claim: ClaimT, *, now: datetime.datetime
    ) -> tuple[bool, bool]:
        """Do both, in one statement where possible; return whether each lease was still held."""

    @abstractmethod
    def _fail_rendering(self, session: Session, claim: ClaimT, *, reason: str, now: datetime.datetime) -> None:
        """Record that an email could not be rendered.

        Raises:
            LeaseLost: this worker no longer holds its lease.
        """

    @abstractmethod
    def _complete(self, session: Session, claims: list[ClaimT], *, now: datetime.datetime) -> Counter[str]:
        """Complete a batch by the recorded results; return counts by outcome."""

    def record_and_mark_next(self, result: DeliveryResult[ClaimT] | None, claim: ClaimT) -> bool:
        """Record the last result, if any, and mark the next email as sending; return whether its lease is held."""
        now, database = self._container.clock(), self._container.database
        if result is not None:
            try:
                with database.autocommit() as session:
                    recorded, marked = self._record_and_mark_next(session, result, claim, now=now)
            except DATABASE_ERRORS:
                # Perhaps because of the next email, and the result must not be lost with it.
                self.record_result(result)
            else:
                self._log_if_lease_lost(result.claim, recorded)
                return self._log_if_lease_lost(claim, marked)
        is_held = self._retry(database.autocommit, self._holds_lease, self._mark_sending, claim, now=now)
        return self._log_if_lease_lost(claim, is_held)

    def record_result(self, result: DeliveryResult[ClaimT]) -> None:
        """Record the result of an attempt; retried for as long as this worker lives.

        Given up, an email that the mail server has accepted would be sent again.
        """
        now = self._container.clock()
        try:
            recorded = self._retry_for(
                math.inf,
                self._container.database.transaction,
                lambda session: self._holds_lease(session, self._record_result, result, now=now),
            )
        except DATABASE_ERRORS:
            # The driver's error may quote the row, so it is raised and not logged here.
            fields = self.log_fields(result.claim)
            log.error(self.log_events.unrecorded, **fields, outcome=result.outcome.value)  # noqa: TRY400 - as above
            raise
        self._log_if_lease_lost(result.claim, recorded)

    def fail_rendering(self, claim: ClaimT, reason: str) -> bool:
        """Record that an email could not be rendered; return whether its lease was still held."""
        now, transaction = self._container.clock(), self._container.database.transaction
        was_held = self._retry(transaction, self._holds_lease, self._fail_rendering, claim, reason=reason, now=now)
        return self._log_if_lease_lost(claim, was_held)

    def suppress_address(self, address: str) -> None:
        """Suppress an address that hard-bounced."""
        now = self._container.clock()
        self._retry(
            self._container.database.transaction, suppress, address, reason=SuppressionReason.HARD_BOUNCE, now=now
        )

    def complete_batch(self, result: DeliveryResult[ClaimT] | None, claims: list[ClaimT]) -> Counter[str]:
        """Record the last result and complete the whole batch; emails that were not attempted are requeued."""
        # In a transaction of its own, because an error about another email of the batch must not undo it.
        if result is not None:
            self.record_result(result)
        now = self._container.clock()
        return self._retry(self._container.database.transaction, self._complete, claims, now=now)

    def batch_size(self) -> int:
        """Return how many emails to claim at once."""
        rate = self._container.settings.mail.rate
        return (
            self.max_batch_size
            if rate is None
            else max(1, min(self.max_batch_size, int(rate * MAX_BATCH_SECONDS)))
        )

    def reserve_send_slots(
        self, session: Session, count: int, *, now: datetime.datetime
    ) -> list[datetime.datetime]:
        """Return the earliest instant at which each of `count` emails may be sent."""
        rate = self._container.settings.mail.rate
        return [now] * count if rate is None else reserve_send_slots(session, rate=rate, count=count, now=now)

    def _holds_lease(
        self,
        session: Session,
        write: Callable[Concatenate[Session, P], None],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> bool:
        try:
            write(session, *args, **kwargs)
        except LeaseLost:
            return False
        return True

    def _retry(
        self,
        transaction: TransactionFactory,
        write: Callable[Concatenate[Session, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run a write, and retry it while the database refuses it: for two minutes, ten seconds on shutdown.

        A commit whose confirmation was lost is repeated, so writes must be idempotent.
        """
        return self._retry_for(DB_RETRY_SECONDS, transaction, lambda session: write(session, *args, **kwargs))

    def _retry_for(self, max_seconds: float, transaction: TransactionFactory, write: Callable[[Session], T]) -> T:
        started_at, stopping_at, backoff = time.monotonic(), None, 0.1
        while True:
            try:
                with transaction() as session:
                    return write(session)
            except DATABASE_ERRORS as error:
                now = time.monotonic()
                if self._stop.is_set():
                    stopping_at = stopping_at or now
                    if now - stopping_at > DB_RETRY_SECONDS_ON_SHUTDOWN:
                        raise
                if now - started_at > max_seconds:
                    raise
                if backoff < MAX_DB_BACKOFF_SECONDS:
                    # One line for each step, and none for each of the thousands of tries in a long outage.
                    log.warning("database_away", retry_in=backoff, error_class=_error_class(error))
                time.sleep(backoff)
                backoff = min(backoff * 2, MAX_DB_BACKOFF_SECONDS)

    def _log_if_lease_lost(self, claim: ClaimT, is_held: bool) -> bool:
        if not is_held:
            log.info(self.log_events.lease_lost, **self.log_fields(claim))
        return is_held


class ReminderQueue(EmailQueue[ReminderClaim, ReminderEmail]):
    """Reminders, with the delivery record of each occurrence."""

    log_events = REMINDER_LOG_EVENTS
    max_batch_size = 100

    def has_due(self) -> bool:
        with self._container.database.read_only() as session:
            return oldest_due_age(session, now=self._container.clock()) is not None

    def claim_batch(self) -> EmailBatch[ReminderClaim, ReminderEmail]:
        """Claim due reminders and build their emails."""
        container, now = self._container, self._container.clock()
        with container.database.transaction() as session:
            claimed = claim_due_reminders(
                session,
                worker=container.worker_id,
                now=now,
                limit=self._fair_share(session, now),
                lease=container.lease_duration,
                respect_sending_hours=container.settings.mail.respect_sending_hours,
            )
        # Not in the same transaction: PostgreSQL checks a row's foreign keys again if the row changes twice in
        # one, so a reminder whose campaign was deleted past the constraint could not even fail.
        with container.database.transaction() as session:
            prepared = build_reminder_emails(
                session,
                claimed.claims,
                urls=container.urls,
                now=now,
                month_seconds=container.settings.month_seconds,
                gateway=container.gateway,
            )
            send_at = self.reserve_send_slots(session, len(prepared.emails), now=now)
        if prepared.finished["failed"]:
            log.warning("reminders_unwritable", count=prepared.finished["failed"])
        return EmailBatch(prepared, send_at, claimed.postponed)

    def _fair_share(self, session: Session, now: datetime.datetime) -> int:
        """Return how many reminders to claim, so that each connection of this worker has some of what is due."""
        connections, limit = len(self._container.reminder_mailers), self.batch_size()
        if connections == 1:
            return limit
        due = count_due(session, now=now, most=connections * limit)
        return max(1, math.ceil(due / connections))

    def log_fields(self, claim: ReminderClaim) -> dict[str, str]:
        return {"reminder": str(claim.reminder_id)}

    def _mark_sending(self, session: Session, claim: ReminderClaim, *, now: datetime.datetime) -> None:
        mark_sending(session, claim, now=now)

    def _record_result(
        self, session: Session, result: DeliveryResult[ReminderClaim], *, now: datetime.datetime
    ) -> None:
        record_result(session, result, now=now)

    def _record_and_mark_next(
        self,
        session: Session,
        result: DeliveryResult[ReminderClaim],
        claim: ReminderClaim,
        *,
        now: datetime.datetime,
    ) -> tuple[bool, bool]:
        return record_and_mark_next(session, result, claim, now=now)

    def _fail_rendering(
        self, session: Session, claim: ReminderClaim, *, reason: str, now: datetime.datetime
    ) -> None:
        fail_rendering(session, claim, reason=reason, now=now)

    def _complete(self, session: Session, claims: list[ReminderClaim], *, now: datetime.datetime) -> Counter[str]:
        return complete_deliveries(session, claims, policy=delivery_policy(self._container), now=now)


class NotificationQueue(EmailQueue[NotificationClaim, NotificationEmail | AlertEmail]):
    """Notifications, each of which is its own delivery record."""

    log_events = NOTIFICATION_LOG_EVENTS
    max_batch_size = 20

    def has_due(self) -> bool:
        with self._container.database.read_only() as session:
            return oldest_due_notification_age(session, now=self._container.clock()) is not None

    def claim_batch(self) -> EmailBatch[NotificationClaim, NotificationEmail | AlertEmail]:
        """Claim due notifications and build their emails, in two transactions as for reminders."""
        container, now = self._container, self._container.clock()
        with container.database.transaction() as session:
            claims = claim_due_notifications(
                session,
                worker=container.worker_id,
                now=now,
                limit=self.batch_size(),
                lease=container.lease_duration,
            )
        with container.database.transaction() as session:
            prepared = build_notification_emails(
                session,
                claims,
                urls=container.urls,
                now=now,
                alert_recipients=container.settings.mail.alert_recipients,
                sandbox_recipients=None
                if container.settings.uses_dev_outbox
                else container.settings.mail.sandbox_recipients,
            )
            send_at = self.reserve_send_slots(session, len(prepared.emails), now=now)
        if prepared.finished["failed"]:
            log.warning("notices_unwritable", count=prepared.finished["failed"])
        return EmailBatch(prepared, send_at)

    def log_fields(self, claim: NotificationClaim) -> dict[str, str]:
        return {"notice": str(claim.notification_id)}

    def _mark_sending(self, session: Session, claim: NotificationClaim, *, now: datetime.datetime) -> None:
        mark_notification_sending(session, claim, now=now)

    def _record_result(
        self, session: Session, result: DeliveryResult[NotificationClaim], *, now: datetime.datetime
    ) -> None:
        record_notification_result(session, result, now=now)

    def _record_and_mark_next(
        self,
        session: Session,
        result: DeliveryResult[NotificationClaim],
        claim: NotificationClaim,
        *,
        now: datetime.datetime,
    ) -> tuple[bool, bool]:
        recorded = self._holds_lease(session, self._record_result, result, now=now)
        return recorded, self._holds_lease(session, self._mark_sending, claim, now=now)

    def _fail_rendering(
        self, session: Session, claim: NotificationClaim, *, reason: str, now: datetime.datetime
    ) -> None:
        fail_notification_rendering(session, claim, reason=reason, now=now)

    def _complete(
        self, session: Session, claims: list[NotificationClaim], *, now: datetime.datetime
    ) -> Counter[str]:
        hold_uncertain = self._container.settings.mail.hold_uncertain
        return complete_notifications(session, claims, hold_uncertain=hold_uncertain, now=now)


def _error_class(error: BaseException) -> str:
    return type(getattr(error, "orig", None) or error).__name__


def delivery_policy(container: Container) -> DeliveryPolicy:
    """Return the deployment's settings for uncertain deliveries and the length of a month."""
    return DeliveryPolicy(
        hold_uncertain=container.settings.mail.hold_uncertain, month_seconds=container.settings.month_seconds
    )
